#!/usr/bin/env python3
"""behave.py as a FastCGI program: compiled once, run for each request."""

from pathlib import Path

from sipcgi_fastcgi import Request, serve

CODE = compile(Path("behave.py").read_bytes(), "behave.py", "exec")


def behave(request: Request) -> None:
    exec(CODE, {"__name__": "__main__"})


serve(behave)
