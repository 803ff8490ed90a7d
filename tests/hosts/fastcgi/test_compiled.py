"""Requests and answers at a glance are the same, compiled or not."""

import importlib.util
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipcgi import compiled
from sipcgi.hosts import fastcgi_records as records


@pytest.fixture(scope="module")
def pure() -> ModuleType:
    """The records without the compiled part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "native", None)
        spec = importlib.util.spec_from_file_location("records_in_python", records.__file__)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    assert module.plain_request({"A": "b"}, b"") is None
    return module


@pytest.fixture
def native(missing: Callable[[str], None]) -> Any:
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    return compiled.native


SIZES = st.sampled_from([0, 1, 127, 128, 129, 255, 256, 32767, 32768, 65000, 65533, 65534, 65535, 65536, 200_000])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=40)
VALUES = st.builds(str.__mul__, st.sampled_from(["v", "=\0", "\n"]), SIZES) | TEXTS | st.text("abc", max_size=300)
NAMES = st.text("ABC_019", min_size=1, max_size=40) | st.builds(str.__mul__, st.just("N"), SIZES)
BODIES = st.binary(max_size=300) | st.builds(bytes.__mul__, st.sampled_from([b"b", b"\0\xff"]), SIZES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=6), BODIES)
def test_requests_are_the_same(native: Any, variables: dict[str, str], body: bytes) -> None:
    found = native.plain_request(variables, body)
    if found is None:
        long = len(records.pairs(variables)) > records.MAX_CONTENT or len(body) > records.MAX_CONTENT
        assert long or not variables or not "".join([*variables, *variables.values()]).isascii()
    else:
        assert found == records.whole_request(1, variables, body)


def test_as_many_octets_as_a_record_holds(native: Any) -> None:
    """With a length of one octet and one of four, and a name of one octet."""
    for size in (65528, 65529, 65530):
        variables = {"N": "v" * size}
        assert native.plain_request(variables, b"") in (records.whole_request(1, variables, b""), None)
        assert (native.plain_request(variables, b"") is None) == (size > 65529)


def test_answers_are_the_same(pure: ModuleType, native: Any) -> None:
    chance = random.Random(1)
    kinds, sizes = (records.END_REQUEST, records.STDOUT, records.STDERR), (0, 8, 300)
    pieces = [records.record(kind, 1, b"p" * size, padding) for kind in kinds for size in sizes for padding in (0, 7)]
    pieces += [records.end(1), records.end(1), records.end(1, 1), records.end(2), b"", b"\1", b"\1\6\0\1"]
    pieces.append(records.record(records.STDOUT, 2, b"x"))
    plain = 0
    for _ in range(20_000):
        octets = bytearray(b"".join(chance.choices(pieces, k=chance.randrange(1, 4))) + records.end(1))
        if chance.random() < 0.3:
            octets[chance.randrange(len(octets))] = chance.choice((0, 1, 6, 7, 8, 255))
        answer = bytes(octets[: None if chance.random() < 0.8 else chance.randrange(30)])
        found = native.whole_output(answer)
        assert found == pure.whole_output(answer), answer
        plain += found is not None
    assert plain > 500
    for size in (255, 256, 65535):
        octets = records.record(records.STDOUT, 1, b"x" * size, 255) + records.end(1)
        assert native.whole_output(octets) == pure.whole_output(octets) == b"x" * size


def test_what_is_neither(native: Any) -> None:
    assert native.plain_request({}, b"body") is None
    assert native.plain_request({"A": 1}, b"body") is None
    assert native.plain_request({b"A": "a"}, b"body") is None
    for arguments in [(), ({},), ({"A": "a"}, "body"), ([("A", "a")], b""), ({"A": "a"}, b"", 1)]:
        with pytest.raises(TypeError):
            native.plain_request(*arguments)
    with pytest.raises(TypeError):
        native.whole_output("text")
