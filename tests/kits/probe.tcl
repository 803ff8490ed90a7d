# As probe.py.
package require sipcgi

proc show {args} {
    puts [join $args \t]
}

# What a value that is not there is shown as.
proc known {value} {
    if {$value eq ""} {
        return -
    }
    return $value
}

if {[sip event] eq "ack"} {
    sip request INFO "" -token t -content_type a/b -octets [sip octets]
} elseif {[sip is_response]} {
    show [sip event] [sip method] [sip uri] [sip status] [sip reason] [sip pending] [sip target] [sip token]
    show [sip header subject] [known [sip header X-None]]
    foreach element [sip headers X-List] {
        show $element
    }
    foreach each [sip addresses X-List] {
        dict with each {
            set n -
            if {[dict exists $params n]} {
                set n [dict get $params n]
            }
            show $display $uri $scheme [known $user] [known $host] [known $port] [known $tag] $n
        }
    }
    foreach each [sip get_regs] {
        show [dict get $each uri] [format %g [dict get $each q]] [dict get $each expires]
    }
    if {[dict exists [sip cookie] n]} {
        show [dict get [sip cookie] n]
    }
} else {
    sip proxy [sip uri] -headers [list $env(NAME) $env(VALUE)] -timeout $env(SECONDS) -expires 30 -token $env(TOKEN) \
        -remove [list Subject $env(REMOVE)] -content_type $env(TYPE) -body $env(BODY)
    set contact [sip address sip:[sip escape $env(USER)]@example.com $env(DISPLAY) p $env(PARAM)]
    sip reply $env(STATUS) $env(REASON) -headers [list Contact $contact] -body ""
    sip request $env(METHOD) $env(URI) -headers [list Subject $env(VALUE)] -timeout $env(SECONDS) -expires 60 \
        -token $env(TOKEN) -content_type $env(TYPE) -body $env(BODY)
    sip request BYE "" -token $env(TOKEN)
    sip forward $env(TOKEN)
    sip forward
    sip again -after $env(SECONDS)
    sip cookie n $env(COOKIE)
}
