"""`python with_names.py RESOLV_CONF PORT serve ...`: sipcgi with this resolv.conf, whose servers are at this port."""

import sys
from functools import partial

from sipcgi import app
from sipcgi.cli import main
from sipcgi.net.dns import Dns
from sipcgi.net.resolver import Resolver

resolv_conf, port, *sys.argv[1:] = sys.argv[1:]
app.Resolver = partial(Resolver, dns=Dns(resolv_conf=resolv_conf, port=int(port)))
main()
