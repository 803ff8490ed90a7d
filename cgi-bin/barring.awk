#!/usr/bin/awk -f
# Call filtering, outbound: which numbers may be dialled; they go to the gateway, all others are refused.
#
# In conf/sipcgi.yaml:  - {script: barring.awk, method: INVITE, uri: ["+*@example.com", "[0-9]*@example.com", "tel:*"]}
# To adapt: the gateway; barring.txt, lines of allow or bar and how a number begins, read again for each call.
BEGIN {
    gateway = "gateway.example.com"
    split("112 911", emergency)         # whatever the list says, and if there is none

    number = ENVIRON["REQUEST_URI"]
    sub(/^[A-Za-z]+:/, "", number)      # sip:+1-201-555-0123@example.com;user=phone and tel:+1-201-555-0123;x=y
    sub(/[@;?].*/, "", number)
    gsub(/[-.()]/, "", number)

    verdict = "bar"                     # what is on no list is barred; of those that fit the longest counts
    while ((more = (getline line < "barring.txt")) > 0) {
        split(line, word)
        if ((word[1] == "allow" || word[1] == "bar") && index(number, word[2]) == 1 && length(word[2]) > longest) {
            longest = length(word[2])
            verdict = word[1]
        }
    }
    if (more < 0)
        print "barring.txt cannot be read" > "/dev/stderr"
    if (number !~ /^[+]?[0-9]+$/)       # with %39 for 9 one might get past a list of digits
        verdict = "bar"
    for (each in emergency)
        if (number == emergency[each])
            verdict = "allow"

    if (verdict == "allow")
        print "CGI-PROXY-REQUEST sip:" number "@" gateway ";user=phone SIP/2.0\n"
    else
        print "SIP/2.0 403 This number is barred\n"
}
