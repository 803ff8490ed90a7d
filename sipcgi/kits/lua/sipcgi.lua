-- SIP-CGI for scripts in Lua: what happened as values, what is to happen as calls (RFC 3050 section 5).
--
--     require("sipcgi").run(function(call)
--       if call.event == "request" then
--         call:proxy(call.uri, {timeout = 15})
--         call:again()
--       elseif (call.status >= 100 and call.status < 200) or call.pending > 0 then
--         call:again()
--       elseif call.status == 408 or call.status == 480 or call.status == 486 or call.status == 503 then
--         call:proxy("sip:voicemail@example.com")
--       end
--     end)
--
-- All is printed when the function ends, and nothing when an error or another exit status than 0 ends it. A value that
-- would break its line or mean something else where it is put is an error. docs/kits.md has the whole vocabulary.

local sipcgi = {}

local MAX_COOKIE = 4096
local TOKEN = "^[%w%-.!%%*_+`'~]+$" -- RFC 3261 25.1
local UNRESERVED = "[%w%-_.!~*'()]"
local DIALOG = "sip:dialog.invalid" -- stands for the URI where the dialog has it (RFC 2606: there is no such name)

local function refuse(text, ...)
  error(text:format(...), 0)
end

-- Reading

local function trimmed(text)
  local first = text:find("[^ \t]")
  return first and text:match("^.*[^ \t]", first) or ""
end

-- The index behind the quoted string that begins at `start`, or nil when it has no end.
local function end_of_quoted(text, start)
  local at = start + 1
  while true do
    at = text:find('["\\]', at)
    if not at then
      return nil
    elseif text:sub(at, at) == '"' then
      return at + 1
    end
    at = at + 2
  end
end

local function unquoted(text)
  return (text:sub(2, -2):gsub("\\(.)", "%1"))
end

