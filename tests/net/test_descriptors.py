"""The share of the descriptors that connections may have."""

import os
import re
import resource
import subprocess
import sys

import pytest

from sipcgi.net import descriptors


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch):
    def allow(soft: int, hard: int) -> None:
        monkeypatch.setattr(descriptors.resource, "getrlimit", lambda what: (soft, hard))

    return allow


@pytest.mark.parametrize(
    ("soft", "connections"),
    [(256, 128), (1024, 512), (8192, 4096), (20_000, 15_904), (65_536, 50_000), (resource.RLIM_INFINITY, 50_000)],
)
def test_how_many_connections(allowed, soft, connections):
    allowed(soft, soft)
    assert descriptors.most_connections() == connections


def test_a_shortage_is_told_with_what_to_do(allowed):
    allowed(1024, 1024)
    assert descriptors.shortage().startswith("1024 at most, so 512 connections: raise it (ulimit -Hn, LimitNOFILE=")


@pytest.mark.parametrize("hard", [descriptors.ENOUGH, 1_048_576, resource.RLIM_INFINITY])
def test_what_is_enough_is_not_worth_a_word(allowed, hard):
    allowed(1024, hard)
    assert descriptors.shortage() == ""


def test_a_kernel_that_allows_no_more(monkeypatch, allowed):
    asked = []

    def refuse(what: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        raise ValueError("not allowed to raise maximum limit")

    allowed(1024, 2**40)
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    descriptors.allow_all()
    assert asked == [(2**40, 2**40)]
    assert os.listdir("/proc/self/fd") == before


def test_room_for_all_is_made_at_once():
    """In a process of its own, for a table never shrinks; the limit of the machine may be lower than ours."""
    program = "from sipcgi.net import descriptors; descriptors.allow_all(); print(open('/proc/self/status').read())"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert int(re.search(r"FDSize:\s+(\d+)", told)[1]) >= min(hard, 54_096)
