"""How the scripts of a route are run: `host`, `limits`, `isolation` and their kin."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sipcgi.config import schema
from sipcgi.config.running import general_hosting, hosting, profile
from sipcgi.profile import FASTCGI, WARM, Hosting, Limits, Profile


def entry(**keys: Any) -> schema.RouteEntry:
    return schema.validate({"routes": [{"script": "a.py", **keys}]}).routes[0]


def scripts(**keys: Any) -> schema.Scripts:
    return schema.validate({"scripts": keys}).scripts


def made(route: schema.RouteEntry, general: schema.Scripts) -> Profile:
    return profile(route, general, lambda name: Path("/etc/sipcgi") / name)


def test_a_process_a_run_is_the_default() -> None:
    assert hosting(entry(), scripts()) == general_hosting(scripts()) == Hosting()


def test_warm_for_all_scripts_of_a_language() -> None:
    assert general_hosting(scripts(host="warm")).warm == {"python", "perl", "ruby"}
    general = scripts(host={"python": "warm", "perl": "exec"}, preload=["json"])
    assert hosting(entry(preload=["re", "json"]), general) == Hosting(
        warm=frozenset(["python"]), preload=("json", "re")
    )


def test_what_a_route_says_of_its_host_goes_before() -> None:
    assert hosting(entry(host="exec"), scripts(host="warm")).warm == frozenset()
    assert hosting(entry(host="warm"), scripts()).host == WARM


def test_a_fastcgi_program() -> None:
    found = hosting(entry(fastcgi="tcp://[::1]:9000", command=["./a.py", "x"], processes="2"), scripts())
    assert found == Hosting(FASTCGI, fastcgi="tcp://[::1]:9000", command=("./a.py", "x"), processes=2)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"host": "cold"}, "'cold' is no host of scripts: there are exec, warm and fastcgi"),
        ({"fastcgi": "unix://x"}, "'unix://x' is no place of a FastCGI program"),
        ({"fastcgi": "tcp://a"}, "'tcp://a' is no place of a FastCGI program"),
        ({"fastcgi": "tcp://a:70000"}, "'tcp://a:70000' is no place of a FastCGI program"),
        ({"preload": "a b"}, "'a b' is no name of a module"),
        ({"isolation": "some"}, "'some' is no isolation: there are off, best_effort and required"),
        ({"user": "a b"}, "'a b' is no name of a user or group"),
        ({"limits": {"memory": "2TB"}}, "'2TB' is no size"),
    ],
)
def test_mistakes(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        entry(**keys)
    assert text in str(raised.value)


@pytest.mark.parametrize("value", ["fastcgi", {"sh": "warm"}, {"python": "fastcgi"}, ["warm"]])
def test_no_host_for_all(value: object) -> None:
    with pytest.raises(ValidationError):
        scripts(host=value)


def test_each_limit_is_inherited_alone() -> None:
    general = scripts(limits={"cpu": "1500ms", "memory": "2GiB"})
    route = entry(limits={"memory": "64MiB", "processes": "8", "files": "32", "file_size": "1MiB"})
    assert made(route, general).limits == Limits(2, 64 * 1024**2, 8, 32, 1024**2)


def test_isolation() -> None:
    general = scripts(isolation="best_effort", user="nobody", group="nogroup", writable="spool", readable=["/srv"])
    folders = {"readable": ("/srv",), "writable": ("/etc/sipcgi/spool",)}
    assert made(entry(), general) == Profile(Limits(), "best_effort", "nobody", "nogroup", **folders)
    own = made(entry(user="1000", isolation="required", writable=["/tmp"]), general)
    assert (own.user, own.group, own.isolation, own.writable) == ("1000", "", "required", ("/tmp",))


def test_the_launcher_reads_what_it_is_told() -> None:
    told = Profile(Limits(1, 2, 3, 4, 5), "required", "a", "b", ("/r",), ("/w", "/\udcff"))
    assert Profile.unpack(told.pack()) == told
