"""`python -m sipcgi` is the command `sipcgi`."""

from sipcgi.cli import main

if __name__ == "__main__":
    main(prog_name="sipcgi")
