"""Who has the port that we want."""

from sipcgi.flow import HostPort
from sipcgi.net.interface import WILDCARDS


def holder(transport: str, local: HostPort) -> str:
    """The process that has it, or how to find out: whose process it is may hide it. Takes up to a second."""
    import psutil  # takes 10 ms, and is hardly ever needed

    datagrams = transport == "UDP"
    try:
        for one in psutil.net_connections("udp" if datagrams else "tcp"):
            if not one.laddr or one.laddr.port != local.port or not (datagrams or one.status == psutil.CONN_LISTEN):
                continue
            if one.pid and (local.host in WILDCARDS or one.laddr.ip in (local.host, *WILDCARDS)):
                return f"process {one.pid} ({psutil.Process(one.pid).name()}) has it"
    except (psutil.Error, OSError):
        pass
    return f"`ss -l{'u' if datagrams else 't'}np sport = :{local.port}` as root tells who has it"
