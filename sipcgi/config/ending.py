"""How scripts that hang are ended on this machine, with all that they started, and how far limits reach."""

import os
from collections.abc import Iterator

from sipcgi.config.model import Configuration
from sipcgi.hosts.confine import account
from sipcgi.hosts.ending import Tier, tier
from sipcgi.profile import PLAIN, Profile


def ending(configuration: Configuration) -> list[str]:
    """What is in force, for scripts without limits and isolation (first) and for those with."""
    kinds = profiles(configuration)
    lines = ["by their mark, which all that they start inherits"] if PLAIN in kinds else []
    if kinds - {PLAIN}:
        others = "with limits or isolation: " if lines else ""
        lines.append(f"{others}{tier(os.getpid()).text}")
    return lines


def ending_remarks(configuration: Configuration) -> list[str]:
    """What `check` says: nothing, where there are neither limits nor isolation."""
    kinds = profiles(configuration)
    lines = [f"ending: {tier(os.getpid()).text}"] if kinds - {PLAIN} else []
    return [*lines, *(f"note: {note}" for note in limit_notes(configuration))]


def limit_notes(configuration: Configuration) -> list[str]:
    """Where limits reach less far than one may think."""
    kinds = profiles(configuration)
    if all(profile == PLAIN for profile in kinds):
        return []
    found = tier(os.getpid())
    return list(dict.fromkeys(note for profile in kinds for note in _notes(profile, found)))


def profiles(configuration: Configuration) -> set[Profile]:
    return {configuration.scripts.profile, *(route.profile for route in configuration.routes)}


def _notes(profile: Profile, found: Tier) -> Iterator[str]:
    counted = found.groups.counted if found.groups is not None else frozenset[str]()
    if profile.limits.memory and "memory" not in counted:
        yield "limits.memory holds for each process of a script, not for all together: that takes a control group"
    if not profile.limits.processes or "processes" in counted:
        return
    try:
        other = account(profile.user, profile.group)
    except LookupError:  # that there is no such user is said elsewhere
        return
    if (other.user if other else os.geteuid()) == 0:
        yield "limits.processes has no effect on scripts that run as root: name a user, or delegate a control group"
    else:
        yield "limits.processes counts all processes of the user, not those of one run: that takes a control group"
