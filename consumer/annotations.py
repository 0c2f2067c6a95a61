"""What type annotations of settings say: read to decode a file, and to describe one."""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Struct


def plain(annotation: Any) -> Any:
    """An annotation without its constraints."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def arms(annotation: Any) -> Sequence[Any]:
    """The alternatives of a union, or the annotation itself; without their constraints."""
    bare = plain(annotation)
    if get_origin(bare) in {Union, types.UnionType}:
        return [plain(arm) for arm in get_args(bare)]
    return [bare]


def is_struct(type_: Any) -> bool:
    """Whether values of this type are tables with known keys."""
    return isinstance(type_, type) and issubclass(type_, Struct)


def is_array(origin: Any) -> bool:
    """Whether values of this (unsubscripted) type are arrays."""
    return origin in {list, tuple, set, frozenset, Sequence}


def is_table(origin: Any) -> bool:
    """Whether values of this (unsubscripted) type are tables with any keys."""
    return origin in {dict, Mapping}


def is_text(annotation: Any) -> bool:
    """Whether values are written as strings, so that `KEY_file` makes sense.

    Beside strings these are choices and the types of `consumer.values` that parse one.
    """
    return any(
        (get_origin(arm) is Literal and all(isinstance(name, str) for name in get_args(arm)))
        or (isinstance(arm, type) and (issubclass(arm, str) or hasattr(arm, "parse")))
        for arm in arms(annotation)
    )
