"""One connection to a FastCGI program, and the requests that are under way on it."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from select import EPOLLIN, EPOLLOUT
from socket import MSG_NOSIGNAL
from time import perf_counter
from typing import TYPE_CHECKING

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.fastcgi_records import Decoder, MalformedRecord, plain_request, whole_output, whole_request
from sipcgi.hosts.wire import GRACE
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.hosts.fastcgi_place import Place
    from sipcgi.hosts.fastcgi_run import FastCgiRun

CHUNK = 65536
CONNECT = 2.0  # seconds until a connection must stand
CROWDED = 0.01  # seconds until the next try, when the line before a socket is full
CLOSED = "the FastCGI program closed the connection before it had answered"


class Connection:
    """It is opened with the first thing it has to send. The place hears when requests end, and when it is gone.

    A request whose run is over (timeout, CANCEL, too much output) is aborted; it keeps its id until the program has
    ended it too, which has to happen within the grace.
    """

    __slots__ = (
        "_attempt", "_decoder", "_socket", "_timer", "_unsent", "closed", "connecting", "descriptor", "heard",
        "idle_since", "place", "requests", "unread",
    )  # fmt: skip

    def __init__(self, place: Place) -> None:
        self.place = place
        self.requests: dict[int, FastCgiRun] = {}
        self.heard = False
        """Whether anything has ever come, so that a process of the program surely attends to it."""
        self.unread = False
        """Whether the program closed its side without having read what was sent last."""
        self.connecting = True
        self.closed = False
        self.descriptor = -1
        self.idle_since = 0.0
        self._decoder = Decoder()
        self._socket: socket.socket | None = None
        self._unsent: deque[bytes] = deque()
        self._timer: Timer | None = None
        self._attempt = 0

    # Asked by the place

    def begin(self, run: FastCgiRun) -> None:
        invocation, requests = run.invocation, self.requests
        variables, stdin = invocation.environment, invocation.stdin
        run.where = self
        if not requests:
            requests[1] = run
            self._send(plain_request(variables, stdin) or whole_request(1, variables, stdin))
            return
        number = next(number for number in range(1, records.MAX_REQUEST + 1) if number not in requests)
        requests[number] = run
        self._send(whole_request(number, variables, stdin))

    def ask(self) -> None:
        """What the program can do."""
        self._send(records.question())

    def leave(self, run: FastCgiRun) -> None:
        """Nobody waits for its request any more."""
        number = next(number for number, each in self.requests.items() if each is run)
        if self.connecting:  # the program has heard of none of them
            del self.requests[number]
            if not self.requests:
                self.close()
            return
        self._send(records.record(records.ABORT_REQUEST, number))
        if self._timer is None:
            self._timer = self.place.timers.start(GRACE, self._overdue)

    def live(self) -> int:
        """Requests whose runs wait."""
        return sum(not run.over for run in self.requests.values())

    def open(self) -> None:
        """Connects to the next address of the place. Never waits and never raises."""
        self._timer = None
        try:
            addresses = self.place.addresses
            family, address = addresses[self._attempt % len(addresses)]
            self._socket = opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            self.descriptor = opened.fileno()
            if family != socket.AF_UNIX:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = opened.connect_ex(address)
        except OSError as error:
            code = error.errno or errno.EIO
        if code == errno.EAGAIN:  # a socket of the unix family says so when its line is full
            self._shut()
            self._timer = self.place.timers.start(CROWDED, self.open)
        elif code in (0, errno.EINPROGRESS):
            self.place.watch.add(self.descriptor, self._handle, EPOLLIN | EPOLLOUT)
            if code == 0:
                self._connected()
            else:
                self._timer = self.place.timers.start(CONNECT, self._refused, errno.ETIMEDOUT)
        else:  # not at once: nobody hears of an end from within what he asked for
            self._timer = self.place.timers.start(0.0, self._refused, code)

    def recall(self) -> None:
        """What was sent is given to another one: nobody has attended to it yet."""
        self.close()
        self._give_back([*self.requests.values()])

    def close(self) -> None:
        """Whatever was under way is not heard of any more."""
        if not self.closed:
            self.closed = True
            self._shut()
            self.place.gone(self)

    def _shut(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self.place.watch.remove(self.descriptor)
            self._socket.close()
            self._socket = None

    # What the socket says

    def _readable(self, events: int) -> bool:
        """After what else the socket may say: that it is connected or cannot be, or takes more."""
        if self.connecting:
            self._decided()
        elif events & EPOLLOUT:
            self._flush()
        return bool(events & ~EPOLLOUT) and not self.connecting

    def _decided(self) -> None:
        """Whether there is a connection."""
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.ECONNRESET:  # it stood, until the socket was closed in whose line it was
            self.unread = True
            self._lost(CLOSED)
        elif code:
            self._refused(code)
        else:
            self._connected()

    def _connected(self) -> None:
        self.connecting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.place.reached()
        self._flush()

    def _refused(self, code: int) -> None:
        self._shut()
        self._attempt += 1
        if self._attempt < len(self.place.addresses):
            self.open()
        else:
            self.closed = True
            self.place.gone(self)
            self.place.refused(os.strerror(code))
            self._give_back(list(self.requests.values()))

    def _send(self, octets: bytes) -> None:
        """What cannot be sent now waits. That the other side is gone is told by `_handle`, which may find more."""
        if self.connecting or self._unsent:
            self._unsent.append(octets)
            return
        assert self._socket is not None
        try:
            sent = self._socket.send(octets, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.unread = True
            return
        if sent < len(octets):
            self.place.watch.change(self.descriptor, EPOLLIN | EPOLLOUT)
            self._unsent.append(octets[sent:])

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, deque()
        self.place.watch.change(self.descriptor, EPOLLIN)
        while unsent:
            self._send(unsent.popleft())
            if self._unsent:
                self._unsent += unsent
                return

    def _handle(self, events: int, until: float) -> None:
        if (events != EPOLLIN or self.connecting) and not self._readable(events):
            return
        while self._socket is not None:
            try:
                octets = self._socket.recv(CHUNK)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it closed its side with something unread
                self.unread = True
                octets = b""
            except OSError as error:
                self._lost(f"the connection to the FastCGI program broke: {error.strerror}")
                return
            if not octets:
                self._lost(CLOSED)
                return
            self.heard = True
            if not self._decoder.rest and (output := whole_output(octets)) is not None:
                run = self.requests.get(1)
                if run is not None and not run.over and len(output) <= run.room:
                    del self.requests[1]
                    self.place.ended(self)
                    run.answered(output)
                    return
            try:
                for kind, number, content in self._decoder.feed(octets):
                    self._take(kind, number, content)
            except MalformedRecord as error:
                self._lost(str(error))
                return
            if len(octets) < CHUNK or perf_counter() > until:
                return

    def _take(self, kind: int, number: int, content: bytes) -> None:
        """Records for a request that is not there, and those of other kinds, mean nothing to us."""
        run = self.requests.get(number)
        if run is None:
            if kind == records.GET_VALUES_RESULT and number == records.MANAGEMENT:
                self.place.told(self, records.values(content))
            elif kind == records.UNKNOWN_TYPE and number == records.MANAGEMENT:  # it does not know the question
                self.place.told(self, {})
        elif kind == records.STDOUT:
            run.printed(content)
        elif kind == records.STDERR:
            run.complained(content)
        elif kind == records.END_REQUEST:
            status, protocol_status = records.ended(content)
            del self.requests[number]
            if protocol_status == records.CANT_MPX_CONN and not run.over:
                self.place.multiplexes = False
                self.place.ended(self)
                self.place.again(run)
            else:
                self.place.ended(self)
                run.completed(status, protocol_status)

    def _lost(self, why: str) -> None:
        """Nothing more comes. What the program has not read may be asked of another process, once."""
        self.close()
        runs = [run for run in self.requests.values() if not run.over]
        for run in runs:
            if not (self.unread and run.may_try_again()):
                run.failed(why)
        self._give_back(runs)

    def _give_back(self, runs: list[FastCgiRun]) -> None:
        for run in runs:
            if not run.over:
                self.place.again(run)

    def _overdue(self) -> None:
        """The grace of an aborted request is over. As long as others are under way here, their time counts."""
        self._timer = None
        if self.live():
            self._timer = self.place.timers.start(GRACE, self._overdue)
        elif self.requests:
            self.place.ignored()
            self.close()
