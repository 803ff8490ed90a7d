-- The idiom of Lua: tables, tostring, errors, os.exit.
local sipcgi = require("sipcgi")

-- What a script of these lines prints in a run with these variables, and whether its exit status was 0.
local function script(lines, variables)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write('local sipcgi = require("sipcgi")\nsipcgi.run(function(call)\n', lines, "\nend)\n")
  file:close()
  local pipe = assert(io.popen(("%s %s %s 2>/dev/null && echo well"):format(variables or "", arg[-1], name)))
  local printed = pipe:read("*a")
  pipe:close()
  os.remove(name)
  local output, well = printed:gsub("well\n$", "")
  return output, well == 1
end

local function expect(lines, output, well, variables)
  local printed, ended_well = script(lines, variables)
  assert(printed == output and ended_well == (well ~= false), lines .. "\n" .. printed)
end

local BUSY = "SIP/2.0 486\n\n"

-- the end of the function is what counts
expect("call:reply(486)", BUSY)
expect("call:reply(486) os.exit(0)", BUSY)
expect("call:reply(486) os.exit()", BUSY)
expect("call:reply(486) os.exit(true)", BUSY)
expect("call:reply(486) os.exit(3)", "", false)
expect("call:reply(486) error('no')", "", false)
expect("call:reply(486) print(1)", "1\n" .. BUSY)

-- values
local FROM = [[SIP_FROM='"A" <sip:al@example.com>;tag=1']]
expect("print(call.from.user, tostring(call.from), call.to, call:header('Subject'), #call:headers('Subject'))",
  "al\tsip:al@example.com\tnil\tnil\t0\n", true, FROM)
local REGISTRATIONS = "REGISTRATIONS='<sip:a@192.0.2.1>;q=0.5;expires=60, <sip:b@192.0.2.2>'"
expect("for _, reg in ipairs(call:get_regs()) do call:proxy(reg, {headers = {Priority = 'urgent', A = {1, 2}}}) end",
  "CGI-PROXY-REQUEST sip:a@192.0.2.1 SIP/2.0\nA: 1\nA: 2\nPriority: urgent\n\n"
    .. "CGI-PROXY-REQUEST sip:b@192.0.2.2 SIP/2.0\nA: 1\nA: 2\nPriority: urgent\n\n", true, REGISTRATIONS)
expect("call:again({after = 2.5})", "CGI-AGAIN yes SIP/2.0\nCGI-After: 2.500\n\n")
expect("call:reply(200, 'OK', {content_type = 'text/plain', body = 'a\\0b'})",
  "SIP/2.0 200 OK\nContent-Type: text/plain\nContent-Length: 3\n\na\0b\n")
expect("call:request('MESSAGE', call.from, {content_type = 'text/plain', body = 'hi'}) call:request('ACK', nil, {token = 'callee'})",
  "MESSAGE sip:al@example.com SIP/2.0\nContent-Type: text/plain\nContent-Length: 2\n\nhi\n"
    .. "ACK sip:dialog.invalid SIP/2.0\nCGI-Request-Token: callee\n\n", true, FROM)

-- cookies
expect("assert(call:cookie() == nil) call:cookie({n = 3, ['a b'] = true, text = '\\0\\255'})",
  "CGI-SET-COOKIE a%20b=true&n=3&text=%00%FF SIP/2.0\n\n")
expect("local c = call:cookie() print(c.n + 1, c['a b'], c.text == '\\0\\255')", "4\ttrue\ttrue\n", true,
  "SCRIPT_COOKIE='a%20b=true&n=3&text=%00%FF'")

-- errors name the argument
local function refused(lines, message)
  expect(("local ok, text = pcall(function() %s end) print(ok, text)"):format(lines), ("false\t%s\n"):format(message))
end
refused("call:proxy('sip:a@b', {headers = {Subject = 'a\\0b'}})", "header Subject: CR, LF or NUL in it")
refused("call:proxy('sip:a@b', {timeuot = 1})", "no option timeuot")
refused("call:proxy('sip:a@b', {expires = 2 ^ 32})", "expires: not a whole number from 0 to 4294967295")
refused("call:proxy('sip:a@b', {timeout = 0 / 0})", "timeout: not a number of seconds above 0: " .. tostring(0 / 0))
refused("call:request('CGI-AGAIN', 'yes:')", "method: not a method: CGI-AGAIN")
refused("call:request('BYE', '')", "uri: not a URI: ")
refused("call:request('BYE')", "uri: nil")
refused("call:request('MESSAGE', 'sip:a@b', {remove = 'Date'})", "no option remove")
refused("call:cookie({a = {}})", "cookie: names and texts, numbers or booleans, not a table at a")
refused("call:cookie({})", "cookie: an empty table")

assert(sipcgi.quote('a"b\\') == '"a\\"b\\\\"')
assert(sipcgi.escape("é@+") == "%C3%A9%40+")
assert(sipcgi.address("sip:a@b", "", { lr = "", q = 0.5 }) == "<sip:a@b>;lr;q=0.5")
print("all is well")
