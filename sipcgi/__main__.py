"""The command `sipcgi`, which `python -m sipcgi` is as well."""

import sys

from sipcgi.command import end_on_signals, open_standard_streams, serves


def run() -> None:
    open_standard_streams()
    if serves(sys.argv[1:]):
        end_on_signals()
    from sipcgi.cli import main  # which takes its time

    main(prog_name="sipcgi")


if __name__ == "__main__":
    run()
