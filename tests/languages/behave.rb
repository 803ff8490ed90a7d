#!/usr/bin/ruby
def say(*lines) = print(lines.join("\n"), "\n\n")
def again = say("CGI-AGAIN yes SIP/2.0")
def cookie(text) = say("CGI-SET-COOKIE #{text} SIP/2.0")

def place(number)
  say "CGI-PROXY-REQUEST sip:place-#{number}@example.net SIP/2.0", "CGI-Request-Token: t#{number}"
  cookie number
  again
end

def with_body(body, *lines)
  say(*lines, "Content-Length: #{body.bytesize}")
  print body
end

NAMES = %w[REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT
           RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ].freeze

uri, seen = ENV.values_at("REQUEST_URI", "SCRIPT_COOKIE")
user = ENV["SIPCGI_URI"][/\Asip:([^@]*)@/, 1]
case [ENV["SIPCGI_EVENT"], user, ENV["RESPONSE_STATUS"].to_s[0]]
in ["cancel", _, _] then cookie "cancel"
in ["ack", _, _] then cookie "answered"
in ["timer", _, _] then say "SIP/2.0 480 Nobody came"
in [_, "decline", _] then say "SIP/2.0 603 No, thanks", "Retry-After: 3600"
in [_, "moved", _]
  say "SIP/2.0 302 Moved Temporarily", "Contact: <sip:bob@192.0.2.1>;q=0.9",
      'Contact: "Bob, \"home\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1'
in [_, "echo", _]
  say "CGI-PROXY-REQUEST #{uri} SIP/2.0", "CGI-Remove: Subject", "X-Seen: #{ENV["SIP_SUBJECT"]}"
in [_, "length", _] then say "SIP/2.0 480 Counted", "X-Octets: #{ENV["SIP_SUBJECT"].bytesize}"
in [_, "body", _]
  octets = $stdin.read
  if octets.empty?
    say "SIP/2.0 200 OK", "Content-Length: 0"
  else
    with_body octets, "SIP/2.0 200 OK", "Content-Type: #{ENV["CONTENT_TYPE"]}"
  end
in [_, "other", _] then with_body '{"é": 1}', "CGI-PROXY-REQUEST #{uri} SIP/2.0", "Content-Type: application/json"
in [_, "fork", _]
  say "CGI-PROXY-REQUEST sip:a@example.net SIP/2.0", "CGI-Timeout: 2.5"
  say "CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0", "CGI-Timeout: 30"
in [_, "hunt", nil] then place 1
in [_, "hunt", "1"]
  say "CGI-FORWARD-RESPONSE this SIP/2.0", "X-Place: #{seen}"
  again
in [_, "hunt", "3" | "4" | "5"] then place seen.to_i + 1
in [_, "variables", _]
  lines = NAMES.map { |name| ENV.key?(name) ? "#{name}=#{ENV[name]}" : "undefined #{name}" }
  with_body [*lines, "arguments #{ARGV.size}"].join("\n"), "SIP/2.0 480 Listed", "Content-Type: text/plain"
in [_, "bob", _] then say "SIP/2.0 480 Listed", "X-Phones: #{ENV["REGISTRATIONS"]}"
in [_, "timer", _]
  say "SIP/2.0 182 Queued"
  say "CGI-AGAIN yes SIP/2.0", "CGI-After: 5"
in [_, "answer", _]
  with_body "v=0\n", "SIP/2.0 200 OK", "Content-Type: application/sdp"
  cookie "answered"
  again
in [_, "fail", _]
  say "SIP/2.0 200 OK"
  warn "no luck"
  exit 3
in [_, "complain", _] then warn "a word to the log"
else nil
end
