#!/usr/bin/env python3
import os
import sys

environment = os.environb
out = sys.stdout.buffer


def say(*lines):
    out.write(b"\n".join(lines) + b"\n\n")


def again():
    say(b"CGI-AGAIN yes SIP/2.0")


def cookie(text):
    say(b"CGI-SET-COOKIE %s SIP/2.0" % text)


def place(number):
    say(b"CGI-PROXY-REQUEST sip:place-%d@example.net SIP/2.0" % number, b"CGI-Request-Token: t%d" % number)
    cookie(b"%d" % number)
    again()


def with_body(body, *lines):
    say(*lines, b"Content-Length: %d" % len(body))
    out.write(body)


NAMES = """REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT
    RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ"""


def variables():
    for name in NAMES.encode().split():
        yield name + b"=" + environment[name] if name in environment else b"undefined " + name
    yield b"arguments %d" % (len(sys.argv) - 1)


uri = environment.get(b"REQUEST_URI", b"")
status = environment.get(b"RESPONSE_STATUS", b"")
match (environment[b"SIPCGI_EVENT"].decode(), environment[b"SIPCGI_URI"][4:].split(b"@")[0].decode(), status[:1]):
    case "cancel", _, _:
        cookie(b"cancel")
    case "ack", _, _:
        cookie(b"answered")
    case "timer", _, _:
        say(b"SIP/2.0 480 Nobody came")
    case _, "decline", _:
        say(b"SIP/2.0 603 No, thanks", b"Retry-After: 3600")
    case _, "moved", _:
        home = b'Contact: "Bob, \\"home\\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1'
        say(b"SIP/2.0 302 Moved Temporarily", b"Contact: <sip:bob@192.0.2.1>;q=0.9", home)
    case _, "echo", _:
        say(b"CGI-PROXY-REQUEST %s SIP/2.0" % uri, b"CGI-Remove: Subject", b"X-Seen: " + environment[b"SIP_SUBJECT"])
    case _, "length", _:
        say(b"SIP/2.0 480 Counted", b"X-Octets: %d" % len(environment[b"SIP_SUBJECT"]))
    case _, "body", _:
        if octets := sys.stdin.buffer.read():
            with_body(octets, b"SIP/2.0 200 OK", b"Content-Type: " + environment[b"CONTENT_TYPE"])
        else:
            say(b"SIP/2.0 200 OK", b"Content-Length: 0")
    case _, "other", _:
        with_body('{"é": 1}'.encode(), b"CGI-PROXY-REQUEST %s SIP/2.0" % uri, b"Content-Type: application/json")
    case _, "fork", _:
        say(b"CGI-PROXY-REQUEST sip:a@example.net SIP/2.0", b"CGI-Timeout: 2.5")
        say(b"CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0", b"CGI-Timeout: 30")
    case _, "hunt", b"":
        place(1)
    case _, "hunt", b"1":
        say(b"CGI-FORWARD-RESPONSE this SIP/2.0", b"X-Place: " + environment[b"SCRIPT_COOKIE"])
        again()
    case _, "hunt", b"3" | b"4" | b"5":
        place(int(environment[b"SCRIPT_COOKIE"]) + 1)
    case _, "variables", _:
        with_body(b"\n".join(variables()), b"SIP/2.0 480 Listed", b"Content-Type: text/plain")
    case _, "bob", _:
        say(b"SIP/2.0 480 Listed", b"X-Phones: " + environment[b"REGISTRATIONS"])
    case _, "timer", _:
        say(b"SIP/2.0 182 Queued")
        say(b"CGI-AGAIN yes SIP/2.0", b"CGI-After: 5")
    case _, "answer", _:
        with_body(b"v=0\n", b"SIP/2.0 200 OK", b"Content-Type: application/sdp")
        cookie(b"answered")
        again()
    case _, "fail", _:
        say(b"SIP/2.0 200 OK")
        out.flush()
        print("no luck", file=sys.stderr)
        sys.exit(3)
    case _, "complain", _:
        print("a word to the log", file=sys.stderr)
