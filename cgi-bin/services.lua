#!/usr/bin/lua
-- Service URIs (RFC 3087): names that stand for a service, not for a person: a conference, a dialog, an announcement.
--
-- In conf/sipcgi.yaml:  - {script: services.lua, method: INVITE, uri: ["conf-*@example.com", "time@example.com"]}
-- To adapt: services.txt, lines of name and URI, read again for each call; a * in both stands for the same text.
local user = os.getenv("REQUEST_URI"):match("^sips?:([^@;?]+)@") or ""

for line in io.lines("services.txt") do -- without the file the script fails, and nobody is put through
  local name, uri = line:match("^([^#%s]%S*)%s+(%S+)")
  if name then
    -- what is no letter or digit stands for itself in the pattern, but * for any text that is not empty
    local pattern = "^" .. name:gsub("%W", "%%%0"):gsub("%%%*", "(.+)") .. "$"
    local rest = user:match(pattern)
    if rest then
      print("CGI-PROXY-REQUEST " .. uri:gsub("%*", (rest:gsub("%%", "%%%%"))) .. " SIP/2.0\n")
      os.exit(0)
    end
  end
end
print("SIP/2.0 404 No such service\n")
