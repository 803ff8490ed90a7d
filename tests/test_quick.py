"""What the compiled part makes is what the class itself makes, of any arguments."""

import copy
import dataclasses
import gc
import importlib
import os
import pickle
import random
import sys
import weakref
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, NamedTuple

import pytest

from sipcgi import compiled
from sipcgi.compiled.quick import quick

MODULES = (
    "logs", "flow", "service", "cgi.metavars", "cgi.output", "proxy.responses", "proxy.route", "hosts.base",
    "cgi.action", "cgi.message", "registrar.bindings", "registrar.register", "engine.own_route", "engine.policy",
    "engine.target",
)  # fmt: skip


class Broken(Exception):
    pass


def broken() -> object:
    raise Broken


@quick
@dataclass(slots=True)
class Plain:
    first: object
    second: object = 2
    third: list[object] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Base:
    first: object
    second: object = 2


@quick
@dataclass(slots=True, frozen=True)
class Derived(Base):
    second: object = 3
    third: object = None


@quick
@dataclass(slots=True, weakref_slot=True)
class Referred:
    first: object = 1


@quick
class Pair(NamedTuple):
    first: object
    second: object = 2


@quick
@dataclass(slots=True)
class Nothing:
    pass


@quick
@dataclass(slots=True)
class Failing:
    first: object
    second: object = field(default_factory=broken)


class Below(Plain):
    pass


OURS: list[Any] = [Plain, Derived, Referred, Pair, Nothing, Failing, Below]


@pytest.fixture(autouse=True)
def there(missing: Callable[[str], None]) -> None:
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")


def quick_ones() -> list[Any]:
    found = [vars(importlib.import_module(f"sipcgi.{name}")).values() for name in MODULES]
    return [kind for kinds in found for kind in kinds if isinstance(kind, type) and "__recipe__" in vars(kind)]


def names_of(kind: Any) -> list[str]:
    return list(kind._fields) if issubclass(kind, tuple) else [one.name for one in dataclasses.fields(kind)]


def by_itself(kind: Any, *arguments: object, **named: object) -> object:
    made = kind.__new__(kind, *arguments, **named) if issubclass(kind, tuple) else object.__new__(kind)
    if not issubclass(kind, tuple):
        made.__init__(*arguments, **named)
    return made


def outcome(make: Callable[..., object], kind: Any, arguments: list[object], named: dict[str, object]) -> object:
    try:
        made = make(*arguments, **named)
    except (TypeError, Broken) as error:
        return type(error), str(error)
    assert type(made) is kind
    assert gc.is_tracked(made) or not names_of(kind) or issubclass(kind, tuple)
    values = [getattr(made, name) for name in names_of(kind)]
    return [value if value in ([], {}) else id(value) for value in values], repr(made)


@pytest.mark.parametrize("kind", [*OURS, *quick_ones()], ids=lambda kind: kind.__qualname__)
def test_any_arguments_make_the_same(kind: Any) -> None:
    chance = random.Random(kind.__name__)
    names, right = names_of(kind), 0
    for _ in range(400):
        arguments: list[object] = [f"v{number}" for number in range(chance.randrange(len(names) + 2))]
        if chance.random() < 0.2:
            arguments = []
        rest = names[len(arguments) :]
        chosen = rest if chance.random() < 0.5 else chance.sample(rest, chance.randrange(len(rest) + 1))
        if chance.random() < 0.2:
            chosen = [*chosen, chance.choice([*names, "other"])]
        if chance.random() < 0.3:
            chance.shuffle(chosen)
        named = {name if chance.random() < 0.9 else "".join(name): object() for name in chosen}  # or not interned
        one = outcome(kind, kind, arguments, named)
        assert one == outcome(lambda *given, **more: by_itself(kind, *given, **more), kind, arguments, named)
        right += isinstance(one[0], list)  # type: ignore[index]
    assert right > 60 or kind is Failing


def test_all_that_is_hot_is_among_them() -> None:
    assert {"AccessRecord", "Situation", "Edits", "Invocation", "Outcome", "Target", "Ends", "HostPort"} <= {
        kind.__name__ for kind in quick_ones()
    }


