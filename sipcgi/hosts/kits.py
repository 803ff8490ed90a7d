"""The kits, small libraries for those who write scripts (docs/kits.md), and the variables by which they are found."""

import os
from collections.abc import Mapping

KITS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kits")


def _folder(name: str) -> str:
    return os.path.join(KITS, name)


def _tcl_word(text: str) -> str:
    """An element of a Tcl list."""
    return "".join([each if each.isalnum() or each in "/._-" else f"\\{each}" for each in text])


# Where each language looks for libraries, and what stands between two places. No folder holds anything but its kit, so
# that nothing else is hidden by it.
_PLACES = {
    "PATH": (":", _folder("sh")),  # sh looks there for what `.` names without a slash
    "PERL5LIB": (":", _folder("perl")),
    "PYTHONPATH": (":", _folder("python")),
    "RUBYLIB": (":", _folder("ruby")),
    "TCLLIBPATH": (" ", _tcl_word(_folder("tcl"))),
    "LUA_PATH": (";", f"{_folder('lua')}/?.lua"),
}
_DEFAULTS = {"PATH": os.defpath, "LUA_PATH": ";"}
"""What holds without the variable and has to be said with it; an empty place in LUA_PATH is the built-in path."""


def with_kits(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of scripts in which all kits are found."""
    return joined(dict.fromkeys(_PLACES, "") | dict(environment))


def joined(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the kits behind what it says itself about where libraries are; nothing is added to others."""
    result = dict(environment)
    for name in _PLACES.keys() & result.keys():
        separator, place = _PLACES[name]
        before = result[name] or _DEFAULTS.get(name, "")
        result[name] = f"{before}{separator}{place}" if before else place
    return result
