# The idiom of Ruby: blocks, keywords, predicates, exceptions, encodings.
require "minitest/autorun"
require "open3"
require "rbconfig"
require "sipcgi"

class SipCgiTest < Minitest::Test
  ENVIRONMENT = {
    "SIPCGI_EVENT" => "request",
    "REQUEST_URI" => "sip:bob@example.com",
    "SIP_FROM" => "\"J\u00f6rg\" <sip:al@example.com>;tag=1",
    "REGISTRATIONS" => "<sip:a@192.0.2.1>;q=0.5;expires=60, <sip:b@192.0.2.2>"
  }.freeze

  def call(more = {})
    SipCgi::Call.new(ENVIRONMENT.merge(more))
  end

  # What a script of these lines prints, and its exit status.
  def script(lines, variables = ENVIRONMENT)
    printed, _, status = Open3.capture3(variables, RbConfig.ruby, "-w", "-e", "require 'sipcgi'\n#{lines}", binmode: true)
    [printed.force_encoding("UTF-8"), status.exitstatus]
  end

  def test_values
    assert_equal ["al", "1", "J\u00f6rg"], [call.from.user, call.from.tag, call.from.display]
    assert_nil call.to
    assert_nil call.header("Subject")
    assert_equal [], call.headers("Subject")
    refute_predicate call, :response?
    assert_predicate call("RESPONSE_STATUS" => "486"), :response?
    assert_equal [["sip:a@192.0.2.1", 0.5, 60], ["sip:b@192.0.2.2", 1.0, nil]],
                 call.get_regs.map { |reg| [reg.to_s, reg.q, reg.expires] }
  end

  def test_octets_that_are_no_text_do_no_harm
    odd = call("SIP_FROM" => "\"\xff\" <sip:al@example.com>".b, "SIP_SUBJECT" => "\xff,b")
    assert_equal "al", odd.from.user
    assert_equal 2, odd.headers("Subject").size
    odd.reply 486, odd.from.display
    assert_equal "SIP/2.0 486 \xff\n\n".b, odd.output
  end

  def test_the_end_of_the_block_is_what_counts
    busy = "SIP/2.0 486\n\n"
    assert_equal [busy, 0], script("SipCgi.run { |call| call.reply 486 }")
    assert_equal [busy, 0], script("SipCgi.run { |call| call.reply 486; exit }; puts 'never'")
    assert_equal ["", 3], script("SipCgi.run { |call| call.reply 486; exit 3 }")
    assert_equal ["", 1], script("SipCgi.run { |call| call.reply 486; raise 'no' }")
    assert_equal [busy, 0], script("SipCgi.run { |call| call.reply 486; Process.wait(fork || exit) }")
    assert_equal ["1\n#{busy}", 0], script("SipCgi.run { |call| call.reply 486; puts 1 }")
  end

  def test_for_each_registration
    lines = "SipCgi.run { |call| call.get_regs.each { |reg| call.proxy reg, timeout: 2.5, headers: { Priority: :urgent } } }"
    each = ["sip:a@192.0.2.1", "sip:b@192.0.2.2"].map do |uri|
      "CGI-PROXY-REQUEST #{uri} SIP/2.0\nCGI-Timeout: 2.500\nPriority: urgent\n\n"
    end
    assert_equal [each.join, 0], script(lines)
  end

  def test_requests_of_its_own
    asked = call
    asked.request "MESSAGE", asked.from, content_type: "text/plain", body: "hi"
    asked.request "ACK", token: "callee"
    assert_equal "MESSAGE sip:al@example.com SIP/2.0\nContent-Type: text/plain\nContent-Length: 2\n\nhi\n" \
                 "ACK sip:dialog.invalid SIP/2.0\nCGI-Request-Token: callee\n\n", asked.output
  end

  def test_a_structure_comes_back
    state = { "a" => [1, 2.5, nil, true, " \x7fJ\u00f6rg\n"], "b" => {} }
    first = call
    first.cookie = state
    packed = first.output[/\ACGI-SET-COOKIE ([!-~]+) SIP\/2.0\n\n\z/, 1]
    assert_equal state, call("SCRIPT_COOKIE" => packed).cookie
    assert_nil call.cookie
  end

  def test_a_cookie_makes_no_objects
    assert_equal({ "json_class" => "SipCgiTest" }, call("SCRIPT_COOKIE" => '{"json_class":"SipCgiTest"}').cookie)
    assert_raises(JSON::ParserError) { call("SCRIPT_COOKIE" => "\x04\bi\x06").cookie }
  end

  def test_errors_name_the_argument
    asked = call
    error = assert_raises(ArgumentError) { asked.proxy "sip:a@b", headers: { "Subject" => "a\0b" } }
    assert_equal "header Subject: CR, LF or NUL in it", error.message
    assert_raises(ArgumentError) { asked.proxy "sip:a@b", headers: { "Subject" => nil } }
    assert_raises(ArgumentError) { asked.proxy "sip:a@b", timeuot: 1 }
    assert_raises(ArgumentError) { asked.again after: -1 }
    assert_raises(ArgumentError) { asked.reply "486" }
    assert_raises(ArgumentError) { asked.request "BYE" }
    assert_raises(ArgumentError) { asked.request "CGI-AGAIN", "yes:" }
    assert_raises(ArgumentError) { asked.request "MESSAGE", "sip:a@b", remove: "Date" }
    assert_empty asked.output
  end
end
