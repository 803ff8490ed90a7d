#!/usr/bin/ruby
# Call return: *69 calls back who called last, whether that call was answered or not.
#
# In conf/sipcgi.yaml:  - {script: [callreturn.rb, ringing.pl], method: INVITE, uri: "*@example.com", reroute: true}
# With reroute a call back passes your call filters, too. Callers are believed to be who they say: authenticate them.
# To adapt: CALLERS in the script's environment, a folder of the server's own, in which each user has a file.
CALLERS = ENV.fetch("CALLERS", "/var/lib/sipcgi/callers")

# [user, host, URI] of an address, without the display name, in which anything may be written
def parts(address)
  text = address.to_s.b.gsub(/\\./n, "").gsub(/"[^"]*"/n, "")
  uri = text[/<([^>]*)>/n, 1] || text[/\A\s*([^\s;]+)/n, 1]
  uri =~ /\Asips?:([^@;?\s<]+)@([^:;?\s]+)[!-;=?-~]*\z/n ? [$1, $2.downcase, uri] : nil
end

# The file of a user; in its name only letters, digits, + and - stay what they are.
def file_of((user, host))
  File.join(CALLERS, "#{user}@#{host}".gsub(/[^A-Za-z0-9+-]/n) { |octet| format("_%02X", octet.ord) })
end

caller, called = parts(ENV["SIP_FROM"]), parts(ENV["REQUEST_URI"])
if called && called[0] == "*69"
  last = caller && File.file?(file_of(caller)) ? File.read(file_of(caller)).strip : ""
  puts last.empty? ? "SIP/2.0 480 Nobody has called\n\n" : "CGI-PROXY-REQUEST #{last} SIP/2.0\n\n"
elsif caller && called && ENV["REGISTRATIONS"] && caller[0] != "anonymous"
  begin # only users with a phone have a file, so that nobody fills the disk; the call goes on in any case
    File.write("#{file_of(called)}.#{$$}", "#{caller[2]}\n")
    File.rename("#{file_of(called)}.#{$$}", file_of(called))
  rescue SystemCallError => error
    warn "cannot note who called: #{error.message}"
  end
end
