"""Runs as requests to a FastCGI program, a tough one: it splits, dies, floods, stays silent, refuses."""

import socket
import time
from itertools import pairwise

import pytest
import trio
from fastcgi_bench import FastCgiBench
from peer import Peer, Wire, echo, processes, silent

from sipcgi.hosts import fastcgi_connection, fastcgi_place, fastcgi_run
from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.base import Outcome
from sipcgi.hosts.fastcgi_place import known_addresses
from sipcgi.profile import FASTCGI, Hosting

MULTIPLEXES = {records.MPXS_CONNS: "1", records.MAX_CONNS: "1", records.MAX_REQS: "50"}


async def test_a_request_and_its_answer(fastcgi: FastCgiBench) -> None:
    asked = []

    async def behave(wire: Wire) -> None:
        while (request := await wire.request()) is not None:
            asked.append(request)
            errors = records.stream(records.STDERR, request[0], b"one\ntwo")
            await wire.say(errors)
            await wire.answer(request[0], "SIP/2.0 480 x\n\n", status=3)

    await fastcgi.peer(behave)
    long = "é" * 40_000
    outcome = await fastcgi.run(environment={"A": "1", "EMPTY": "", "LONG": long}, stdin=b"b" * 200_000)
    assert asked == [(1, {"A": "1", "EMPTY": "", "LONG": long}, b"b" * 200_000)]
    assert (outcome.stdout, outcome.status, outcome.failure) == (b"SIP/2.0 480 x\n\n", 3, None)
    assert not outcome.complete
    assert 0 < outcome.wall < 2
    assert fastcgi.lines == ["one", "two"]


async def test_a_connection_is_kept_for_the_next_run(fastcgi: FastCgiBench) -> None:
    peer = await fastcgi.peer(echo)
    for number in range(20):
        assert (await fastcgi.run(str(number))).stdout == f"{number} ".encode()
    assert peer.connections == 1


async def test_an_answer_may_come_octet_by_octet(fastcgi: FastCgiBench) -> None:
    async def behave(wire: Wire) -> None:
        request = await wire.request()
        assert request is not None
        whole = records.record(records.STDOUT, 1, b"SIP/2.0 480 ", 7) + records.record(records.STDOUT, 1, b"x\n\n")
        for octet in whole + records.stream(records.STDOUT, 1, b"") + records.end(1):
            await wire.say(bytes([octet]))
            await trio.sleep(0.001)

    await fastcgi.peer(behave)
    assert (await fastcgi.run()).stdout == b"SIP/2.0 480 x\n\n"


async def test_the_largest_records(fastcgi: FastCgiBench) -> None:
    async def behave(wire: Wire) -> None:
        assert await wire.request() is not None
        for letter in b"ab":
            await wire.say(records.record(records.STDOUT, 1, bytes([letter]) * 65535, 255))
        await wire.say(records.end(1))

    await fastcgi.peer(behave)
    assert (await fastcgi.run()).stdout == b"a" * 65535 + b"b" * 65535


async def test_records_that_mean_nothing_are_passed_over(fastcgi: FastCgiBench) -> None:
    async def behave(wire: Wire) -> None:
        assert await wire.request() is not None
        await wire.say(records.record(99, 1, b"?"), records.record(records.STDOUT, 77, b"?"), records.end(9, 4))
        await wire.say(records.record(200, 0, b"?"), records.record(records.GET_VALUES_RESULT, 0, b""))
        await wire.answer(1, "ok")

    await fastcgi.peer(behave)
    assert (await fastcgi.run()).stdout == b"ok"


