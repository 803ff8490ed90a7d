"""The command line: `sipcgi` and its sub-commands. What a command needs is imported when it runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from sipcgi import __version__

EX_CONFIG = 78
"""Exit status for a wrong configuration (sysexits.h)."""

F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """A group where no sub-command means `serve`, with its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0].split("=")[0] not in ("--help", "-h", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sipcgi", message="%(prog)s %(version)s")
def main() -> None:
    """A SIP server that is programmed by dropping a script into a folder (RFC 3050).

    Without a command: serve, which takes the same options.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no text, and a terminal may lack letters
            stream.reconfigure(errors="backslashreplace")


def overrides(command: F) -> F:
    """The options that name the configuration and override it."""
    options = [
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The configuration. Default: the first that exists of conf/sipcgi.yaml and /etc/sipcgi/sipcgi.yaml; "
            "with neither, built-in defaults and the scripts in cgi-bin.",
        ),
        click.option("--listen", multiple=True, metavar="URL", help="Like udp://0.0.0.0:5060. Repeatable."),
        click.option("--domain", "domains", multiple=True, metavar="NAME", help="A domain of ours. Repeatable."),
        click.option("--scripts", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the scripts."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@overrides
def serve(config: Path | None, listen: tuple[str, ...], domains: tuple[str, ...], scripts: Path | None) -> None:
    """Run the server. SIGTERM ends it, SIGHUP makes it read its configuration again."""
    from sipcgi import app
    from sipcgi.config.scripts import load_with_scripts

    sys.exit(app.serve(partial(load_with_scripts, config, listen=listen, domains=domains, scripts=scripts)))


@main.command()
@overrides
def check(config: Path | None, listen: tuple[str, ...], domains: tuple[str, ...], scripts: Path | None) -> None:
    """Read the configuration and look at the scripts, but start nothing.

    Exit status 78, and file:line: key: what is wrong for every mistake, on standard error.
    """
    from sipcgi.config.mistakes import ConfigErrors
    from sipcgi.config.scripts import load_with_scripts
    from sipcgi.hosts.directory import ScriptDirectory

    try:
        configuration = load_with_scripts(config, listen=listen, domains=domains, scripts=scripts, startable=True)
    except ConfigErrors as error:
        for mistake in error.errors:
            click.echo(str(mistake), err=True)
        sys.exit(EX_CONFIG)
    directory = ScriptDirectory(str(configuration.scripts.directory))
    names = {*directory.scripts(), *(directory.locate(route.script) for route in configuration.routes)}
    routes = counted(len(configuration.routes), "route")
    click.echo(f"{configuration.source}: ok, {routes}, {counted(len(names), 'script')}")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
