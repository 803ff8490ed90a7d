#!/usr/bin/env lua
-- What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
--
-- For a call:               sipcgi try NAME
-- And for what comes next:  sipcgi try NAME --response 486 --cookie rang
local blocked = "@vinylsiding.com"
local voicemail = "sip:voicemail@example.net"
local again = "CGI-AGAIN yes SIP/2.0\n\n" -- run me at the next message, too

local status = tonumber(os.getenv("RESPONSE_STATUS") or 0)
local pending = tonumber(os.getenv("SIPCGI_PENDING") or 0) -- phones that have not answered
if (os.getenv("SIPCGI_EVENT") or "request") == "request" then
  -- the call comes in: headers are in SIP_..., the body is on standard input
  if (os.getenv("SIP_FROM") or ""):find(blocked, 1, true) then
    io.write("SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n\n") -- status line, header fields, blank line
  else -- the call goes where it was going, for 20 seconds; then, or at an answer, run me again
    io.write("CGI-PROXY-REQUEST ", os.getenv("REQUEST_URI"), " SIP/2.0\nCGI-Timeout: 20\n\n")
    io.write("CGI-SET-COOKIE rang SIP/2.0\n\n", again)
  end
elseif status >= 100 and status < 200 or pending > 0 then -- it rings, or another phone still does
  io.write(again)
elseif os.getenv("SCRIPT_COOKIE") == "rang" and (" 408 480 486 503 "):find(" " .. status .. " ", 1, true) then
  io.write("CGI-PROXY-REQUEST ", voicemail, " SIP/2.0\n\n") -- no answer, not there, busy, out of reach
end

-- Nothing printed: the server does what it does without a script.