class TestThatDies:
    async def test_in_the_middle_of_a_request(self, fastcgi: FastCgiBench) -> None:
        """That request fails, and no other."""

        async def dies(wire: Wire) -> None:
            request = await wire.request()
            assert request is not None
            await wire.say(records.record(records.STDOUT, request[0], b"SIP/2.0 200 OK\n\n"))

        peer = await fastcgi.peer(dies, echo)
        outcome = await fastcgi.run()
        assert outcome.failure == fastcgi_connection.CLOSED
        assert outcome.status is None
        assert (await fastcgi.run()).status == 0
        assert peer.connections == 2

    async def test_before_it_has_said_anything(self, fastcgi: FastCgiBench) -> None:
        """It has read the request: whoever else was asked might do twice what it did."""

        async def dies(wire: Wire) -> None:
            await wire.request()

        peer = await fastcgi.peer(dies)
        assert (await fastcgi.run()).failure == fastcgi_connection.CLOSED
        assert peer.connections == 1

    async def test_while_nothing_is_under_way(self, fastcgi: FastCgiBench) -> None:
        async def once(wire: Wire) -> None:
            request = await wire.request()
            assert request is not None
            await wire.answer(request[0], "ok")

        peer = await fastcgi.peer(once)
        for _ in range(20):  # it closes just when the next one comes
            assert (await fastcgi.run()).stdout == b"ok"
        assert peer.connections == 20

    async def test_with_the_request_unread(self, fastcgi: FastCgiBench) -> None:
        """Nobody has begun it: it is asked of another process."""

        async def unread(wire: Wire) -> None:
            request = await wire.request()
            assert request is not None
            await wire.answer(request[0], "first")
            await wire.reset()

        await fastcgi.peer(unread, echo)
        assert (await fastcgi.run("a")).stdout == b"first"
        assert (await fastcgi.run("b", stdin=b"body")).stdout == b"b body"

    async def test_with_it_unread_once_more(self, fastcgi: FastCgiBench) -> None:
        peer = await fastcgi.peer(Wire.reset)
        assert (await fastcgi.run(stdin=b"x" * 100_000)).failure == fastcgi_connection.CLOSED
        assert peer.connections == 2

    @pytest.mark.parametrize(
        "octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", records.record(records.END_REQUEST, 1, b"?")]
    )
    async def test_that_speaks_something_else(self, fastcgi: FastCgiBench, octets: bytes) -> None:
        async def http(wire: Wire) -> None:
            await wire.request()
            await wire.say(octets)
            await wire.record()

        peer = await fastcgi.peer(http, echo)
        outcome = await fastcgi.run()
        assert outcome.failure in (
            "what comes is no FastCGI: a record of version 72",
            "an FCGI_END_REQUEST of 1 octets",
        )
        await fastcgi.until(lambda: not peer.open)
        assert (await fastcgi.run()).status == 0


class TestThatFloods:
    async def test_standard_output(self, fastcgi: FastCgiBench) -> None:
        async def flood(wire: Wire) -> None:
            await wire.request()
            while True:
                await wire.say(records.record(records.STDOUT, 1, b"x" * 65535))

        peer = await fastcgi.peer(flood, echo)
        outcome = await fastcgi.run(max_output=100_000)
        assert (outcome.overflow, outcome.stdout, outcome.complete) == (True, b"x" * 100_000, False)
        assert (await fastcgi.run()).status == 0  # meanwhile, on another connection
        await fastcgi.until(lambda: not peer.open or peer.open == 1)

    async def test_standard_error(self, fastcgi: FastCgiBench) -> None:
        async def flood(wire: Wire) -> None:
            await wire.request()
            for _ in range(1000):
                await wire.say(records.record(records.STDERR, 1, b"error\n" * 1000))
            await wire.answer(1, "ok")

        await fastcgi.peer(flood)
        assert (await fastcgi.run()).stdout == b"ok"
        assert len(fastcgi.lines) < 300
        assert fastcgi.lines[-1] == "(what followed on standard error was dropped)"


