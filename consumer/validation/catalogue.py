"""A schema set: found, read, and compiled for both engines.

The set is read into memory before anything is compiled, starting at the entry point and following
every include and import. So a missing file is named together with the line that asks for it, and no
reference ever leads to the network. libxml2 compiles what is in memory; xmlschema, which comes
last, reads the files once more. Neither reads any after that: a set that changes on disk under a
running daemon changes nothing until the next start.

libxml2 is the gate that every message passes. lxml keeps the errors of a validation on the compiled
schema, hence one compiled schema serves one thread at a time. `Gate` compiles enough of them at the
start and lends them out. It must not compile any later: lxml hands includes to our resolver through
a setting of the whole process, which a parser that ends in another thread takes away meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from os import cpu_count
from os.path import relpath
from pathlib import Path
from posixpath import join, normpath
from queue import SimpleQueue
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import xmlschema
from lxml import etree

from consumer.errors import SchemasUnusable

NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"
ENTRY = "Order-Backorder-Event-1.0.xsd"
EVENT = f"{{{NAMESPACE}}}OrderBackorder"

_XSD = "{http://www.w3.org/2001/XMLSchema}"
_REFERENCES = (f"{_XSD}include", f"{_XSD}import", f"{_XSD}redefine")
_BASE = "set:/"  # a made-up address: what is not in the set cannot be reached by it
_PIECE = 16 << 10  # bytes
# Compiled schemas, 2 ms each: for all threads that asyncio makes by default, and for its loop.
# Where there are more callers than that, they wait for one another.
_AT_ONCE = min(32, (cpu_count() or 1) + 4) + 1
_HINT = (
    "Put Radial's complete set there, or leave [schemas] directory empty to use the schemas that"
    " come with the program"
)


def shipped_directory() -> Path:
    """The project's own schemas: in the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


def load(directory: Path | None) -> "tuple[Gate, xmlschema.XMLSchema10]":
    """Both engines' form of the set in `directory`; raises SchemasUnusable."""
    directory = directory or shipped_directory()
    texts = _read(directory)
    gate = Gate(directory, texts)
    model = _model(directory, texts)
    if EVENT not in model.maps.elements:
        raise SchemasUnusable(
            f"{directory / ENTRY} declares no element OrderBackorder in namespace {NAMESPACE}",
            _HINT,
        )
    return gate, model


# --- reading ---------------------------------------------------------------------------------


def _read(directory: Path) -> dict[str, bytes]:
    """Every file of the set by its path relative to `directory`."""
    texts: dict[str, bytes] = {}
    wanted = [(ENTRY, "")]
    while wanted:
        name, asked = wanted.pop()
        if name in texts:
            continue
        try:
            texts[name] = (directory / name).read_bytes()
        except OSError as error:
            reason = f"cannot read {directory / name}: {error.strerror}{asked}"
            raise SchemasUnusable(reason, _HINT) from error
        wanted.extend(_references(directory, name, texts[name]))
    return texts


def _references(directory: Path, name: str, text: bytes) -> Iterator[tuple[str, str]]:
    """What a file includes and imports, each with the place that says so."""
    file = directory / name
    try:
        root = etree.fromstring(text, _parser())
    except etree.XMLSyntaxError as error:
        raise SchemasUnusable(f"{file}:{error.lineno}: not well-formed XML", _HINT) from error
    for reference in root.iterchildren(*_REFERENCES):
        location = reference.get("schemaLocation")
        if location is None:
            continue
        place = f"{file}:{reference.sourceline}"
        target = normpath(join(name, "..", location))
        if urlsplit(location).scheme or target.startswith(("/", "..")):
            raise SchemasUnusable(
                f"{place}: refers to {location}, which is not a file of the directory",
                "Put that file into the directory and name it by its relative path",
            )
        yield target, f" (asked for by {place})"


# --- compiling -------------------------------------------------------------------------------


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _model(directory: Path, texts: Mapping[str, bytes]) -> xmlschema.XMLSchema10:
    try:
        return xmlschema.XMLSchema10(str(directory / ENTRY), allow="local")
    except (xmlschema.XMLSchemaException, OSError, SyntaxError) as error:
        what = getattr(error, "message", None) or str(error)
        raise _mistake(_place(error, directory, texts), what) from error


