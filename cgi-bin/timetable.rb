#!/usr/bin/ruby
# Time of day with holidays: a timetable says when the shop is open; else the voicemail answers.
#
# In conf/sipcgi.yaml:  - {script: timetable.rb, method: INVITE, uri: "shop@example.com"}
# To adapt: timetable.txt, lines of a day and when it is open, read again for each call; a date beats a day of the week.
# The time zone is the server's, unless the route has an environment: {TZ: Europe/Berlin}.
SHOP, VOICEMAIL = "sip:till@example.com", "sip:voicemail@example.com"

begin
  days = File.readlines("timetable.txt").map(&:split).to_h { |day, *spans| [day, spans] }
rescue SystemCallError => error # who does not know takes no calls to an empty shop
  warn error.message
  days = {}
end

now = ENV["NOW"] ? Time.at(ENV["NOW"].to_i) : Time.now # NOW, in seconds since 1970, is for tests
names = [now.strftime("%Y-%m-%d"), now.strftime("%m-%d"), now.strftime("%a").downcase]
spans = days[names.find { |name| days.key?(name) }] || []
clock = now.strftime("%H:%M")
open = spans.any? { |span| clock >= span[/\A[^-]*/] && clock < span[/-(.*)/, 1].to_s }

puts "CGI-PROXY-REQUEST #{open ? SHOP : VOICEMAIL} SIP/2.0\n\n"
