import pytest

from sipcgi.sip.status import REASONS, reason


def test_standard_reasons() -> None:
    assert reason(100) == "Trying"
    assert reason(200) == "OK"
    assert reason(513) == "Message Too Large"
    assert all(reason(code) == text for code, text in REASONS.items())


@pytest.mark.rfc("3261", "8.1.3.2")
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (101, "Session Progress"),
        (299, "OK"),
        (399, "Multiple Choices"),
        (431, "Bad Request"),
        (599, "Server Internal Error"),
        (699, "Busy Everywhere"),
        (700, "Unknown"),
        (7, "Unknown"),
    ],
)
def test_unknown_codes_count_as_their_class(code: int, text: str) -> None:
    assert reason(code) == text
