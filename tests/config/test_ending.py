"""What is said of how scripts end, and of how far their limits reach."""

import os
from pathlib import Path
from typing import Any

import pytest

from sipcgi.config.ending import ending, ending_remarks, limit_notes
from sipcgi.config.load import load
from sipcgi.config.model import Configuration
from sipcgi.hosts.control_groups import Groups
from sipcgi.hosts.ending import Tier
from sipcgi.hosts.spaces import Spaces

PLAIN = "by their mark, which all that they start inherits"
COUNTING = Tier(Groups("/sys/fs/cgroup/a", frozenset({"memory", "pids"}), ""), None, "by control group, below there")
SPACES = Tier(None, Spaces(), "by PID namespace; no control group: none")


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, SPACES)


def use(monkeypatch: pytest.MonkeyPatch, tier: Tier) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr("sipcgi.config.ending.tier", lambda server: tier)


def configured(site: Any, scripts: str = "", routes: str = "") -> Configuration:
    path: Path = site.configure(f"scripts: {{directory: ../cgi-bin, {scripts}}}\nroutes: [{routes}]\n")
    return load(path)


def test_without_limits(site: Any) -> None:
    configuration = configured(site)
    assert ending(configuration) == [PLAIN]
    assert ending_remarks(configuration) == []


def test_all_with_limits(site: Any) -> None:
    configuration = configured(site, "limits: {cpu: 5s}")
    assert ending(configuration) == [SPACES.text]
    assert ending_remarks(configuration) == [f"ending: {SPACES.text}"]


def test_some_with_isolation(site: Any) -> None:
    configuration = configured(site, "", "{script: a.sh, isolation: best_effort}")
    assert ending(configuration) == [PLAIN, f"with limits or isolation: {SPACES.text}"]


def test_how_far_limits_reach(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = configured(site, "limits: {memory: 64MiB, processes: 20}")
    memory, processes = limit_notes(configuration)
    assert memory.startswith("limits.memory holds for each process of a script")
    how = "has no effect on scripts that run as root" if os.geteuid() == 0 else "counts all processes of the user"
    assert processes.startswith(f"limits.processes {how}")
    assert ending_remarks(configuration)[1:] == [f"note: {memory}", f"note: {processes}"]
    use(monkeypatch, COUNTING)
    assert limit_notes(configuration) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_processes_of_another_user(site: Any) -> None:
    (note,) = limit_notes(configured(site, "limits: {processes: 20}, user: nobody"))
    assert note.startswith("limits.processes counts all processes of the user")
