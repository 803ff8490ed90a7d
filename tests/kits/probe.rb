# As probe.py.
require "sipcgi"

def show(*values)
  puts values.map { |value| value.nil? ? "-" : value }.join("\t")
end

def read(call)
  show call.event, call.method, call.uri, call.status, call.reason, call.pending, call.target, call.token
  show call.header("subject"), call.header("X-None")
  call.headers("X-List").each { |element| show element }
  call.addresses("X-List").each do |each|
    show each.display, each, each.scheme, each.user, each.host, each.port, each.tag, each.params["n"]
  end
  call.get_regs.each { |each| show each, format("%g", each.q), each.expires }
  show call.cookie["n"] if call.cookie
end

def ask(call, value)
  call.proxy call.uri, headers: { value["NAME"] => value["VALUE"] }, timeout: Integer(value["SECONDS"]), expires: 30,
                       token: value["TOKEN"], remove: ["Subject", value["REMOVE"]], content_type: value["TYPE"],
                       body: value["BODY"]
  contact = SipCgi.address("sip:#{SipCgi.escape(value['USER'])}@example.com", value["DISPLAY"], { p: value["PARAM"] })
  call.reply Integer(value["STATUS"]), value["REASON"], headers: { "Contact" => contact }, body: ""
  call.request value["METHOD"], value["URI"], headers: { Subject: value["VALUE"] }, timeout: Integer(value["SECONDS"]),
                                              expires: 60, token: value["TOKEN"], content_type: value["TYPE"],
                                              body: value["BODY"]
  call.request "BYE", token: value["TOKEN"]
  call.forward value["TOKEN"]
  call.forward
  call.again after: Integer(value["SECONDS"])
  call.cookie = { n: value["COOKIE"] }
end

SipCgi.run do |call|
  if call.event == "ack"
    call.request "INFO", token: "t", content_type: "a/b", body: call.body
  else
    call.response? ? read(call) : ask(call, ENV)
  end
end
