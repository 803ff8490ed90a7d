"""Questions to a real name server on the loopback, and what is remembered of its answers."""

import sys
from pathlib import Path

import pytest
import trio
import trio.testing

sys.path.insert(0, str(Path(__file__).parent))
from nameserver import NameServer

from sipcgi.net import dns as dns_module
from sipcgi.net.dns import Dns, Naptr, Question
from sipcgi.net.srv import Srv

ZONE = """
@         300 SOA ns admin 1 3600 3600 604800 20
@         300 NS ns
ns        300 A 127.0.0.1
pbx       60  A 192.0.2.1
pbx       60  A 192.0.2.2
pbx       60  AAAA 2001:DB8::1
alias     600 CNAME other
other     5   CNAME pbx
astray    60  CNAME nowhere
brief     0   A 192.0.2.3
years     99999999 A 192.0.2.4
Dom       60  NAPTR 10 20 "S" "sip+d2u" "" _sip._UDP.dom
_sip._udp.dom 60 SRV 1 2 5070 PBX
""" + "".join(f"_sip._udp.large 60 SRV 1 2 {port} some-long-name-of-a-server-{port}\n" for port in range(5060, 5080))


@pytest.fixture
def clock():
    """The time, in a list that tests change."""
    return [1000.0]


@pytest.fixture
async def server(nursery):
    server = NameServer(ZONE)
    await nursery.start(server.serve)
    return server


@pytest.fixture
def names(server, clock):
    return Dns([server.address], now=lambda: clock[0])


async def records(names, kind, name, service=""):
    [answer] = await names.ask([Question(kind, name, service)])
    return answer.records


async def test_the_kinds_of_records(names):
    assert sorted(await records(names, "A", "pbx.example.com")) == ["192.0.2.1", "192.0.2.2"]
    assert await records(names, "AAAA", "pbx.example.com") == ["2001:db8::1"]
    assert await records(names, "SRV", "dom.example.com", "_sip._udp.") == [Srv(1, 2, 5070, "pbx.example.com")]
    assert await records(names, "NAPTR", "dom.example.com") == [
        Naptr(10, 20, "s", "SIP+D2U", "", "_sip._udp.dom.example.com")
    ]


async def test_all_questions_are_asked_at_once(names, server, until):
    server.held = trio.Event()
    questions = [Question("A", "pbx.example.com"), Question("AAAA", "pbx.example.com")]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.ask, questions)
        await until(lambda: len(server.asked) == 2)
        server.held.set()
    assert [len(answer.records) for answer in names.known(questions)] == [2, 1]


async def test_aliases_are_followed_and_the_least_ttl_of_the_way_counts(names, server, clock):
    question = Question("A", "alias.example.com")
    assert len(await records(names, *question)) == 2
    clock[0] += 4.9
    assert names.known([question]) is not None
    clock[0] += 0.2
    assert names.known([question]) is None
    assert await records(names, "A", "astray.example.com") == ()


@pytest.mark.parametrize(("name", "seconds"), [("brief", 1.0), ("pbx", 60.0), ("years", 3600.0)])
async def test_an_answer_is_believed_by_its_ttl_within_bounds(names, server, clock, name, seconds):
    question = Question("A", f"{name}.example.com")
    await names.ask([question])
    await names.ask([question])
    assert len(server.asked) == 1
    clock[0] += seconds - 0.1
    assert names.known([question]) is not None
    clock[0] += 0.2
    assert names.known([question]) is None
    await names.ask([question])
    assert len(server.asked) == 2


@pytest.mark.rfc("2308", "5")
@pytest.mark.parametrize(
    ("question", "trouble"), [("A none.example.com", "name"), ("NAPTR pbx.example.com", "address")]
)
@pytest.mark.parametrize(("minimum", "seconds"), [(20, 20.0), (86400, 60.0)])
async def test_that_there_is_nothing_is_believed_by_the_minimum_of_the_zone(
    names, server, clock, question, trouble, minimum, seconds
):
    server.write(ZONE.replace("604800 20", f"604800 {minimum}"))
    question = Question(*question.split())
    [answer] = await names.ask([question])
    assert (answer.records, answer.failed) == ((), False)
    assert trouble in answer.trouble
    clock[0] += seconds - 0.1
    assert names.known([question]) is not None
    clock[0] += 0.2
    assert names.known([question]) is None


async def test_a_truncated_answer_is_asked_for_again_over_tcp(names, server):
    assert len(await records(names, "SRV", "large.example.com", "_sip._udp.")) == 20
    assert server.transports == ["udp", "tcp"]


