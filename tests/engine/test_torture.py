"""The messages of RFC 4475 and RFC 5118, thrown at a whole server: who is answered, and with what."""

from pathlib import Path

import pytest
from world import World

TORTURE = Path(__file__).parent.parent / "sip" / "torture"


def answers(world: World, octets: bytes) -> set[int]:
    """The statuses of what comes back in the first second."""
    alice = world.phone("alice")
    for port in (5050, 5061, 5070):  # sent-by of some has a port
        world.network.attach(alice.socket.address._replace(port=port), "alice", lambda datagram: None)
    alice.throw(octets)
    world.run(1.0)
    starts = [one.data.split(b" ", 2) for one in world.network.sent if one.source == world.socket.address]
    return {int(start[1]) for start in starts if start[0] == b"SIP/2.0"}


@pytest.mark.rfc(
    "4475",
    "3.1.2.2-1",
    "3.1.2.3-1",
    "3.1.2.4-1",
    "3.1.2.6-1",
    "3.1.2.7-1",
    "3.1.2.8-1",
    "3.1.2.9-1",
    "3.1.2.10-1",
    "3.1.2.15-1",
    "3.1.2.16-1",
    "3.3.9-1",
    "3.3.11-1",
)
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("clerr", 400),
        ("ncl", 400),
        ("scalar02", 400),
        ("quotbal", 400),
        ("ltgtruri", 400),
        ("lwsruri", 400),
        ("lwsstart", 400),
        ("trws", 400),
        ("regbadct", 400),
        ("badaspec", 400),
        ("baddn", 400),
        ("badvers", 505),
        ("mismatch01", 400),
        ("unkscm", 416),
        ("novelsc", 416),
        ("bext01", 420),
        ("multi01", 400),
        ("mcl01", 400),
        ("zeromf", 483),
    ],
)
def test_what_is_refused(world: World, name: str, status: int) -> None:
    assert answers(world, (TORTURE / "rfc4475" / f"{name}.dat").read_bytes()) == {status}


@pytest.mark.rfc("4475", "3.1.2.19-1", "3.2.1-1", "3.3.1-1", "3.3.8-1", "3.3.10-3")
@pytest.mark.parametrize("name", ["badinv01", "bcast", "bigcode", "insuf", "scalarlg", "unreason", "noreason"])
def test_what_is_not_answered(world: World, name: str) -> None:
    """Responses to nothing, and requests without what an answer needs."""
    assert answers(world, (TORTURE / "rfc4475" / f"{name}.dat").read_bytes()) == set()
    assert answers(world, (TORTURE / "rfc4475" / "ncl.dat").read_bytes()) == {400}  # still there


@pytest.mark.rfc("5118", "4.2-1")
def test_an_ipv6_address_without_brackets_is_refused(world: World) -> None:
    octets = (TORTURE / "rfc5118" / "ipv6-bad.dat").read_bytes().replace(b"\n", b"\r\n").rstrip() + b"\r\n\r\n"
    assert answers(world, octets) == {400}
