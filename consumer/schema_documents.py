"""JSON Schema (2020-12) of what this program emits and of what configures it, made from the code.

The event's schema says what is really written: every key is there, null where nothing is known.
The configuration's describes the TOML file as a person writes it: durations and sizes with their
units, `${NAME}` wherever a value is wanted, `KEY_file` beside every key that holds a string.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from consumer.annotations import arms, is_array, is_struct, is_table, is_text
from consumer.event import Event
from consumer.settings import Settings, SinkOptions, SourceOptions
from consumer.values import Duration, Secret, Size

Document = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONFIGURATION_ID = "urn:backorder-consumer:configuration:1"
_DEFS = "#/$defs/"
_TIMES = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))
_LEFT_OUT = {"drift", "traceparent", "replay", "changes"}  # where there is nothing to say
_PARTS: dict[str, type[Struct]] = {"sources": SourceOptions, "sinks": SinkOptions}


def event_schema() -> Document:
    """What an event looks like on the wire; its `$id` is the event's `dataschema`."""
    _, components = msgspec.json.schema_components([Event], ref_template=_DEFS + "{name}")
    for part in components.values():
        part["required"] = [name for name in part["properties"] if name not in _LEFT_OUT]
        part["description"] = inspect.cleandoc(part["description"])
        for described in part["properties"].values():
            described.pop("default", None)
    event = components.pop("Event")
    event["title"] = "Back-order event"
    id_ = event["properties"]["dataschema"]["enum"][0]
    return {"$schema": DIALECT, "$id": id_, **event, "$defs": components}


def config_schema(
    source_types: Mapping[str, type[SourceOptions]], sink_types: Mapping[str, type[SinkOptions]]
) -> Document:
    """What a configuration file may say, given the installed types of sources and sinks."""
    definitions = _Definitions()
    properties: Document = {}
    for field in msgspec.structs.fields(Settings):
        if field.name != "file" and field.name not in _PARTS:
            properties[field.name] = definitions.reference(field.type)
    for kind, types in (("sources", source_types), ("sinks", sink_types)):
        variants = [
            definitions.part(f"{kind}.{name}", name, options) for name, options in types.items()
        ]
        one_of = {"oneOf": variants} if variants else False
        properties[kind] = {"type": "array", "items": one_of}
    return {
        "$schema": DIALECT,
        "$id": CONFIGURATION_ID,
        "title": "Configuration of backorder-consumer",
        "description": "One TOML file. Strings may hold ${NAME} or ${NAME:-default}.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions.all,
    }


def check_options(options: type[Struct]) -> None:
    """Raises TypeError where an option is of a type that no configuration can hold.

    Whatever else describing it raises comes from the code of these options.
    """
    _Definitions().part("options", "", options)


def written(value: object) -> Any:
    """A default as a file would write it."""
    if isinstance(value, Duration):
        return _with_unit(round(value * 1000), _TIMES)
    if isinstance(value, Size):
        return _with_unit(int(value), _SIZES)
    return value


def _with_unit(number: int, units: tuple[tuple[str, int], ...]) -> str:
    name, scale = next(unit for unit in units if number % unit[1] == 0)
    return f"{number // scale}{name}" if number else f"0{units[-1][0]}"


class _Definitions:
    """The tables described so far, each once, by name."""

    def __init__(self) -> None:
        self.all: Document = {
            "variable": {
                "description": "a value from the environment",
                "type": "string",
                "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
            }
        }
        self._names: dict[type[Struct], str] = {}

    def reference(self, type_: type[Struct]) -> Document:
        """A reference to a table, which is described if it is not yet."""
        if type_ not in self._names:
            same = sum(name.partition("-")[0] == type_.__name__ for name in self._names.values())
            self._names[type_] = f"{type_.__name__}-{same + 1}" if same else type_.__name__
            self.all[self._names[type_]] = self._table(type_)
        return {"$ref": _DEFS + self._names[type_]}

    def part(self, key: str, name: str, options: type[Struct]) -> Document:
        """A reference to the table of one type of source or sink."""
        self.all[key] = self._table(options, type=name)
        return {"$ref": _DEFS + key}

    def _table(self, type_: type[Struct], **fixed: str) -> Document:
        properties: Document = {}
        required, rules = [], []
        for field in msgspec.structs.fields(type_):
            key = field.encode_name
            if key in fixed:
                properties[key] = {"const": fixed[key]}
                required.append(key)
                continue
            properties[key] = self._value(field.type)
            if about := _said_about(key, type_):
                properties[key].setdefault("description", about)
            if not field.required:
                self._add_default(properties[key], field)
            if not is_text(field.type):
                required += [key] if field.required else []
                continue
            properties[f"{key}_file"] = {
                "description": f"path of a file whose content is the value of `{key}`",
                "type": "string",
            }
            either = [{"required": [key]}, {"required": [f"{key}_file"]}]
            both = {"not": {"required": [key, f"{key}_file"]}}
            rules.append({"oneOf": either} if field.required else both)
        return {
            "title": type_.__name__,
            "description": inspect.cleandoc(type_.__doc__ or ""),
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
            "required": required,
            **({"allOf": rules} if rules else {}),
        }

    def _add_default(self, described: Document, field: msgspec.structs.FieldInfo) -> None:
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if default is not None and not isinstance(default, Struct | Secret):
            encoded = msgspec.json.encode(default, enc_hook=written)
            described["default"] = msgspec.json.decode(encoded)

    def _value(self, annotation: Any) -> Document:
        """One value: a table, an array, or something single that a variable may stand for."""
        for arm in arms(annotation):
            origin, inner = get_origin(arm) or arm, get_args(arm)
            if is_struct(origin):
                return self.reference(origin)
            if is_array(origin) and inner:
                return {"type": "array", "items": self._value(inner[0])}
            if is_table(origin) and inner:
                return {"type": "object", "additionalProperties": self._value(inner[1])}
        single = msgspec.json.schema(annotation, schema_hook=_described)
        if single == {"type": "string"}:
            return single
        return {"anyOf": [single, {"$ref": _DEFS + "variable"}]}


def _said_about(key: str, type_: type[Struct]) -> str:
    """What the descriptions of a table and of those it builds on say about one of its keys."""
    texts = [inspect.cleandoc(base.__doc__ or "") for base in type_.__mro__]
    sentences = [part for text in texts for part in re.split(r"(?<=\.)\s+", text)]
    return " ".join(" ".join(sentence.split()) for sentence in sentences if f"`{key}`" in sentence)


def _described(type_: type) -> Document:
    """What a type with a unit says about itself; one that cannot read itself is none of them."""
    if not (hasattr(type_, "schema") and hasattr(type_, "parse")):
        raise NotImplementedError
    return dict(type_.schema)
