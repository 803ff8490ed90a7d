"""Kamailio as a process: a proxy that others wrote, with the route blocks of a test."""

import subprocess
import time
from pathlib import Path

from authority import Authority
from running import HOST, START, free_port, wait_or_kill

CONFIGURATION = """#!KAMAILIO
children=1
tcp_children=1
debug=1
log_stderror=yes
auto_aliases=no
dns_cache_init=off
{listen}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "exec.so"
{tls}

request_route {{
    xlog("L_NOTICE", "takes $rm over $pr\\n");
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (loose_route() && has_totag()) {{
        t_relay();
        exit;
    }}
    record_route();
    {route}
}}
"""
TLS = """enable_tls=yes
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{certificate}")
modparam("tls", "ca_list", "{authority}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 0)
"""


class Kamailio:
    """It listens on UDP, TCP and, with an authority, TLS; what it may do with an initial request says `route`."""

    def __init__(self, kamailio: str, folder: Path, route: str, authority: Authority | None = None) -> None:
        folder.mkdir()
        transports = ["udp", "tcp", *(["tls"] if authority is not None else [])]
        self.places = {transport: f"{HOST}:{free_port()}" for transport in transports}
        self.port = int(self.places["udp"].partition(":")[2])
        tls = ""
        if authority is not None:
            tls = TLS.format(certificate=authority.certificate(HOST, "kamailio"), authority=authority.file)
        listen = "\n".join(f"listen={transport}:{place}" for transport, place in self.places.items())
        (folder / "kamailio.cfg").write_text(CONFIGURATION.format(listen=listen, tls=tls, route=route))
        self.output = folder / "output.log"
        options = ["-DD", "-E", "-m", "32", "-M", "4"]  # in the foreground, with little memory
        command: list[str | Path] = [kamailio, "-f", folder / "kamailio.cfg", "-w", folder, "-Y", folder, *options]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def ready(self) -> None:
        """Waits until it listens, last of all on the streams."""
        end = time.monotonic() + START
        number = f"0100007F:{int(list(self.places.values())[-1].partition(':')[2]):04X} "
        while number not in Path("/proc/net/tcp").read_text():
            assert self.process.poll() is None, self.says()
            assert time.monotonic() < end, self.says()
            time.sleep(0.02)

    def takes(self, what: str) -> int:
        """How many requests like "INVITE over udp" it has had."""
        return self.says().count(f"takes {what}\n")

    def says(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def quit(self) -> None:
        self.process.terminate()
        wait_or_kill(self.process)