def _place(error: Exception, directory: Path, texts: Mapping[str, bytes]) -> str:
    """The file that xmlschema objects to, with the line where it says which element it means.

    Its elements do not know their lines. Those of lxml do, and come in the same order.
    """
    if not isinstance(error, xmlschema.XMLSchemaValidatorError) or not error.schema_url:
        return str(directory / ENTRY)
    file = url2pathname(urlsplit(error.schema_url).path)
    text = texts.get(Path(relpath(file, directory)).as_posix())
    if text is None or error.root is None:
        return file
    ours = etree.fromstring(text, _parser()).iter("*")
    for theirs, same in zip(error.root.iter(), ours, strict=False):
        if theirs is error.elem:
            return f"{file}:{same.sourceline}"
    return file


def _mistake(where: str, what: str) -> SchemasUnusable:
    """What an engine says against the set; the full stop after it is ours."""
    return SchemasUnusable(f"{where}: {what.rstrip('.')}", _HINT)


class Complaint(NamedTuple):
    """One error of libxml2: its line, its code, and the XPath to its place where that is known.

    The message is left out, since it quotes the value.
    """

    line: int
    code: str
    path: str | None = None


class _Set(etree.Resolver):
    """Answers libxml2's requests for files from memory."""

    def __init__(self, texts: dict[str, bytes]) -> None:
        super().__init__()
        self._texts = texts

    def resolve(self, *request: Any) -> Any:
        """The text of the file of the set that the address names."""
        address, _public_id, context = request
        text = self._texts.get(address.removeprefix(_BASE), b"")
        return self.resolve_string(text, context, base_url=address)


class Gate:
    """The strict verdict of libxml2. Any number of threads may use one."""

    def __init__(self, directory: Path, texts: dict[str, bytes]) -> None:
        self._directory = directory
        self._texts = texts
        self._free: SimpleQueue[etree.XMLSchema] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._free.put(self._compile())

    def _compile(self) -> etree.XMLSchema:
        parser = _parser()
        parser.resolvers.add(_Set(self._texts))
        entry = etree.fromstring(self._texts[ENTRY], parser, base_url=_BASE + ENTRY)
        try:
            return etree.XMLSchema(entry)
        except etree.XMLSchemaParseError as error:
            first = next(iter(error.error_log), None)
            file = self._directory / (first.filename.removeprefix(_BASE) if first else ENTRY)
            where = f"{file}:{first.line}" if first else str(file)
            what = first.message if first else str(error)
            raise _mistake(where, what) from error

    def passes(self, event: etree._Element, *, large: bool = False) -> bool:
        """Whether the document of which `event` is the root satisfies the schemas.

        `large` says that it may hold very many errors. libxml2 would collect them all, and work out
        for each the path to it, which takes time with the square of their number. Such a document
        is validated in pieces while it is parsed once more, up to the first piece with an error.
        """
        return not self.complaints(event, large=large)

    def complaints(self, event: etree._Element, *, large: bool = False) -> list[Complaint]:
        """What libxml2 objects to, 100 of it at the most."""
        schema = self._free.get()
        try:
            if large:
                text = etree.tostring(event, encoding="UTF-8", with_tail=False)
                return _complaints_in_pieces(schema, text)
            return [] if schema.validate(event) else _first(schema.error_log)
        finally:
            self._free.put(schema)


def _first(log: Any) -> list[Complaint]:
    found = [Complaint(each.line, each.type_name, each.path) for each in islice(log, 100)]
    return found or [Complaint(0, "UNKNOWN")]


def _complaints_in_pieces(schema: etree.XMLSchema, text: bytes) -> list[Complaint]:
    parser = etree.XMLPullParser(
        events=(), schema=schema, resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
            if len(parser.feed_error_log):
                return _first(parser.feed_error_log)
        parser.close()
    except etree.XMLSyntaxError:
        return _first(parser.feed_error_log)
    finally:
        with suppress(etree.XMLSyntaxError):
            parser.close()
    return []
