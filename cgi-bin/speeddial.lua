#!/usr/bin/lua
-- Speed dial: one key calls what the caller has put on it, so 1 may be somebody else for everybody.
--
-- In conf/sipcgi.yaml:  - {script: speeddial.lua, method: INVITE, uri: "?@example.com"}
-- To adapt: speed-dial.txt, lines of caller, key and URI, read again for each call.
local key = os.getenv("REQUEST_URI"):match("^sips?:([^@]+)@")

-- user@host of the caller, without the display name, in which anything may be written
local from = (os.getenv("SIP_FROM") or ""):gsub("\\.", ""):gsub('"[^"]*"', "")
local uri = from:match("<([^>]*)>") or from:match("^%s*([^%s;]*)")
local caller = (uri:match("^sips?:([^;?]*)") or ""):gsub(":%d+$", ""):gsub("@.*", string.lower)

for line in io.lines("speed-dial.txt") do -- without the file the script fails, and nobody is put through
  local who, pressed, number = line:match("^([^#%s]%S*)%s+(%S+)%s+(%S+)")
  if who == caller and pressed == key then
    print("CGI-PROXY-REQUEST " .. number .. " SIP/2.0\n")
    os.exit(0)
  end
end
print("SIP/2.0 404 Nothing on this key\n")
