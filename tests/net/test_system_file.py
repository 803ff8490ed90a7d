"""Files of the system that an administrator edits while the server runs."""

import os

import pytest

from sipcgi.net.system_file import SystemFile, parse_hosts


@pytest.fixture
def clock():
    """The time, in a list that tests change."""
    return [100.0]


def test_the_file_is_read_again_when_it_has_changed(tmp_path, clock):
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 pbx\n")
    reads = []
    file = SystemFile(str(path), lambda text: reads.append(text) or text, lambda: clock[0])
    assert file.value() == "192.0.2.1 pbx\n"
    path.write_text("192.0.2.2 pbx\n")
    os.utime(path, ns=(1, 1))
    assert file.value() == "192.0.2.1 pbx\n"  # a look a second is enough
    clock[0] += 1
    assert file.value() == "192.0.2.2 pbx\n"
    clock[0] += 1
    assert file.value() == "192.0.2.2 pbx\n"
    assert len(reads) == 2


def test_a_file_that_comes_and_goes_is_empty_meanwhile(tmp_path, clock):
    path = tmp_path / "hosts"
    file = SystemFile(str(path), str, lambda: clock[0])
    assert file.value() == ""
    path.write_text("something")
    clock[0] += 1
    assert file.value() == "something"
    path.unlink()
    clock[0] += 1
    assert file.value() == ""


def test_what_cannot_be_read_is_empty(tmp_path):
    assert SystemFile(str(tmp_path), str).value() == ""


def test_hosts():
    text = """
127.0.0.1\tlocalhost
192.0.2.1   PBX.example.com. pbx pbx   # the old one
2001:DB8::1 pbx
192.0.2.1   pbx
::ffff:192.0.2.9 mapped
#192.0.2.3  commented
fe80::1%eth0 linklocal
192.0.2.4
nonsense    pbx
192.0.2.300 pbx
"""
    assert parse_hosts(text) == {
        "localhost": ["127.0.0.1"],
        "pbx.example.com": ["192.0.2.1"],
        "pbx": ["192.0.2.1", "2001:db8::1"],
        "mapped": ["192.0.2.9"],
    }
