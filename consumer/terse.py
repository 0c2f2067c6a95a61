"""Classes whose JSON leaves out what is not known, for digests that outlive new fields.

Copying a value into such a class and encoding that is all C; to walk through some ninety fields,
most of which hold None, would take longer than all else about an id.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

NO_DICT: Any = msgspec.field(default_factory=dict)


def terse(
    model: type[Struct],
    *,
    empty: Mapping[str, Any] = {},
    parts: Mapping[str, type[Struct]] = {},
) -> type[Struct]:
    """A class to `msgspec.convert` a `model` to, from its attributes; its fields are sorted.

    Its JSON leaves out the fields that hold None or UNSET, those that are `empty`, by name (`()` or
    `NO_DICT`), and of the `parts`, by name the terse classes of models within this one, those of
    which nothing is left.
    """
    nothing_left = [(name, part()) for name, part in parts.items()]

    def leave_out_parts(self: Struct) -> None:
        for name, nothing in nothing_left:
            if (part := getattr(self, name)) is not None and part == nothing:
                setattr(self, name, None)

    return msgspec.defstruct(
        f"Terse{model.__name__}",
        [
            (name, parts[name] | None if name in parts else Any, empty.get(name))
            for name in sorted(model.__struct_fields__)
        ],
        omit_defaults=True,
        namespace={"__post_init__": leave_out_parts} if parts else None,
    )
