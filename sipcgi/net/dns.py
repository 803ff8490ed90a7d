"""Questions to the name servers, and what is remembered of their answers (RFC 1035, RFC 2308, RFC 8767)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import trio

from sipcgi.flow import HostPort
from sipcgi.net.address import canonical
from sipcgi.net.srv import Srv
from sipcgi.net.system_file import SystemFile

ATTEMPT = 1.0  # seconds for one name server to answer, unless resolv.conf says otherwise
ROUNDS = 3  # times that for all of them
SHORTEST, LONGEST = 1.0, 3600.0  # seconds that an answer is believed, whatever its TTL
LONGEST_NEGATIVE = 60.0  # that there is nothing
FAILED = 10.0  # RFC 2308 7.2: that the name servers fail; at most five minutes
STALE = 86400.0  # RFC 8767 section 5: how long an old answer may stand in while they do
MOST_ANSWERS = 10_000
MOST_QUESTIONS = 100  # under way at once: each takes a socket
_TRIO = "trio"


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403 4.1): flags in lower case, service in upper case, replacement as a plain name."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


class Question(NamedTuple):
    """`service` comes before the name: `_sip._udp.`, for one."""

    kind: str
    """NAPTR, SRV, A or AAAA."""
    name: str
    service: str = ""


@dataclass(slots=True)
class Answer:
    """`records` are Naptr, Srv or addresses, by the kind of the question."""

    records: Sequence[Any]
    until: float
    trouble: str = ""
    """Why there are no records."""
    failed: bool = False
    """Nobody knows whether there are any."""
    stale: float = 0.0
    """Until when the records may stand in for those that the name servers cannot tell."""


@dataclass(slots=True)
class _Pending:
    done: trio.Event = field(default_factory=trio.Event)
    answer: Answer | None = None


class Dns:
    """A stub resolver with a cache. The name servers are those of resolv.conf (at `port`), unless `servers` are given.

    `attempt` is how many seconds one of them has for an answer.
    """

    def __init__(
        self,
        servers: Sequence[HostPort] | None = None,
        *,
        resolv_conf: str = "/etc/resolv.conf",
        port: int = 53,
        attempt: float = ATTEMPT,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.now = now
        self._attempt = attempt
        self._port = port
        self._given = None if servers is None else self._asking(servers)
        self._configured = SystemFile(resolv_conf, self._read, now)
        self._answers: dict[Question, Answer] = {}
        self._pending: dict[Question, _Pending] = {}
        self._room = trio.Semaphore(MOST_QUESTIONS)

    def known(self, questions: Sequence[Question]) -> list[Answer] | None:
        """The answers, where all of them are remembered."""
        now = self.now()
        answers = []
        for question in questions:
            answer = self._answers.get(question)
            if answer is None or answer.until <= now:
                return None
            answers.append(answer)
        return answers

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers, remembered or new; all questions are asked at once."""
        if len(questions) == 1:
            return [await self._one(questions[0])]
        answers: dict[Question, Answer] = {}

        async def find(question: Question) -> None:
            answers[question] = await self._one(question)

        async with trio.open_nursery() as nursery:
            for question in questions:
                nursery.start_soon(find, question)
        return [answers[question] for question in questions]

    async def _one(self, question: Question) -> Answer:
        """Who comes while the same question is under way waits for its answer; the asker may give up, then he asks."""
        while (known := self.known([question])) is None:
            pending = self._pending.get(question)
            if pending is None:
                return await self._first(question)
            await pending.done.wait()
            if pending.answer is not None:
                return pending.answer
        return known[0]

    async def _first(self, question: Question) -> Answer:
        pending = self._pending[question] = _Pending()
        try:
            async with self._room:
                answer = await self._query(question)
            pending.answer = self._remember(question, answer)
            return pending.answer
        finally:
            del self._pending[question]
            pending.done.set()

    def _remember(self, question: Question, answer: Answer) -> Answer:
        old = self._answers.pop(question, None)
        if answer.failed and old is not None and self.now() < old.stale:
            # RFC 8767 section 4: what was true before the name servers failed is better than nothing
            answer = Answer(old.records, answer.until, stale=old.stale)
        if len(self._answers) >= MOST_ANSWERS:
            for oldest in list(islice(self._answers, MOST_ANSWERS // 10)):
                del self._answers[oldest]
        self._answers[question] = answer
        return answer

    async def _query(self, question: Question) -> Answer:
        asking = self._given or self._configured.value()
        # resolv.conf(5), search: for names with few dots, mostly none, as getaddrinfo does; not for each name that
        # is not found, for somebody else may own what is then asked for
        search = question.name.count(".") < (asking.ndots or 1)
        try:
            found = await asking.resolve(
                question.service + question.name,
                question.kind,
                search=search,
                raise_on_no_answer=False,
                lifetime=ROUNDS * self._attempt,
                backend=dns.asyncbackend.get_backend(_TRIO),
            )
        except dns.resolver.NXDOMAIN as error:
            refusal: Any = error
            ttls = [response.resolve_chaining().minimum_ttl for response in refusal.responses().values()]
            return self._nothing("no such name", min(ttls))
        except dns.exception.Timeout:
            servers = ", ".join(str(server).removeprefix("Do53:") for server in asking.nameservers)
            return Answer((), self.now() + FAILED, f"no answer from the name servers ({servers})", True)
        except (dns.exception.DNSException, OSError) as error:
            return Answer((), self.now() + FAILED, str(error), True)
        ttl = found.chaining_result.minimum_ttl
        if found.rrset is None:
            return self._nothing("the name has no address", ttl)
        until = self.now() + min(max(ttl, SHORTEST), LONGEST)
        return Answer([_record(record) for record in found.rrset], until, stale=until + STALE)

    def _nothing(self, trouble: str, ttl: float) -> Answer:
        """RFC 2308 section 5: by the minimum of the SOA."""
        return Answer((), self.now() + min(max(ttl, SHORTEST), LONGEST_NEGATIVE), trouble)

    def _asking(self, servers: Sequence[HostPort]) -> dns.asyncresolver.Resolver:
        asking = dns.asyncresolver.Resolver(configure=False)
        asking.timeout = self._attempt
        asking.port = self._port
        asking.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in servers]
        return asking

    def _read(self, text: str) -> dns.asyncresolver.Resolver:
        """resolv.conf(5): without a name server it is the one on this machine."""
        asking = self._asking([HostPort("127.0.0.1", self._port)])
        with suppress(dns.exception.DNSException, ValueError):
            asking.read_resolv_conf(StringIO(text))
        return asking


def _record(record: Any) -> Naptr | Srv | str:
    kind = record.rdtype.name
    if kind == "SRV":
        return Srv(record.priority, record.weight, record.port, _plain(record.target))
    if kind == "NAPTR":
        texts = [part.decode("ascii", "replace") for part in (record.flags, record.service, record.regexp)]
        flags, service, regexp = texts
        return Naptr(
            record.order, record.preference, flags.lower(), service.upper(), regexp, _plain(record.replacement)
        )
    return canonical(record.address)


def _plain(name: Any) -> str:
    """A name in lower case without its last dot; "." for the root."""
    return str(name.to_text(omit_final_dot=True)).lower()
