#!/usr/bin/awk -f
# Redirection: callers are told where users are now, for good (301) or for a while (302), and call there without us.
#
# In conf/sipcgi.yaml:  - {script: moved.awk, method: [INVITE, MESSAGE, SUBSCRIBE], uri: "*@old.example.com"}
# To adapt: moved.txt, lines of user, status, URI and seconds that it holds, read again each time.
BEGIN {
    user = ENVIRON["REQUEST_URI"]
    if (!sub(/^[Ss][Ii][Pp][Ss]?:/, "", user) || !sub(/@.*/, "", user))
        user = ""

    while ((more = (getline line < "moved.txt")) > 0) {
        count = split(line, word)
        if (count < 3 || word[1] != user || (word[2] != 301 && word[2] != 302))
            continue
        print "SIP/2.0 " word[2]       # the standard reason is the server's to add
        print "Contact: <" word[3] ">" (count > 3 ? ";expires=" word[4] : "") "\n"
        exit
    }
    if (more < 0) {                    # that is no reason to say that nobody is here
        print "moved.txt cannot be read" > "/dev/stderr"
        exit 1
    }
    print "SIP/2.0 404 Nobody of that name has moved\n"
}
