-- As probe.py.
local sipcgi = require("sipcgi")

local function show(...)
  local texts = {}
  for index = 1, select("#", ...) do
    local value = select(index, ...)
    texts[index] = value == nil and "-" or tostring(value)
  end
  print(table.concat(texts, "\t"))
end

local function read(call)
  show(call.event, call.method, call.uri, call.status, call.reason, call.pending, call.target, call.token)
  show(call:header("subject"), (call:header("X-None")))
  for _, element in ipairs(call:headers("X-List")) do
    show(element)
  end
  for _, each in ipairs(call:addresses("X-List")) do
    show(each.display, each, each.scheme, each.user, each.host, each.port, each.tag, each.params.n)
  end
  for _, each in ipairs(call:get_regs()) do
    show(each, ("%g"):format(each.q), ("%d"):format(each.expires))
  end
  if call:cookie() then
    show(call:cookie().n)
  end
end

local function ask(call, value)
  call:proxy(call.uri, {
    headers = { [value("NAME")] = value("VALUE") },
    timeout = value("SECONDS"),
    expires = 30,
    token = value("TOKEN"),
    remove = { "Subject", value("REMOVE") },
    content_type = value("TYPE"),
    body = value("BODY"),
  })
  local uri = "sip:" .. sipcgi.escape(value("USER")) .. "@example.com"
  local contact = sipcgi.address(uri, value("DISPLAY"), { p = value("PARAM") })
  call:reply(value("STATUS"), value("REASON"), { headers = { Contact = contact }, body = "" })
  call:request(value("METHOD"), value("URI"), {
    headers = { Subject = value("VALUE") },
    timeout = value("SECONDS"),
    expires = 60,
    token = value("TOKEN"),
    content_type = value("TYPE"),
    body = value("BODY"),
  })
  call:request("BYE", nil, { token = value("TOKEN") })
  call:forward(value("TOKEN"))
  call:forward()
  call:again({ after = value("SECONDS") })
  call:cookie({ n = value("COOKIE") })
end

sipcgi.run(function(call)
  if call.event == "ack" then
    call:request("INFO", nil, { token = "t", content_type = "a/b", body = call:body() })
  elseif call.is_response then
    read(call)
  else
    ask(call, os.getenv)
  end
end)
