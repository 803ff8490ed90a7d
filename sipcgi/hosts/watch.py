"""What the hosts of runs wait for: the sockets of their links, the pipes of runs that last, and the time."""

from sipcgi.timerqueue import TimerQueue
from sipcgi.watch import Watch


class RunWatch(Watch):
    """A Watch with the timers of those who use it."""

    def __init__(self, timers: TimerQueue) -> None:
        super().__init__()
        self.timers = timers