class TestThatIsSilent:
    async def test_until_the_timeout(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told to abort, and loses the connection if it does not end the request within the grace."""
        monkeypatch.setattr(fastcgi_connection, "GRACE", 0.1)
        heard = []

        async def behave(wire: Wire) -> None:
            await wire.request()
            while (found := await wire.record()) is not None:
                heard.append(found)

        peer = await fastcgi.peer(behave)
        start = time.monotonic()
        outcome = await fastcgi.run(timeout=0.2)
        assert outcome.timed_out
        assert 0.2 <= time.monotonic() - start < 1.0
        await fastcgi.until(lambda: not peer.open)
        assert heard == [(records.ABORT_REQUEST, 1, b"")]

    async def test_but_ends_what_is_aborted(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The connection is kept."""
        monkeypatch.setattr(fastcgi_connection, "GRACE", 0.1)

        async def behave(wire: Wire) -> None:
            await wire.request()
            assert await wire.record() == (records.ABORT_REQUEST, 1, b"")
            await wire.answer(1, "too late")
            await echo(wire)

        peer = await fastcgi.peer(behave)
        assert (await fastcgi.run(timeout=0.1)).timed_out
        await trio.sleep(0.2)
        assert (await fastcgi.run("again")).stdout == b"again "
        assert peer.connections == 1

    async def test_and_its_run_is_ended(self, fastcgi: FastCgiBench) -> None:
        outcomes: list[Outcome] = []
        await fastcgi.peer(silent)
        run = fastcgi.start(outcomes.append)
        await trio.sleep(0.05)
        run.end()
        run.end()
        assert outcomes == []  # not from within
        await fastcgi.until(lambda: outcomes)
        await trio.sleep(0.05)
        assert [(outcome.ended, outcome.complete) for outcome in outcomes] == [(True, False)]

    async def test_about_what_it_can_do(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that waits for something else than the question is left alone soon."""
        monkeypatch.setattr(fastcgi_place, "ANSWER", 0.1)
        await fastcgi.nursery.start(processes, fastcgi.folder / "one", 1, echo)
        fastcgi.configure(Hosting(FASTCGI, fastcgi=f"unix://{fastcgi.folder}/one"))
        start = time.monotonic()
        assert (await fastcgi.run()).status == 0
        assert 0.1 <= time.monotonic() - start < 1.0


class TestThatIsNotThere:
    async def test_runs_fail_at_once_until_it_is(self, fastcgi: FastCgiBench) -> None:
        path = fastcgi.folder / "socket"
        fastcgi.configure(Hosting(FASTCGI, fastcgi=f"unix://{path}"))
        why = f"the FastCGI program at unix://{path} cannot be reached: No such file or directory"
        assert (await fastcgi.run()).failure == why
        start = time.monotonic()
        outcomes: list[Outcome] = []
        for _ in range(50):
            fastcgi.start(outcomes.append)
        assert outcomes == []
        await fastcgi.until(lambda: len(outcomes) == 50)
        assert time.monotonic() - start < 0.5
        assert {outcome.failure for outcome in outcomes} == {why}
        await fastcgi.nursery.start(Peer(path, echo).run)
        await fastcgi.until(lambda: len(fastcgi.said) > 1)
        assert fastcgi.said == [
            f"{why}; until it can, runs of it fail",
            f"the FastCGI program at unix://{path} is there again",
        ]
        assert (await fastcgi.run()).status == 0

    async def test_it_is_looked_for_less_and_less(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fastcgi_place, "RETRY_FIRST", 0.02)
        fastcgi.configure(Hosting(FASTCGI, fastcgi=f"unix://{fastcgi.folder}/no"))
        looked = []
        [pool] = fastcgi.host._pools.values()
        ask = pool.places[0]._ask
        monkeypatch.setattr(pool.places[0], "_ask", lambda: (looked.append(time.monotonic()), ask()))
        await fastcgi.until(lambda: len(looked) >= 4)
        pauses = [later - earlier for earlier, later in pairwise(looked)]
        assert pauses[2] > pauses[0] + 0.02

    async def test_it_went_away(self, fastcgi: FastCgiBench) -> None:
        with trio.CancelScope() as scope:
            peer = Peer(fastcgi.folder / "peer", echo)
            async with trio.open_nursery() as nursery:
                await nursery.start(peer.run)
                fastcgi.configure(Hosting(FASTCGI, fastcgi=peer.url))
                assert (await fastcgi.run()).status == 0
                scope.cancel()
        await trio.sleep(0.05)
        outcome = await fastcgi.run()
        assert outcome.failure == f"the FastCGI program at {peer.url} cannot be reached: Connection refused"

    async def test_its_name_is_not_there(self, fastcgi: FastCgiBench) -> None:
        fastcgi.configure(Hosting(FASTCGI, fastcgi="tcp://nowhere.invalid:9000"))
        failure = (await fastcgi.run()).failure
        assert failure is not None
        assert failure.startswith("the FastCGI program at tcp://nowhere.invalid:9000 cannot be reached: ")

    async def test_its_line_is_full(self, fastcgi: FastCgiBench) -> None:
        """Then it is there, but slow."""
        listening = socket.socket(socket.AF_UNIX)
        with listening:
            listening.bind(str(fastcgi.folder / "slow"))
            listening.listen(0)
            fastcgi.configure(Hosting(FASTCGI, fastcgi=f"unix://{fastcgi.folder}/slow"))
            outcomes: list[Outcome] = []
            for _ in range(5):
                fastcgi.start(outcomes.append, timeout=3.0)
            await trio.sleep(0.5)
            assert outcomes == []
            listening.setblocking(False)
            served = 0
            with trio.move_on_after(2):
                while served < 5:
                    try:
                        accepted, _ = listening.accept()
                    except BlockingIOError:
                        await trio.sleep(0.01)
                        continue
                    async with trio.SocketStream(trio.socket.from_stdlib_socket(accepted)) as stream:
                        wire = Wire(stream)
                        if (asked := await wire.request()) is not None:
                            await wire.answer(asked[0], "ok")
                            served += 1
            await fastcgi.until(lambda: len(outcomes) == 5)
            assert {outcome.stdout for outcome in outcomes} == {b"ok"}


class TestSeveralAtOnce:
    async def test_over_one_connection_where_it_multiplexes(self, fastcgi: FastCgiBench) -> None:
        async def behave(wire: Wire) -> None:
            asked = [await wire.request() for _ in range(3)]
            numbers = [one[0] for one in asked if one is not None]
            assert len(set(numbers)) == 3
            for number in reversed(numbers):
                await wire.say(records.record(records.STDOUT, number, b"number "))
            for number in numbers:
                await wire.say(records.record(records.STDOUT, number, b"%d" % number), records.end(number))
            await echo(wire)

        peer = await fastcgi.peer(behave, values=MULTIPLEXES)
        outcomes: list[Outcome] = []
        for _ in range(3):
            fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 3)
        assert [outcome.stdout for outcome in outcomes] == [b"number 1", b"number 2", b"number 3"]
        assert (await fastcgi.run("x")).stdout == b"x "
        assert peer.connections == 1

    async def test_an_aborted_one_keeps_its_id(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until the program has ended it; the connection stays as long as others are under way."""
        monkeypatch.setattr(fastcgi_connection, "GRACE", 0.05)

        async def behave(wire: Wire) -> None:
            await wire.request()
            second = await wire.request()
            assert second is not None
            assert second[0] == 2
            await trio.sleep(0.4)
            await wire.answer(2, "ok")
            await wire.record()

        peer = await fastcgi.peer(behave, values=MULTIPLEXES)
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append, timeout=0.1)
        fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 2)
        assert [(outcome.timed_out, outcome.stdout) for outcome in outcomes] == [(True, b""), (False, b"ok")]
        await fastcgi.until(lambda: not peer.open)

    async def test_over_as_many_where_it_does_not(self, fastcgi: FastCgiBench) -> None:
        together = trio.Event()

        async def behave(wire: Wire) -> None:
            asked = await wire.request()
            assert asked is not None
            if peer.open == 3:
                together.set()
            await together.wait()
            await wire.answer(asked[0], "ok")
            await echo(wire)

        peer = await fastcgi.peer(behave)
        outcomes: list[Outcome] = []
        for _ in range(3):
            fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 3)
        assert {outcome.stdout for outcome in outcomes} == {b"ok"}

    async def test_that_it_cannot_after_all(self, fastcgi: FastCgiBench) -> None:
        async def cannot(wire: Wire) -> None:
            first, second = await wire.request(), await wire.request()
            assert first is not None
            assert second is not None
            await wire.say(records.end(second[0], 0, records.CANT_MPX_CONN))
            await wire.answer(first[0], "first")
            await echo(wire)

        await fastcgi.peer(cannot, echo, values=MULTIPLEXES)
        outcomes: list[Outcome] = []
        for text in "ab":
            fastcgi.start(outcomes.append, text)
        await fastcgi.until(lambda: len(outcomes) == 2)
        assert sorted(outcome.stdout for outcome in outcomes) == [b"b ", b"first"]

    @pytest.mark.parametrize("values", [{records.MAX_CONNS: "2"}, {records.MAX_REQS: "2"}])
    async def test_no_more_than_it_says(self, fastcgi: FastCgiBench, values: dict[str, str]) -> None:
        most = 0

        async def behave(wire: Wire) -> None:
            nonlocal most
            while (asked := await wire.request()) is not None:
                most = max(most, peer.open)
                await trio.sleep(0.02)
                await wire.answer(asked[0], "ok")

        peer = await fastcgi.peer(behave, values=values)
        outcomes: list[Outcome] = []
        for _ in range(10):
            fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 10)
        assert {outcome.stdout for outcome in outcomes} == {b"ok"}
        assert most == 2

    async def test_more_than_one_process_says_of_itself(self, fastcgi: FastCgiBench) -> None:
        """`max_running` is how many there are."""
        together = trio.Event()

        async def behave(wire: Wire) -> None:
            asked = await wire.request()
            assert asked is not None
            if peer.open == 3:
                together.set()
            await together.wait()
            await wire.answer(asked[0], "ok")

        peer = await fastcgi.peer(behave, values={records.MAX_CONNS: "1", records.MAX_REQS: "1"})
        outcomes: list[Outcome] = []
        for _ in range(3):
            fastcgi.start(outcomes.append, max_running=3)
        await fastcgi.until(lambda: len(outcomes) == 3)

    async def test_more_than_it_has_processes(self, fastcgi: FastCgiBench) -> None:
        """A process that attends to one connection to its end is given free for those that wait."""

        await fastcgi.nursery.start(processes, fastcgi.folder / "two", 2, echo)
        fastcgi.configure(Hosting(FASTCGI, fastcgi=f"unix://{fastcgi.folder}/two"))
        await trio.sleep(0.4)  # the question is over, which it has not understood
        outcomes: list[Outcome] = []
        for _ in range(20):
            fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 20, within=2.0)
        assert {outcome.status for outcome in outcomes} == {0}


