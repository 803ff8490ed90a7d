"""The keyed tokens of our Record-Route and Path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.dialog.token import Sides, TokenKey
from sipcgi.flow import Flow, HostPort
from sipcgi.sip.uri import SipUri

KEY = TokenKey(b"a key of 32 octets, in a file...")
CALL_ID = "3848276298220188511@atlanta.example.com"
ALICE, BOB = "9fxced76sl", "314159"
TOKEN = KEY.mint(CALL_ID, ALICE)


def test_requests_of_both_sides_of_the_dialog_are_known() -> None:
    assert KEY.valid(TOKEN, CALL_ID, from_tag=ALICE, to_tag=BOB)
    assert KEY.valid(TOKEN, CALL_ID, from_tag=BOB, to_tag=ALICE)


@pytest.mark.parametrize(
    ("call_id", "from_tag", "to_tag"),
    [
        ("another@atlanta.example.com", ALICE, BOB),
        (CALL_ID.upper(), ALICE, BOB),
        (CALL_ID, "eve", BOB),
        (CALL_ID, "", BOB),
        (CALL_ID, ALICE[:-1], ALICE + "x"),
        (CALL_ID + ALICE, "", ""),
        (CALL_ID[:-1], "m" + ALICE, BOB),
    ],
)
def test_no_other_dialog_is(call_id: str, from_tag: str, to_tag: str) -> None:
    assert not KEY.valid(TOKEN, call_id, from_tag, to_tag)


def test_a_token_lasts_as_long_as_its_key() -> None:
    assert TokenKey(b"a key of 32 octets, in a file...").mint(CALL_ID, ALICE) == TOKEN
    assert not TokenKey(b"another key, also of 32 octets..").valid(TOKEN, CALL_ID, ALICE, BOB)


def test_a_token_is_the_user_of_a_sip_uri_as_it_is() -> None:
    assert len(TOKEN) == 20
    assert TOKEN.isascii()
    assert TOKEN.isalnum()
    assert SipUri.parse(f"sip:{TOKEN}@192.0.2.1;lr").user == TOKEN


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "0",
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN.upper(),
        " " + TOKEN,
        "\0" * 20,
        "é" * 20,
        "\ud800",
        "\udcff" * 20,
        "0" * 9999,
    ],
)
def test_a_bad_token_of_any_shape_is_no_token(bad: str) -> None:
    assert KEY.valid(bad, CALL_ID, ALICE, BOB) is False


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_has_an_answer(token: str, call_id: str, from_tag: str, to_tag: str) -> None:
    assert KEY.valid(token, call_id, from_tag, to_tag) is False


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
def test_what_was_minted_is_valid(call_id: str, tag: str, other: str) -> None:
    token = KEY.mint(call_id, tag)
    assert KEY.valid(token, call_id, tag, other)
    assert KEY.valid(token, call_id, other, tag)


def test_a_caller_of_rfc_2543_without_a_tag_has_a_token_too() -> None:
    token = KEY.mint(CALL_ID, "")
    assert KEY.valid(token, CALL_ID, from_tag="", to_tag=BOB)
    assert KEY.valid(token, CALL_ID, from_tag=BOB, to_tag="")


@pytest.mark.parametrize("length", [0, 15, 33, 64])
def test_a_key_is_neither_short_nor_longer_than_blake2s_takes(length: int) -> None:
    with pytest.raises(ValueError, match=f"not {length}"):
        TokenKey(bytes(length))


@pytest.mark.parametrize("length", [16, 32])
def test_keys_of_a_good_length(length: int) -> None:
    assert TokenKey(bytes(length)).mint(CALL_ID, ALICE)


# With flows (RFC 5626 5.3)

PHONE = Flow("TCP", HostPort("192.0.2.1", 5060), HostPort("198.51.100.7", 40000), 1786000000000001)
BROWSER = Flow("WSS", HostPort("192.0.2.1", 443), HostPort("203.0.113.9", 51000), 1786000000000002)


@pytest.mark.rfc("5626", "5.3")
@pytest.mark.parametrize("sides", [Sides(PHONE, BROWSER), Sides(PHONE), Sides(recipient=BROWSER), Sides()])
def test_each_side_is_reached_over_its_flow(sides: Sides) -> None:
    token = KEY.mint(CALL_ID, ALICE, sides)
    assert KEY.valid(token, CALL_ID, from_tag=ALICE, to_tag=BOB)
    assert KEY.valid(token, CALL_ID, from_tag=BOB, to_tag=ALICE)
    assert KEY.flow(token, CALL_ID, from_tag=ALICE) == sides.recipient
    assert KEY.flow(token, CALL_ID, from_tag=BOB) == sides.initiator
    assert SipUri.parse(f"sip:{token}@192.0.2.1;lr").user == token


def test_no_flow_can_be_put_into_the_token_of_a_dialog() -> None:
    """Neither another's, nor by a tag that reads like a flow, nor into a token that has none."""
    mine, other = KEY.mint(CALL_ID, ALICE, Sides(PHONE)), KEY.mint(CALL_ID, ALICE, Sides(BROWSER))
    mixed = f"{mine.partition('.')[0]}.{other.partition('.')[2]}"
    assert not KEY.valid(mixed, CALL_ID, ALICE, BOB)
    assert not KEY.valid(f"{TOKEN}.{other.partition('.')[2]}", CALL_ID, ALICE, BOB)
    flows = other.partition(".")[2]
    for tag in (f"{ALICE}{flows}", f"{len(ALICE)}:{ALICE}{flows}", f"{ALICE}.{flows}"):
        lured = KEY.mint(CALL_ID, tag)
        assert not KEY.valid(f"{lured}.{flows}", CALL_ID, ALICE, BOB)
        assert not KEY.valid(f"{lured}.{flows}", CALL_ID, tag, BOB)


@pytest.mark.rfc("5626", "5.1-3", "5.2")
def test_the_token_of_a_path_is_its_flow() -> None:
    token = KEY.path(PHONE)
    assert KEY.path_flow(token) == PHONE
    assert SipUri.parse(f"sip:{token}@192.0.2.1;lr;ob").user == token
    assert not KEY.valid(token, CALL_ID, ALICE, BOB)


def test_what_is_no_token_of_a_path() -> None:
    assert KEY.path_flow("bob") is None
    assert KEY.path_flow(TOKEN) is None


@pytest.mark.rfc("5626", "5.3.1")
def test_a_token_that_was_tampered_with() -> None:
    token, other = KEY.path(PHONE), KEY.path(BROWSER)
    spliced = f"{token.rpartition('.')[0]}.{other.rpartition('.')[2]}"
    foreign = TokenKey(b"another key, also of 32 octets..").path(PHONE)
    dialog = KEY.mint(CALL_ID, ALICE, Sides(PHONE)).removesuffix(".")
    for bad in (spliced, foreign, token[:-1], token + "A", "flow.", "flow..", "flow.\ud800.x", f"flow.{dialog}"):
        with pytest.raises(ValueError):  # noqa: PT011
            KEY.path_flow(bad)


def test_a_mark_tells_a_request_of_our_own() -> None:
    branch = f"z9hG4bK0.1234.{KEY.mark(CALL_ID, ALICE)}"
    assert KEY.marks(branch, CALL_ID, ALICE)
    assert not KEY.marks(branch, CALL_ID, BOB)
    assert not KEY.marks(branch, "another", ALICE)
    assert not KEY.marks("z9hG4bK0.1234", CALL_ID, ALICE)
    assert not KEY.valid(KEY.mark(CALL_ID, ALICE), CALL_ID, ALICE, BOB), "it opens no way into the dialog"
