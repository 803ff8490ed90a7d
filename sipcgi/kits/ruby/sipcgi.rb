# frozen_string_literal: true

# SIP-CGI for scripts in Ruby: what happened as values, what is to happen as calls (RFC 3050 section 5).
#
#     require "sipcgi"
#
#     SipCgi.run do |call|
#       if call.event == "request"
#         call.proxy call.uri, timeout: 15
#         call.again
#       elsif (100..199).cover?(call.status) || call.pending.positive?
#         call.again
#       elsif [408, 480, 486, 503].include?(call.status)
#         call.proxy "sip:voicemail@example.com"
#       end
#     end
#
# All is printed when the block ends, and nothing when an exception or another exit status than 0 ends it. A value that
# would break its line or mean something else where it is put raises ArgumentError. docs/kits.md has the whole vocabulary.
module SipCgi
  MAX_COOKIE = 4096
  TOKEN = /[A-Za-z0-9\-.!%*_+`'~]+/n # RFC 3261 25.1
  # A quoted string is written so that one without an end costs no more than its length.
  QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/mn
  LIST_ELEMENT = /(?:"[^"\\]*(?:\\.[^"\\]*)*"?|<[^>]*>?|[^,"<]+)+/mn
  NAME_ADDR = /\A(?:#{QUOTED}[ \t]*|([^<>",;]*))<([^<>]*)>(.*)\z/mn
  ADDR_SPEC = /\A([^\s<>",;?]+)[ \t]*(;.*)?\z/mn
  PARAMETER = /\G[ \t]*;[ \t]*([^\s;=",<>]+)(?:[ \t]*=[ \t]*(?:#{QUOTED}|([^\s;",<>]+)))?[ \t]*/mn
  URI = /[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-~]+/n
  DIALOG = "sip:dialog.invalid" # stands for the URI where the dialog has it (RFC 2606: there is no such name)
  ESCAPED = /%([0-9A-Fa-f]{2})/n
  NOT_UNRESERVED = /[^A-Za-z0-9\-_.!~*'()]/n # RFC 3261 25.1

  # Runs the block with a Call, and prints what it asked for. `exit` in it is an end like any other.
  def self.run(environment = ENV)
    call = Call.new(environment)
    process = Process.pid
    begin
      yield call
    rescue SystemExit => e
      print_output(call) if e.success? && Process.pid == process
      raise
    end
    print_output(call) if Process.pid == process # not in a child that the script has forked
  end

  def self.print_output(call)
    $stdout.flush
    $stdout.binmode
    $stdout.write(call.output)
    $stdout.flush
  end
  private_class_method :print_output

  # One address of From, To, Contact and their kind; as text it is its URI.
  class Address
    # +display+ is the display name without quotes: anything at all, and never to be trusted.
    # +user+: what needs no escape is not escaped, the rest still is: fit to be compared and to be put into another URI.
    # +host+ is in lower case, without a dot at its end; an IPv6 address with its brackets.
    # +params+ are those of the header field, names in lower case, "" where one has no value.
    attr_reader :display, :uri, :scheme, :user, :host, :port, :params

    def initialize(display, uri, params)
      @display = display
      @uri = uri
      @params = params
      scheme, _, rest = uri.partition(":")
      @scheme = scheme.downcase
      case @scheme
      when "tel"
        @user = rest.partition(";").first.delete("-.()")
      when "sip", "sips"
        userinfo, at, rest = rest.rpartition("@")
        @user = Text.unescaped(userinfo.partition(":").first) unless at.empty?
        found = rest.match(/\A(\[[^\]]*\]|[^:;?]*)(?::([0-9]{1,5})(?![0-9]))?/)
        @host = found[1].downcase.delete_suffix(".")
        @port = found[2]&.to_i
      end
    end

    def tag
      params["tag"]
    end

    # The preference of a contact, 1.0 where none is said.
    def q
      /\A[01](\.[0-9]{0,3})?\z/.match?(params["q"] || "") ? params["q"].to_f : 1.0
    end

    # Seconds that a registration is still valid.
    def expires
      params["expires"].to_i if /\A[0-9]{1,10}\z/.match?(params["expires"] || "")
    end

    def to_s
      uri
    end

    # The address in a text, nil where there is none.
    def self.parse(text)
      text = Text.trimmed(Text.octets(text))
      if (found = NAME_ADDR.match(text))
        display = found[1] ? Text.unquoted(found[1]) : Text.trimmed(found[2])
        uri, rest = found[3], found[4]
      elsif (found = ADDR_SPEC.match(text)) # RFC 3261 20.10: all parameters are those of the header field
        display, uri, rest = "", found[1], found[2] || ""
      end
      return unless uri && /\A#{URI}\z/n.match?(uri)

      params = parameters(rest)
      new(Text.utf8(display), Text.utf8(uri), params) if params
    end

    def self.parameters(text)
      params = {}
      at = 0
      while at < text.bytesize
        found = PARAMETER.match(text, at)
        return unless found

        value = found[2] ? Text.unquoted(found[2]) : found[3] || ""
        params[Text.utf8(found[1].downcase)] ||= Text.utf8(value)
        at = found.end(0)
      end
      params
    end
    private_class_method :parameters
  end

  # One run of the script.
  class Call
    # +event+: request, response, timeout (a local 408), timer, cancel or ack.
    # +method+ and +uri+: of the request at hand, in other runs of the one that all began with.
    # +status+: of the response at hand, 0 without one; +target+ is the URI that it answers for, +token+ names it in a
    # later forward, +request_token+ is what proxy or request called the request that it answers.
    # +pending+: branches that have no final response yet.
    # +output+: what is printed in the end.
    attr_reader :event, :method, :uri, :status, :reason, :target, :token, :request_token, :pending, :output

    def initialize(environment)
      @environment = environment
      @event = environment["SIPCGI_EVENT"] || ""
      @method = environment["REQUEST_METHOD"] || environment["SIPCGI_METHOD"] || ""
      @uri = environment["REQUEST_URI"] || environment["SIPCGI_URI"] || ""
      @status = environment["RESPONSE_STATUS"].to_i
      @reason = environment["RESPONSE_REASON"] || ""
      @target = environment["SIPCGI_TARGET"] || ""
      @token = environment["RESPONSE_TOKEN"] || ""
      @request_token = environment["REQUEST_TOKEN"] || ""
      @pending = environment["SIPCGI_PENDING"].to_i
      @output = String.new(encoding: Encoding::BINARY)
    end

    # What happened

    def response?
      status.positive?
    end

    def from
      Address.parse(header("From") || "")
    end

    def to
      Address.parse(header("To") || "")
    end

    # The whole value of a header field, nil without one.
    def header(name)
      value = @environment["SIP_#{name.upcase.gsub(/[^A-Z0-9]/, '_')}"]
      value && Text.utf8(value)
    end

    # The elements of a header field that is a list: split at commas, but not in quotes and brackets.
    def headers(name)
      Text.elements(header(name) || "")
    end

    # The addresses of a header field like P-Asserted-Identity; what is none is left out.
    def addresses(name)
      headers(name).map { |element| Address.parse(element) }.compact
    end

    # The phones that the called user has registered, the first is preferred; each has q and expires.
    def get_regs
      found = Text.elements(@environment["REGISTRATIONS"] || "").map { |element| Address.parse(element) }
      found.compact.select { |address| %w[sip sips].include?(address.scheme) }
    end

    def body
      @body ||= $stdin.binmode.read
    end

    # What an earlier run of this transaction assigned, nil before: whatever JSON can hold.
    #
    # The server keeps it between the runs; no message carries it, and none can set SCRIPT_COOKIE.
    def cookie
      text = @environment["SCRIPT_COOKIE"]
      return if text.nil?

      require "json"
      JSON.parse(text, create_additions: false)
    end

    # What is to happen

    def cookie=(state)
      require "json"
      text = JSON.generate(state, ascii_only: true) # blanks and DEL stand in texts alone
      text = text.gsub(/[ \x7f]/) { |character| format("\\u%04x", character.ord) }
      if text.bytesize > MAX_COOKIE
        raise ArgumentError, "cookie: #{text.bytesize} octets, and #{MAX_COOKIE} at most are kept: keep its key only"
      end

      @output << "CGI-SET-COOKIE #{text} SIP/2.0\n\n".b
    end

    # Sends the request to a URI or an Address; several calls fork it. After +timeout+ or +expires+ seconds without a
    # final response the branch ends with a 408; +expires+ tells the callee, too.
    def proxy(uri, timeout: nil, expires: nil, token: nil, **options)
      message(["CGI-PROXY-REQUEST #{Text.uri(uri)} SIP/2.0", *limits(timeout, expires, token)], **options)
    end

    # Has the server send a request of its own, on a route with <tt>originate: true</tt>. +token+ is what request_token is
    # for its responses; that of an earlier INVITE names the dialog which the request goes in: there no URI is needed.
    def request(method, uri = nil, headers: {}, timeout: nil, expires: nil, token: nil, content_type: nil, body: nil)
      uri = DIALOG if token && uri.to_s.empty?
      lines = ["#{Text.request_method(method)} #{Text.uri(uri)} SIP/2.0", *limits(timeout, expires, token)]
      message(lines, headers: headers, content_type: content_type, body: body)
    end

    # Answers the request; without a reason with the standard one.
    def reply(status, reason = "", **options)
      line = "SIP/2.0 #{Text.whole(status, 'status', 100..699)} ".b + Text.line(reason, "reason")
      message([Text.trimmed(line)], **options)
    end

    # Sends a response to the caller: the one at hand, or the one that had this token.
    def forward(token = "this", **options)
      message(["CGI-FORWARD-RESPONSE #{Text.token(token, 'token')} SIP/2.0"], **options)
    end

    # Asks to be run at the next message of this transaction, or +after+ so many seconds without one.
    def again(after: nil)
      message(["CGI-AGAIN yes SIP/2.0", *("CGI-After: #{Text.seconds(after, 'after')}" if after)])
    end

    private

    def limits(timeout, expires, token)
      lines = []
      lines << "CGI-Timeout: #{Text.seconds(timeout, 'timeout')}" if timeout
      lines << "Expires: #{Text.whole(expires, 'expires', 0..(2**32 - 1))}" if expires
      lines << "CGI-Request-Token: #{Text.token(token, 'token')}" if token
      lines
    end

    def message(lines, headers: {}, remove: [], content_type: nil, body: nil)
      headers.each do |name, values|
        (values.is_a?(Array) ? values : [values]).each { |value| lines << "#{Text.field_name(name)}: ".b + Text.line(value, "header #{name}") }
      end
      names = Array(remove).map { |name| Text.token(name, "remove") }
      lines << "CGI-Remove: #{names.join(', ')}" unless names.empty?
      octets = Text.octets(body.to_s)
      if octets.empty?
        raise ArgumentError, "content_type: there is no body of that type" if content_type
      else
        raise ArgumentError, "content_type: a body needs one" if content_type.to_s.empty?

        lines << "Content-Type: ".b + Text.line(content_type, "content_type")
      end
      lines << "Content-Length: #{octets.bytesize}" if body
      @output << lines.map { |line| "#{line.b}\n".b }.join << "\n"
      @output << octets << "\n" unless octets.empty?
      nil
    end
  end

  # The user part of a SIP URI, whatever is in the text.
  def self.escape(text)
    Text.octets(text).gsub(/[^A-Za-z0-9\-_.!~*'()+]/n) { |octet| format("%%%02X", octet.ord) }.encode("UTF-8")
  end

  # The text as a quoted string, as a display name has to be.
  def self.quote(text)
    Text.utf8("\"#{Text.line(text, 'text').gsub(/["\\]/n) { |character| "\\#{character}" }}\"")
  end

  # An address for From, Contact, Diversion and their kind: <tt>"display" <uri>;name=value</tt>.
  def self.address(uri, display = "", params = {})
    text = "#{"#{quote(display)} " unless display.empty?}<#{Text.uri(uri)}>"
    params.each do |name, value|
      written = Text.utf8(Text.line(value, "parameter #{name}"))
      written = quote(written) unless /\A#{TOKEN}?\z/n.match?(written.b)
      text += ";#{Text.token(name, 'parameter')}#{"=#{written}" unless written.empty?}"
    end
    text
  end

  # What stands on both sides: octets, whatever their encoding is said to be.
  module Text
    module_function

    def octets(text)
      text.to_s.b
    end

    def utf8(octets)
      octets.dup.force_encoding(Encoding::UTF_8)
    end

    def elements(text)
      octets(text).scan(LIST_ELEMENT).map { |element| utf8(trimmed(element)) }.reject(&:empty?)
    end

    def trimmed(text)
      text[/\A[ \t]*+(.*[^ \t])/mn, 1] || ""
    end

    def unquoted(text)
      text.gsub(/\\(.)/mn, '\1')
    end

    def unescaped(text)
      text.gsub(ESCAPED) do |escape|
        character = escape[1, 2].hex.chr(Encoding::BINARY)
        NOT_UNRESERVED.match?(character) ? escape.upcase : character
      end
    end

    def line(value, what)
      raise ArgumentError, "#{what}: nil" if value.nil?

      text = octets(value)
      raise ArgumentError, "#{what}: CR, LF or NUL in it" if /[\r\n\0]/n.match?(text)

      text
    end

    def token(value, what)
      text = line(value, what)
      raise ArgumentError, "#{what}: not a token: #{text.inspect}" unless /\A#{TOKEN}\z/n.match?(text)

      text
    end

    def field_name(value)
      name = token(value, "header")
      case name.downcase
      when "content-length", "content-type", "l", "c"
        raise ArgumentError, "header #{name}: use body and content_type"
      when /\Acgi-/n
        raise ArgumentError, "header #{name}: use the argument that means it"
      end
      name
    end

    def request_method(value)
      text = octets(value)
      raise ArgumentError, "method: not a method: #{text.inspect}" unless /\A[A-Za-z]+\z/n.match?(text)

      text
    end

    def uri(value)
      text = octets(value)
      raise ArgumentError, "uri: not a URI: #{text.inspect}" unless /\A#{URI}\z/n.match?(text)

      text
    end

    def seconds(value, what)
      text = value.is_a?(Integer) ? value.to_s : format("%.3f", value)
      return text if /\A[0-9]{1,9}(\.[0-9]{3})?\z/.match?(text) && text.to_f.positive?

      raise ArgumentError, "#{what}: not a number of seconds above 0: #{value.inspect}"
    end

    def whole(value, what, range)
      return value if value.is_a?(Integer) && range.cover?(value)

      raise ArgumentError, "#{what}: not a whole number from #{range.min} to #{range.max}"
    end
  end
end