class TestThatHasNoRoom:
    async def test_overloaded(self, fastcgi: FastCgiBench) -> None:
        async def behave(wire: Wire) -> None:
            while (asked := await wire.request()) is not None:
                await wire.say(records.end(asked[0], 0, records.OVERLOADED))

        await fastcgi.peer(behave)
        assert (await fastcgi.run(refusable=True)).refused
        outcome = await fastcgi.run()
        assert (outcome.refused, outcome.failure) == (False, "the FastCGI program is overloaded")

    @pytest.mark.parametrize(
        ("status", "text"),
        [(records.UNKNOWN_ROLE, "is no responder"), (77, "ended the request with protocolStatus 77")],
    )
    async def test_something_else(self, fastcgi: FastCgiBench, status: int, text: str) -> None:
        async def behave(wire: Wire) -> None:
            asked = await wire.request()
            assert asked is not None
            await wire.say(records.end(asked[0], 0, status))

        await fastcgi.peer(behave)
        assert (await fastcgi.run()).failure == f"the FastCGI program {text}"

    async def test_a_new_request_waits_so_long(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fastcgi_run, "PATIENCE", 0.1)
        await fastcgi.peer(silent, values={records.MAX_CONNS: "1"})
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append, timeout=0.5)
        fastcgi.start(outcomes.append, timeout=0.3)  # of a call that is under way: it waits as long as it may take
        fastcgi.start(outcomes.append, refusable=True)
        await fastcgi.until(lambda: len(outcomes) == 3)
        assert [outcome.refused for outcome in outcomes] == [True, False, False]
        assert [outcome.timed_out for outcome in outcomes] == [False, True, True]

    async def test_one_in_line_is_ended(self, fastcgi: FastCgiBench) -> None:
        await fastcgi.peer(silent, values={records.MAX_CONNS: "1"})
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append)
        fastcgi.start(outcomes.append).end()
        await fastcgi.until(lambda: outcomes)
        assert outcomes[0].ended


