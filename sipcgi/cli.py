"""The command line: `sipcgi` and its sub-commands. What a command needs is imported when it runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from sipcgi import __version__
from sipcgi.command import serves
from sipcgi.errors import EX_CONFIG

if TYPE_CHECKING:
    from sipcgi.config.mistakes import ConfigErrors

F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """A group where no sub-command means `serve`, with its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if serves(args) and args[:1] != ["serve"]:
            args = ["serve", *args]
        return super().parse_args(ctx, args)


def show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """The version, and whether the compiled part is in use."""
    if asked:
        from sipcgi import compiled

        how = "compiled" if compiled.native is not None else f"pure Python: {compiled.reason}"
        click.echo(f"sipcgi {__version__} ({how})")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version, and whether the compiled part is in use.",
)
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
    """Run the server. SIGTERM ends it, SIGHUP makes it read its configuration again, SIGUSR1 has it log statistics."""
    from sipcgi import app
    from sipcgi.config.load import found
    from sipcgi.config.mistakes import ConfigErrors
    from sipcgi.config.scripts import load_with_scripts

    config = config or found()  # the same one is read again on SIGHUP: that it is gone must not mean the defaults
    try:
        status = app.serve(partial(load_with_scripts, config, listen=listen, domains=domains, scripts=scripts))
    except ConfigErrors as errors:
        refuse(errors)
    sys.exit(status)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@overrides
def check(
    file: Path | None, config: Path | None, listen: tuple[str, ...], domains: tuple[str, ...], scripts: Path | None
) -> None:
    """Read the configuration and look at the scripts, but start nothing.

    FILE is the same as --config FILE.

    Exit status 78, and file:line: key: what is wrong for every mistake, on standard error.
    """
    from sipcgi.config.ending import ending_remarks
    from sipcgi.config.isolation import isolation
    from sipcgi.config.mistakes import ConfigErrors
    from sipcgi.config.scripts import load_with_scripts
    from sipcgi.hosts.directory import ScriptDirectory
    from sipcgi.report import misspelt, warm, without_tcp

    if file is not None and config is not None:
        raise click.UsageError(f"two configurations: {config} and {file}")
    try:
        configuration = load_with_scripts(
            config or file, listen=listen, domains=domains, scripts=scripts, startable=True
        )
    except ConfigErrors as errors:
        refuse(errors)
    directory = ScriptDirectory(str(configuration.scripts.directory))
    routed = [directory.locate(name) for route in configuration.routes for name in route.files]
    names = {*directory.scripts(), *routed}
    routes = counted(len(configuration.routes), "route")
    missing = "" if configuration.scripts.directory.is_dir() else f"; there is no folder {directory.path}"
    click.echo(f"{configuration.source}: ok, {routes}, {counted(len(names), 'script')}{missing}")
    if configuration.is_empty:
        click.echo(f"{configuration.source}: note: is empty: the defaults hold")
    for note in without_tcp(map(str, configuration.listen)):
        click.echo(f"{configuration.source}: listen: {note}")
    for note in misspelt(configuration, directory):
        click.echo(f"{configuration.source}: scripts.directory: {note}")
    remarks = [*ending_remarks(configuration), *isolation(configuration, directory).remarks()]
    for remark in [*warm(configuration, directory), *remarks]:
        click.echo(f"{configuration.source}: {remark}")