def test_no_bytecode_runs() -> None:
    ran = []
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        Plain(1, second=3)
        Derived(1)
        Pair(1)
    finally:
        sys.setprofile(None)
    assert ran == []
    Below(1)


def test_it_is_a_dataclass_as_any_other() -> None:
    made = Derived(1, third=[])
    assert dataclasses.replace(made, second=4) == Derived(1, 4, [])
    assert copy.copy(made) == made
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert Pair(1)._replace(second=3) == Pair(1, 3) == (1, 3)
    with pytest.raises(FrozenInstanceError):
        made.second = 5  # type: ignore[misc]
    assert Plain(1).third is not Plain(1).third
    referred = Referred()
    assert weakref.ref(referred)() is referred
    assert isinstance(Below(1), Below)


def counted(value: object) -> list[int]:
    return [sys.getrefcount(one) for one in (value, Plain, Pair, Failing)]


def test_nothing_is_left_behind() -> None:
    class Value:
        pass

    value = Value()
    counts = counted(value)
    wrong: list[tuple[Any, tuple[object, ...], dict[str, object]]] = [
        (Plain, (value,), {"other": value}),
        (Plain, (value,), {"first": value}),
        (Pair, (value, value, value), {}),
        (Failing, (value,), {}),
    ]
    for _ in range(1000):
        Plain(value, third=[value])
        Pair(value, second=value)
        for kind, arguments, named in wrong:
            with pytest.raises((TypeError, Broken)):
                kind(*arguments, **named)
    del kind, arguments, named, wrong
    assert counted(value) == counts
    seen = weakref.ref(value)
    cycle = Plain(value)
    cycle.third.append(cycle)
    del value, cycle
    gc.collect()
    assert seen() is None


def test_a_class_goes_with_what_it_was_given() -> None:
    class Value:
        pass

    value = Value()

    @quick
    @dataclass(slots=True, eq=False)
    class Short:
        first: object = value

    assert Short().first is value
    seen = weakref.ref(Short), weakref.ref(value)
    del Short, value
    gc.collect()
    assert [one() for one in seen] == [None, None]


def test_a_class_with_more_to_do_is_refused() -> None:
    @dataclass
    class Open:
        first: int = 0

    @dataclass(slots=True)
    class Post:
        first: int

        def __post_init__(self) -> None: ...

    @dataclass(slots=True)
    class Partly:
        first: int = field(default=0, init=False)

    @dataclass(slots=True, init=False)
    class Own:
        first: int

        def __init__(self) -> None: ...

    @dataclass(slots=True, kw_only=True)
    class Named:
        first: int

    class Meta(type):
        def __call__(cls, *arguments: object) -> object: ...

    @dataclass(slots=True)
    class Odd(metaclass=Meta):
        first: int

    @dataclass(slots=True)
    class New:
        first: int

        def __new__(cls, *_: object) -> "New":
            return object.__new__(cls)

    for kind in (Open, Post, Partly, Own, Named, Odd, New, Plain, Below, int, object, type):
        with pytest.raises((TypeError, AttributeError)):
            quick(kind)
    native: Any = compiled.native
    misused: tuple[tuple[Any, ...], ...] = (
        (),
        (Base,),
        (Base, []),
        (1, ()),
        (Base, (("x",),)),
        (Base, ((1,),)),
        (Base, (("__init__",),)),
    )
    for arguments in misused:
        with pytest.raises((TypeError, AttributeError)):
            native.quick(*arguments)
    with pytest.raises((TypeError, SystemError)):
        native.quick(Base, (1,))


def test_a_recipe_of_another_is_not_followed() -> None:
    @quick
    @dataclass(slots=True)
    class One:
        first: int = 1

    One.__recipe__ = vars(Plain)["__recipe__"]  # type: ignore[attr-defined]
    assert One(2).first == 2
    with pytest.raises(TypeError):
        One(1, 2)  # type: ignore[call-arg]
    One.__recipe__ = 1  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Capsule"):
        One()
    del One.__recipe__  # type: ignore[attr-defined]
    assert One().first == 1
