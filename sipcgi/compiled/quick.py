"""Objects that messages make many of, made without a bytecode (quick.c)."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

from sipcgi.compiled import native

Made = TypeVar("Made")


def quick(kind: type[Made]) -> type[Made]:
    """Before a dataclass with slots, or a NamedTuple: a call of it fills its fields without `__init__` or `__new__`.

    These are for its subclasses, and say what is wrong with arguments. Raises TypeError for a class that is not made by
    filling its fields alone.
    """
    if native is not None:
        native.quick(kind, tuple(_parts(kind)))
    return kind


def _parts(kind: Any) -> list[tuple[Any, ...]]:
    """Of each field its name, then its default, or what makes one and True."""
    if issubclass(kind, tuple):
        given = kind._field_defaults
        return [(name, given[name]) if name in given else (name,) for name in kind._fields]
    found = fields(kind)
    if (
        hasattr(kind, "__post_init__")
        or not kind.__dataclass_params__.init
        or vars(kind).get("__match_args__") != tuple(field.name for field in found)
    ):
        raise TypeError(f"{kind.__name__} is more than its fields")
    return [
        (field.name, field.default)
        if field.default is not MISSING
        else (field.name, field.default_factory, True)
        if field.default_factory is not MISSING
        else (field.name,)
        for field in found
    ]