@main.command("try")
@click.argument("script", type=click.Path(path_type=Path))
@click.option(
    "--method", default="INVITE", metavar="NAME", help="Default: INVITE, of which CANCEL and ACK are later parts."
)
@click.option("--from", "from_", default="", metavar="URI", help="The caller. Default: sip:alice@example.com.")
@click.option("--to", default="", metavar="URI", help="The called user. Default: the Request-URI.")
@click.option("--uri", default="", metavar="URI", help="The Request-URI. Default: --to, or sip:bob@example.com.")
@click.option("--header", "headers", multiple=True, metavar="'Name: value'", help="Another header field. Repeatable.")
@click.option("--body", type=click.File("rb"), metavar="FILE", help="The body; - is standard input.")
@click.option("--message", type=click.File("rb"), metavar="FILE", help="A raw SIP message: request or response.")
@click.option("--response", default="", metavar="CODE", help="Run for this response to what an earlier run proxied.")
@click.option("--cookie", default="", metavar="TEXT", help="What the earlier run set with CGI-SET-COOKIE.")
@click.option("--request-token", default="", metavar="TOKEN", help="The CGI-Request-Token of the earlier run.")
@click.option("--registered", multiple=True, metavar="URI", help="A phone of the called user. Repeatable.")
@click.option("--domain", "domains", multiple=True, metavar="NAME", help="A domain of ours. Repeatable.")
@click.option("--style", type=click.Choice(["cgi", "exec"]), help="Default: that of its route, or cgi.")
@click.option("--host", type=click.Choice(["exec", "warm", "fastcgi"]), help="Default: that of its route, or exec.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Domains and the script's route.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def try_(script: Path, as_json: bool, **options: Any) -> None:
    """Run one script offline and show what the server would make of it.

    Shows the environment, the output, the actions understood, the SIP messages that would leave, and what is wrong.
    Exit status 0 if the output is valid, 1 if not.
    """
    from sipcgi.errors import ParseError
    from sipcgi.offline import question, show
    from sipcgi.offline.paper import Paper

    configuration = read(options["config"]) if options["config"] else None
    try:
        trial = question.rehearse(script, question.Question.of(**options), configuration)
    except ParseError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(show.as_json(trial))
    else:
        show.show(trial, script, Paper())
    sys.exit(0 if trial.valid else 1)


@main.command()
@click.argument("places", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[DIR]...")
def test(places: tuple[Path, ...]) -> None:
    """Play golden cases: messages in, expected actions.

    They are in the *.yaml files of each DIR, by default tests; docs/testing-scripts.md tells how to write them.
    Exit status 1 if a case fails, 78 with file:line: key: what is wrong if one is malformed.
    """
    from sipcgi.offline import testing
    from sipcgi.offline.paper import Paper

    sys.exit(testing.run(places or (Path("tests"),), Paper()))


@main.command()
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--language", metavar="LANGUAGE", help="perl, sh, python, tcl, ruby, lua, js, php or awk.")
def new(name: Path, language: str | None) -> None:
    """Write a working script to start from.

    For example: sipcgi new cgi-bin/invite --language perl
    """
    from sipcgi.offline import scaffold

    if language not in (None, *scaffold.LANGUAGES):
        raise click.UsageError(f"no such language: {language}; there are {', '.join(scaffold.LANGUAGES)}")
    try:
        path = scaffold.write_script(name, language)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}: nothing was written") from None
    click.echo(f"{path} is written; now: sipcgi try {path}")


@main.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path), metavar="[DIR]")
def init(directory: Path) -> None:
    """Lay out a directory to start from.

    conf/sipcgi.yaml, cgi-bin/ with the samples, tests/ with their cases. What is there already stays as it is.
    """
    from sipcgi.offline import scaffold

    try:
        files = list(scaffold.lay_out(directory))
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for path, written in files:
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    click.echo(f"now: cd {directory}; sipcgi test; sipcgi")


def read(config: Path) -> Any:
    """A configuration, whatever its scripts are; exit status 78 if it is wrong."""
    from sipcgi.config.load import load
    from sipcgi.config.mistakes import ConfigErrors

    try:
        return load(config)
    except ConfigErrors as errors:
        refuse(errors)


def refuse(errors: ConfigErrors) -> NoReturn:
    """Says all that is wrong with a configuration, and ends."""
    for mistake in errors.errors:
        click.echo(str(mistake), err=True)
    sys.exit(EX_CONFIG)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