async def test_an_idle_connection_is_closed_in_the_end(fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastcgi_place, "IDLE", 0.1)
    peer = await fastcgi.peer(echo)
    assert (await fastcgi.run()).status == 0
    assert peer.open == 1
    await fastcgi.until(lambda: not peer.open, within=0.5)
    assert (await fastcgi.run()).status == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_over_tcp(fastcgi: FastCgiBench, host: str) -> None:
    [listener] = await trio.open_tcp_listeners(0, host="::1" if host == "::1" else "127.0.0.1")
    peer = Peer(fastcgi.folder / "unused", echo)
    port = listener.socket.getsockname()[1]
    fastcgi.nursery.start_soon(trio.serve_listeners, peer._attend, [listener])
    fastcgi.configure(Hosting(FASTCGI, fastcgi=f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"))
    assert (await fastcgi.run("x", stdin=b"y" * 500_000)).stdout == b"x " + b"y" * 500_000
    assert (await fastcgi.run()).status == 0
    assert peer.connections == 1


def test_addresses_that_need_no_look_up() -> None:
    assert known_addresses("unix:///run/x") == [(socket.AF_UNIX, "/run/x")]
    assert known_addresses("tcp://192.0.2.1:9000") == [(socket.AF_INET, ("192.0.2.1", 9000))]
    assert known_addresses("tcp://[2001:db8::1]:9000") == [(socket.AF_INET6, ("2001:db8::1", 9000))]
    assert known_addresses("tcp://example.com:9000") == []


class TestAnotherConfiguration:
    async def test_the_same_program_keeps_its_connection(self, fastcgi: FastCgiBench) -> None:
        peer = await fastcgi.peer(echo)
        assert (await fastcgi.run()).status == 0
        fastcgi.configure(Hosting(FASTCGI, fastcgi=peer.url))
        assert (await fastcgi.run()).status == 0
        assert (peer.connections, peer.questions) == (1, 1)

    async def test_what_is_under_way_goes_on_without_its_route(self, fastcgi: FastCgiBench) -> None:
        async def slow(wire: Wire) -> None:
            while (asked := await wire.request()) is not None:
                await trio.sleep(0.2)
                await wire.answer(asked[0], "ok")

        peer = await fastcgi.peer(slow)
        assert (await fastcgi.run()).status == 0
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append)
        fastcgi.configure()
        await fastcgi.until(lambda: outcomes)
        assert outcomes[0].stdout == b"ok"
        await fastcgi.until(lambda: not peer.open)
        assert (await fastcgi.run()).failure == "the FastCGI program is not configured any more"
