"""What server and launcher say to each other."""

import pytest

from sipcgi.hosts import wire


def test_texts_survive() -> None:
    environment = {"SIP_FROM": "<sip:a@b>;tag=1", "EMPTY": "", "ODD": "\udcff\n"}
    packed = wire.pack_texts("/cgi bin", ["/bin/echo", "", "two words"], environment)
    assert wire.unpack_texts(packed, 3) == (
        b"/cgi bin",
        [b"/bin/echo", b"", b"two words"],
        {b"SIP_FROM": b"<sip:a@b>;tag=1", b"EMPTY": b"", b"ODD": b"\xff\n"},
    )
    assert wire.unpack_texts(wire.pack_texts("/", ["/bin/true"], {}), 1) == (b"/", [b"/bin/true"], {})


@pytest.mark.parametrize(
    ("directory", "argv", "environment"),
    [("/\0", ["a"], {}), ("/", ["a\0b"], {}), ("/", ["a"], {"A": "b\0C=d"}), ("/", ["a"], {"A": "\ud800"})],
)
def test_nothing_hides_behind_a_nul(directory: str, argv: list[str], environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        wire.pack_texts(directory, argv, environment)


def test_a_variable_without_a_value_is_no_order() -> None:
    with pytest.raises(ValueError, match="zip"):
        wire.unpack_texts(b"/\0/bin/true\0NAME", 1)
