"""What is wrong with the FastCGI programs of a configuration: keys that contradict each other, or lead nowhere."""

import socket
from collections.abc import Iterator

from sipcgi.cgi.routes import CGI
from sipcgi.config import schema
from sipcgi.config.document import Document
from sipcgi.config.running import hosting
from sipcgi.hosts.fastcgi_place import host_and_port
from sipcgi.profile import FASTCGI, Hosting

MOST_PATH = 103
"""Octets of the path of a socket: Linux takes 107, and ours is made under a name that is longer by 4."""
OF_PROCESSES = ("limits", "isolation", "user", "group", "readable", "writable")


def note_programs(document: Document, file: schema.File) -> None:
    """Adds it to the mistakes of the document."""
    started: dict[str, tuple[int, Hosting, schema.RouteEntry]] = {}
    for number, entry in enumerate(file.routes):
        made = hosting(entry, file.scripts)
        for key, text in _mistakes(entry, made, file.scripts):
            document.add(("routes", number, key), text)
        if not (made.fastcgi and made.processes):
            continue
        first, other, others = started.setdefault(made.fastcgi, (number, made, entry))
        if other != made or any(getattr(entry, key) != getattr(others, key) for key in OF_PROCESSES):
            text = f"routes.{first} starts another program there: leave out `fastcgi`, or name the same program"
            document.add(("routes", number, "fastcgi"), text)


def _mistakes(entry: schema.RouteEntry, made: Hosting, scripts: schema.Scripts) -> Iterator[tuple[str, str]]:
    """Key and text of each."""
    if made.host != FASTCGI:
        for key in ("fastcgi", "command", "processes"):
            if getattr(entry, key):
                yield key, f"belongs to `host: fastcgi`, and this route has `host: {made.host}`"
        return
    if not (made.fastcgi or made.processes):
        yield "host", "fastcgi needs `fastcgi:`, where the program listens, or `processes:`, how many the server starts"
    if entry.script == [entry.fastcgi] and entry.processes and not entry.command:
        yield "processes", "nothing says what to start: name it in `script` or `command`"
    if len(entry.script) > 1:
        yield "script", "is a list: a FastCGI program is one"
    if entry.preload:
        yield "preload", "is for `host: warm`: a FastCGI program loads what it needs itself"
    if (entry.style or scripts.style) != CGI:
        yield "style", "a FastCGI program has no arguments, which this style needs: write `style: cgi`"
    if not made.processes:
        for key in OF_PROCESSES:
            if key in entry.model_fields_set:
                yield key, "has no effect on a program that somebody else starts"
    if made.fastcgi and (text := _place_mistake(made)):
        yield "fastcgi", text


def _place_mistake(made: Hosting) -> str:
    if made.fastcgi.startswith("unix://"):
        path = made.fastcgi.removeprefix("unix://")
        return f"a socket's path has at most {MOST_PATH} octets" if len(path.encode()) > MOST_PATH else ""
    host, _ = host_and_port(made.fastcgi)
    if made.processes and not _is_ours(host):
        return f"{host} is no address of this machine, and the server starts its programs here"
    return ""


def _is_ours(host: str) -> bool:
    """Whether a socket can listen there: an address of this machine, or its own name for itself."""
    if host == "localhost":
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            address = socket.getaddrinfo(host, 0, family, flags=socket.AI_NUMERICHOST)[0][4]
            probe.bind(address)
    except OSError:
        return False
    return True