local function split_list(text)
  local elements, start, at = {}, 1, 1
  local function take(last)
    local element = trimmed(text:sub(start, last))
    if element ~= "" then
      elements[#elements + 1] = element
    end
  end
  while true do
    at = text:find('[,"<]', at)
    if not at then
      take(#text)
      return elements
    end
    local character = text:sub(at, at)
    if character == "," then
      take(at - 1)
      start, at = at + 1, at + 1
    elseif character == '"' then
      at = end_of_quoted(text, at) or #text + 1
    else
      at = (text:find(">", at, true) or #text) + 1
    end
  end
end

-- The parameters in `text`, nil when there is anything else in it.
local function parameters(text)
  local params, at = {}, 1
  while at <= #text do
    local name, behind = text:match('^[ \t]*;[ \t]*([^%s;=",<>]+)[ \t]*()', at)
    if not name then
      return nil
    end
    local value = ""
    local start = text:match("^=[ \t]*()", behind)
    if start and text:sub(start, start) == '"' then
      behind = end_of_quoted(text, start)
      if not behind then
        return nil
      end
      value = unquoted(text:sub(start, behind - 1))
    elseif start then
      value, behind = text:match('^([^%s;",<>]+)()', start)
      if not value then
        return nil
      end
    end
    behind = text:match("^[ \t]*()", behind)
    if params[name:lower()] == nil then
      params[name:lower()] = value
    end
    at = behind
  end
  return params
end

local function is_uri(text)
  return text:find("^%a[%w+.%-]*:[!#-;=?-~]+$") ~= nil
end

local function percent_decoded(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- What needs no escape is not escaped, the rest still is: fit to be compared and to be put into another URI.
local function unescaped(text)
  return (text:gsub("%%(%x%x)", function(digits)
    local character = string.char(tonumber(digits, 16))
    return character:find(UNRESERVED) and character or "%" .. digits:upper()
  end))
end

-- As text it is its URI.
local Address = {}
Address.__index = Address
Address.__tostring = function(address)
  return address.uri
end

-- display: without quotes: anything at all, and never to be trusted. host: in lower case, without a dot at its end; an
-- IPv6 address with its brackets. params: of the header field, names in lower case, "" where one has no value.
-- q: the preference of a contact; expires: seconds that a registration is still valid.
local function new_address(display, uri, params)
  local scheme, rest = uri:match("^([^:]+):(.*)$")
  local address = { display = display, uri = uri, scheme = scheme:lower(), params = params, tag = params.tag, q = 1 }
  if address.scheme == "tel" then
    address.user = rest:match("^[^;]*"):gsub("[-.()]", "")
  elseif address.scheme == "sip" or address.scheme == "sips" then
    local userinfo, behind = rest:match("^(.*)@(.*)$")
    if userinfo then
      address.user = unescaped(userinfo:match("^[^:]*"))
      rest = behind
    end
    local host, port = rest:match("^%b[]"), nil
    host = host or rest:match("^[^:;?]*")
    port = rest:match("^:(%d+)", #host + 1)
    address.host = host:lower():gsub("%.$", "")
    address.port = port and #port <= 5 and tonumber(port) or nil
  end
  local q = params.q or ""
  if q:find("^[01]$") or (q:find("^[01]%.%d*$") and #q <= 5) then
    address.q = tonumber(q)
  end
  local expires = params.expires or ""
  if expires:find("^%d+$") and #expires <= 10 then
    address.expires = tonumber(expires)
  end
  return setmetatable(address, Address)
end

local function parse_address(text)
  text = trimmed(text)
  local display, uri, rest
  local behind = text:sub(1, 1) == '"' and end_of_quoted(text, 1)
  if behind then
    display = unquoted(text:sub(1, behind - 1))
    uri, rest = text:match("^[ \t]*<([^<>]*)>(.*)$", behind)
  else
    display, uri, rest = text:match('^([^<>",;]*)<([^<>]*)>(.*)$')
    display = display and trimmed(display)
  end
  if not uri then -- RFC 3261 20.10: all parameters are those of the header field
    display = ""
    uri, rest = text:match('^([^%s<>",;?]+)[ \t]*(.*)$')
  end
  local params = uri and is_uri(uri) and parameters(rest)
  return params and new_address(display, uri, params) or nil
end

local function addresses(elements, accepts)
  local found = {}
  for _, element in ipairs(elements) do
    local address = parse_address(element)
    if address and (not accepts or accepts(address)) then
      found[#found + 1] = address
    end
  end
  return found
end

-- Writing

local function line(value, what)
  local text = tostring(value)
  if value == nil then
    refuse("%s: nil", what)
  elseif text:find("[\r\n]") or text:find("\0", 1, true) then
    refuse("%s: CR, LF or NUL in it", what)
  end
  return text
end

local function token(value, what)
  local text = line(value, what)
  if not text:find(TOKEN) then
    refuse("%s: not a token: %s", what, text)
  end
  return text
end

local BODY_FIELDS = { ["content-length"] = true, ["content-type"] = true, l = true, c = true }

local function field_name(value)
  local name = token(value, "header")
  if BODY_FIELDS[name:lower()] then
    refuse("header %s: use body and content_type", name)
  elseif name:lower():find("^cgi%-") then
    refuse("header %s: use the option that means it", name)
  end
  return name
end

local function checked_uri(value)
  local text = line(value, "uri")
  if not is_uri(text) then
    refuse("uri: not a URI: %s", text)
  end
  return text
end

local function seconds(value, what)
  local number = tonumber(value)
  local text = number and (number == math.floor(number) and "%.0f" or "%.3f"):format(number) or ""
  if not text:find("^%d+%.?%d*$") or number >= 1e9 or tonumber(text) == 0 then
    refuse("%s: not a number of seconds above 0: %s", what, tostring(value))
  end
  return text
end

local function whole(value, what, least, most)
  local number = tonumber(value)
  if not number or number ~= math.floor(number) or number < least or number > most then
    refuse("%s: not a whole number from %.0f to %.0f", what, least, most)
  end
  return ("%.0f"):format(number)
end

-- `text` as the user part of a SIP URI, whatever is in it.
function sipcgi.escape(text)
  return (tostring(text):gsub("[^%w%-_.!~*'()+]", function(octet)
    return ("%%%02X"):format(octet:byte())
  end))
end

-- `text` as a quoted string, as a display name has to be.
function sipcgi.quote(text)
  return '"' .. line(text, "text"):gsub('["\\]', "\\%0") .. '"'
end

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- An address for From, Contact, Diversion and their kind: "display" <uri>;name=value
function sipcgi.address(uri, display, params)
  local parts = { display and display ~= "" and sipcgi.quote(display) .. " " or "", "<", checked_uri(uri), ">" }
  for _, name in ipairs(sorted_names(params or {})) do
    local value = line(params[name], "parameter " .. tostring(name))
    if value ~= "" then
      value = "=" .. (value:find(TOKEN) and value or sipcgi.quote(value))
    end
    parts[#parts + 1] = ";" .. token(name, "parameter") .. value
  end
  return table.concat(parts)
end

-- A cookie is name=value&name=value, with all but letters, digits and a few signs as %XX.

local function encode(state)
  local parts = {}
  for index, name in ipairs(sorted_names(state)) do
    local kind = type(state[name])
    if type(name) ~= "string" or kind == "table" or kind == "function" or kind == "userdata" or kind == "thread" then
      refuse("cookie: names and texts, numbers or booleans, not a %s at %s", kind, tostring(name))
    end
    parts[index] = sipcgi.escape(name) .. "=" .. sipcgi.escape(state[name])
  end
  return table.concat(parts, "&")
end

local function decode(text)
  local state = {}
  for name, value in text:gmatch("([^&=]*)=([^&]*)") do
    state[percent_decoded(name)] = percent_decoded(value)
  end
  return state
end

-- One run of the script.
local Call = {}
Call.__index = Call

-- event: request, response, timeout (a local 408), timer, cancel or ack. method, uri: of the request at hand, in other
-- runs of the one that all began with. status: of the response at hand, 0 without one; target is the URI it answers for,
-- token names it in a later forward, request_token is what proxy or request called the request that it answers. pending:
-- branches that have no final response yet. from, to: addresses, nil without one.
local function new_call(get)
  local call = setmetatable({ get = get, output = {} }, Call)
  call.event = get("SIPCGI_EVENT") or ""
  call.method = get("REQUEST_METHOD") or get("SIPCGI_METHOD") or ""
  call.uri = get("REQUEST_URI") or get("SIPCGI_URI") or ""
  call.status = tonumber(get("RESPONSE_STATUS")) or 0
  call.is_response = call.status > 0
  call.reason = get("RESPONSE_REASON") or ""
  call.target = get("SIPCGI_TARGET") or ""
  call.token = get("RESPONSE_TOKEN") or ""
  call.request_token = get("REQUEST_TOKEN") or ""
  call.pending = tonumber(get("SIPCGI_PENDING")) or 0
  call.from = parse_address(call:header("From") or "")
  call.to = parse_address(call:header("To") or "")
  return call
end

-- The whole value of a header field, nil without one.
function Call:header(name)
  return self.get("SIP_" .. name:upper():gsub("[^A-Z0-9]", "_"))
end

-- The elements of a header field that is a list: split at commas, but not in quotes and brackets.
function Call:headers(name)
  return split_list(self:header(name) or "")
end

-- The addresses of a header field like P-Asserted-Identity; what is none is left out.
function Call:addresses(name)
  return addresses(self:headers(name))
end

-- The phones that the called user has registered, the first is preferred; each has q and expires.
function Call:get_regs()
  return addresses(split_list(self.get("REGISTRATIONS") or ""), function(address)
    return address.scheme == "sip" or address.scheme == "sips"
  end)
end

function Call:body()
  self.read = self.read or io.read("*a") or ""
  return self.read
end

-- With a table of names and texts it is kept for the next run of this transaction; without one it is what an earlier run
-- gave, nil before. Numbers and booleans come back as texts.
-- The server keeps it between the runs; no message carries it, and none can set SCRIPT_COOKIE.
function Call:cookie(state)
  if state == nil then
    local text = self.get("SCRIPT_COOKIE")
    return text and decode(text)
  end
  local text = encode(state)
  if text == "" then
    refuse("cookie: an empty table")
  elseif #text > MAX_COOKIE then
    refuse("cookie: %d octets, and %d at most are kept: keep its key only", #text, MAX_COOKIE)
  end
  self.output[#self.output + 1] = ("CGI-SET-COOKIE %s SIP/2.0\n\n"):format(text)
end

local OPTIONS = { headers = true, remove = true, content_type = true, body = true }

local function message(call, lines, options, own)
  for name in pairs(options) do
    if not OPTIONS[name] and not own[name] then
      refuse("no option %s", tostring(name))
    end
  end
  local headers = options.headers or {}
  for _, name in ipairs(sorted_names(headers)) do
    local values = headers[name]
    for _, value in ipairs(type(values) == "table" and getmetatable(values) ~= Address and values or { values }) do
      lines[#lines + 1] = field_name(name) .. ": " .. line(value, "header " .. name)
    end
  end
  local remove = options.remove or {}
  local names = {}
  for index, name in ipairs(type(remove) == "table" and remove or { remove }) do
    names[index] = token(name, "remove")
  end
  if #names > 0 then
    lines[#lines + 1] = "CGI-Remove: " .. table.concat(names, ", ")
  end
  local body = options.body and tostring(options.body)
  local has_body = body and body ~= ""
  if has_body and (options.content_type or "") == "" then
    refuse("content_type: a body needs one")
  elseif not has_body and options.content_type then
    refuse("content_type: there is no body of that type")
  elseif has_body then
    lines[#lines + 1] = "Content-Type: " .. line(options.content_type, "content_type")
  end
  if body then
    lines[#lines + 1] = ("Content-Length: %d"):format(#body)
  end
  call.output[#call.output + 1] = table.concat(lines, "\n") .. "\n\n" .. (has_body and body .. "\n" or "")
end

local function send(call, what, uri, options)
  local lines = { ("%s %s SIP/2.0"):format(what, checked_uri(uri)) }
  if options.timeout ~= nil then
    lines[#lines + 1] = "CGI-Timeout: " .. seconds(options.timeout, "timeout")
  end
  if options.expires ~= nil then
    lines[#lines + 1] = "Expires: " .. whole(options.expires, "expires", 0, 2 ^ 32 - 1)
  end
  if options.token ~= nil then
    lines[#lines + 1] = "CGI-Request-Token: " .. token(options.token, "token")
  end
  message(call, lines, options, { timeout = true, expires = true, token = true })
end

-- Sends the request to a URI or an address; several calls fork it. After `timeout` or `expires` seconds without a final
-- response the branch ends with a 408; `expires` tells the callee, too.
function Call:proxy(uri, options)
  send(self, "CGI-PROXY-REQUEST", uri, options or {})
end

-- Has the server send a request of its own, on a route with `originate: true`. `token` is what request_token is for its
-- responses; that of an earlier INVITE names the dialog which the request goes in: there no URI is needed.
function Call:request(method, uri, options)
  options = options or {}
  if not tostring(method):find("^%a+$") then
    refuse("method: not a method: %s", tostring(method))
  elseif options.remove then
    refuse("no option remove")
  end
  if options.token and (uri or "") == "" then
    uri = DIALOG
  end
  send(self, method, uri, options)
end

-- Answers the request; without a reason with the standard one.
function Call:reply(status, reason, options)
  local text = ("SIP/2.0 %s "):format(whole(status, "status", 100, 699)) .. line(reason or "", "reason")
  message(self, { trimmed(text) }, options or {}, {})
end

-- Sends a response to the caller: the one at hand, or the one that had this token.
function Call:forward(response, options)
  local text = ("CGI-FORWARD-RESPONSE %s SIP/2.0"):format(token(response or "this", "token"))
  message(self, { text }, options or {}, {})
end

-- Asks to be run at the next message of this transaction, or, with {after = SECONDS}, at that time without one.
function Call:again(options)
  local after = (options or {}).after
  local lines = { "CGI-AGAIN yes SIP/2.0" }
  if after ~= nil then
    lines[2] = "CGI-After: " .. seconds(after, "after")
  end
  self.output[#self.output + 1] = table.concat(lines, "\n") .. "\n\n"
end

-- Runs the function with a call, and prints what it asked for. os.exit in it is an end like any other.
function sipcgi.run(script)
  local call = new_call(os.getenv)
  local exit = os.exit
  local function print_output()
    io.stdout:write(table.concat(call.output))
    io.stdout:flush()
  end
  os.exit = function(status, ...)
    if status == nil or status == true or status == 0 then
      print_output()
    end
    exit(status, ...)
  end
  script(call)
  os.exit = exit
  print_output()
end

return sipcgi
