#!/usr/bin/lua
local env = os.getenv
local function say(...) io.write(table.concat({...}, "\n"), "\n\n") end
local function again() say("CGI-AGAIN yes SIP/2.0") end
local function cookie(text) say("CGI-SET-COOKIE " .. text .. " SIP/2.0") end
local function place(number)
  say(("CGI-PROXY-REQUEST sip:place-%d@example.net SIP/2.0"):format(number), ("CGI-Request-Token: t%d"):format(number))
  cookie(("%d"):format(number))
  again()
end
local function with_body(body, head)
  say(head, "Content-Length: " .. #body)
  io.write(body)
end

local names = {"REQUEST_METHOD", "REQUEST_URI", "SIPCGI_EVENT", "SIPCGI_PENDING", "SIP_X_EMPTY", "SIP_X_LIST",
  "SIP_ACCEPT_CONTACT", "RESPONSE_STATUS", "SCRIPT_COOKIE", "REGISTRATIONS", "SIP_AUTHORIZATION", "SIP_NOBODY", "TZ"}
local uri, status, seen = env("REQUEST_URI"), env("RESPONSE_STATUS"), env("SCRIPT_COOKIE")
local actions = {
  decline = function() say("SIP/2.0 603 No, thanks", "Retry-After: 3600") end,
  moved = function()
    say("SIP/2.0 302 Moved Temporarily", "Contact: <sip:bob@192.0.2.1>;q=0.9",
      [[Contact: "Bob, \"home\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1]])
  end,
  echo = function()
    say("CGI-PROXY-REQUEST " .. uri .. " SIP/2.0", "CGI-Remove: Subject", "X-Seen: " .. env("SIP_SUBJECT"))
  end,
  length = function() say("SIP/2.0 480 Counted", "X-Octets: " .. #env("SIP_SUBJECT")) end,
  body = function()
    local octets = io.read("*a")
    if octets == "" then
      say("SIP/2.0 200 OK", "Content-Length: 0")
    else
      with_body(octets, "SIP/2.0 200 OK\nContent-Type: " .. env("CONTENT_TYPE"))
    end
  end,
  other = function() with_body('{"é": 1}', "CGI-PROXY-REQUEST " .. uri .. " SIP/2.0\nContent-Type: application/json") end,
  fork = function()
    say("CGI-PROXY-REQUEST sip:a@example.net SIP/2.0", "CGI-Timeout: 2.5")
    say("CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0", "CGI-Timeout: 30")
  end,
  hunt = function()
    if not status then
      place(1)
    elseif status:match("^1") then
      say("CGI-FORWARD-RESPONSE this SIP/2.0", "X-Place: " .. seen)
      again()
    elseif status:match("^[345]") then
      place(tonumber(seen) + 1)
    end
  end,
  variables = function()
    local lines = {}
    for _, name in ipairs(names) do
      lines[#lines + 1] = env(name) and name .. "=" .. env(name) or "undefined " .. name
    end
    lines[#lines + 1] = "arguments " .. #arg
    with_body(table.concat(lines, "\n"), "SIP/2.0 480 Listed\nContent-Type: text/plain")
  end,
  bob = function() say("SIP/2.0 480 Listed", "X-Phones: " .. env("REGISTRATIONS")) end,
  timer = function()
    say("SIP/2.0 182 Queued")
    say("CGI-AGAIN yes SIP/2.0", "CGI-After: 5")
  end,
  answer = function()
    with_body("v=0\n", "SIP/2.0 200 OK\nContent-Type: application/sdp")
    cookie("answered")
    again()
  end,
  fail = function()
    say("SIP/2.0 200 OK")
    io.stderr:write("no luck\n")
    os.exit(3)
  end,
  complain = function() io.stderr:write("a word to the log\n") end,
}
local event = env("SIPCGI_EVENT")
if event == "cancel" then
  cookie("cancel")
elseif event == "ack" then
  cookie("answered")
elseif event == "timer" then
  say("SIP/2.0 480 Nobody came")
else
  local action = actions[env("SIPCGI_URI"):match("^sip:([^@]*)@")]
  if action then action() end
end
