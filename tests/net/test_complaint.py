from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints


def test_one_line_of_a_kind_in_ten_seconds_and_the_rest_as_a_number():
    now = [100.0]
    log = Log(lambda: 0.0)
    complaints = Complaints(log, lambda: now[0])
    for _ in range(5):
        complaints.say("does not parse", "first")
    complaints.say("accept", "other")
    now[0] += 10
    complaints.say("does not parse", "second")
    lines = [line.partition("Z warning ")[2] for line in log.take().decode().splitlines()]
    assert lines == ["first", "other", "second (4 more since the last such line)"]
    assert complaints.counts == {"does not parse": 6, "accept": 1}
