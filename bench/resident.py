#!/usr/bin/python3
"""The program of bench/resident.yaml: the choice that Kamailio's embedded Python makes in the other case `resident`."""

from sipcgi_fastcgi import Request, serve


def choose(request: Request) -> str:
    user = request.environment["REQUEST_URI"][len("sip:") :].partition("@")[0]
    place = request.environment["PLACE"]
    return f"CGI-PROXY-REQUEST sip:{user}@{place} SIP/2.0\nX-Bench: resident\n\n"


serve(choose)
