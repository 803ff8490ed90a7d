"""The keyed token of our Record-Route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.dialog.token import TokenKey
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