async def test_who_asks_the_same_meanwhile_waits_for_the_same_answer(names, server, until):
    server.held = trio.Event()
    found = []

    async def ask():
        found.append(await records(names, "AAAA", "pbx.example.com"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await until(lambda: server.asked)
        server.held.set()
    assert found == [["2001:db8::1"]] * 5
    assert len(server.asked) == 1


async def test_when_the_asker_gives_up_the_next_one_asks(names, server, until):
    server.held = trio.Event()
    found = []

    async def ask(scope):
        with scope:
            found.append(await records(names, "AAAA", "pbx.example.com"))

    impatient = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, impatient)
        await until(lambda: server.asked)
        nursery.start_soon(ask, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        impatient.cancel()
        await until(lambda: len(server.asked) == 2)
        server.held.set()
    assert found == [["2001:db8::1"]]


async def test_a_name_server_that_is_silent(server, clock):
    names = Dns([server.address], attempt=0.1, now=lambda: clock[0])
    server.silent.add("pbx.example.com")
    question = Question("A", "pbx.example.com")
    [answer] = await names.ask([question])
    assert answer.failed
    assert answer.trouble == f"no answer from the name servers (127.0.0.1@{server.address.port})"
    assert len(server.asked) > 1
    clock[0] += 9.9
    assert names.known([question]) == [answer]
    clock[0] += 0.2
    assert names.known([question]) is None


async def test_a_second_name_server_stands_in_for_a_silent_one(server, nursery):
    silent = NameServer(ZONE)
    await nursery.start(silent.serve)
    silent.silent.add("pbx.example.com")
    names = Dns([silent.address, server.address], attempt=0.2)
    assert await records(names, "AAAA", "pbx.example.com") == ["2001:db8::1"]


async def test_a_name_server_that_fails(names, server):
    server.failing.add("pbx.example.com")
    [answer] = await names.ask([Question("A", "pbx.example.com")])
    assert answer.failed
    assert "SERVFAIL" in answer.trouble


@pytest.mark.rfc("8767", "4")
async def test_old_answers_stand_in_while_the_name_servers_fail(names, server, clock):
    question = Question("AAAA", "pbx.example.com")
    await names.ask([question])
    server.failing.add("pbx.example.com")
    clock[0] += 80_000
    assert await records(names, *question) == ["2001:db8::1"]
    assert names.known([question]) is not None
    clock[0] += 7_000  # a day after they ran out
    assert await records(names, *question) == ()


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".example.com", ".".join(["a" * 60] * 5)])
async def test_what_is_no_name_is_not_asked_for(names, server, name):
    [answer] = await names.ask([Question("A", name)])
    assert answer.failed
    assert server.asked == []


async def test_it_does_not_grow_without_end(names, server, monkeypatch):
    monkeypatch.setattr(dns_module, "MOST_ANSWERS", 10)
    questions = [Question("A", f"none{number}.example.com") for number in range(11)]
    for question in questions:
        await names.ask([question])
    assert names.known(questions[:1]) is None
    assert names.known(questions[1:]) is not None


async def test_the_name_servers_are_those_of_resolv_conf_as_it_is_now(server, tmp_path, clock):
    path = tmp_path / "resolv.conf"
    names = Dns(resolv_conf=str(path), port=server.address.port, attempt=0.2, now=lambda: clock[0])
    # resolv.conf(5): without a file, or a name server in it, it is the one on this machine
    assert await records(names, "AAAA", "pbx.example.com") == ["2001:db8::1"]
    path.write_text("nameserver nonsense\n")
    clock[0] += 100
    assert await records(names, "AAAA", "pbx.example.com") == ["2001:db8::1"]
    path.write_text("nameserver 127.0.0.2\nnameserver 127.0.0.3\n")
    clock[0] += 100_000
    [answer] = await names.ask([Question("AAAA", "pbx.example.com")])
    assert answer.trouble == "no answer from the name servers (127.0.0.2, 127.0.0.3)"


async def test_plain_names_are_searched_for_in_the_domains_of_resolv_conf(server, tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.0.1\nsearch example.com\n")
    names = Dns(resolv_conf=str(path), port=server.address.port)
    assert await records(names, "AAAA", "pbx") == ["2001:db8::1"]
    assert await records(names, "SRV", "dom", "_sip._udp.") == [Srv(1, 2, 5070, "pbx.example.com")]
    server.asked.clear()
    assert await records(names, "A", "pbx.example") == ()  # a name with dots is meant as it is
    assert server.asked == ["A pbx.example"]
