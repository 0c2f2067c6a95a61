"""Bytes to an element tree, whatever the bytes are.

Rules, in the order in which they are applied:

1. A document type declaration is refused before anything is parsed. Entities, their expansion,
   external files and attribute defaults all need one, so none of them ever happens.
2. The parser resolves nothing, reads no file and no network, and keeps libxml2's own limits
   (256 levels, 10 MB a text or attribute). Comments and processing instructions are left out.
3. Neither does a document grow beyond measure in memory: one of more than 2,000,000 tags is refused
   before it is parsed (a tree takes 100 bytes and more for each), and one that declares a namespace
   of more than 250 characters after that, since every name in it is read with its namespace.
4. A declaration that rule 1 did not see, since the document is in an encoding that rule 1 does not
   know, is refused after parsing. libxml2 bounds what such a document can have expanded by then.

Most documents show by their first bytes that they are in UTF-8 and begin with the root element.
No document type declaration may stand behind that, so that rules 1 and 4 have nothing to object to.
In UTF-8 every declaration of a namespace is spelt `xmlns`: where the root has as many of them as
there are such words, no other element has any, and rule 3 needs no walk through all elements.

White space between elements is nearly half of the nodes of a tree, and says nothing. Who does not
keep the document as it came may have it left out (`blanks=False`). It is kept all the same where
there are comments, instructions or carriage returns, at which libxml2 takes the blanks of a value
for such space, or where the first bytes do not show that it is easily seen whether there are any.

Small documents share a parser, and lxml lets one thread at a time use it, for less than a
millisecond. A large one has its own, which takes the room that it needed with it.

Reasons are our own words for libxml2's error codes: its messages may quote what a person wrote.
"""

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from consumer.model import Problem

_DOCTYPE = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL)
_DOCTYPE_REASON = "a document type declaration (DOCTYPE) is not allowed"
_MOST_TAGS = 2_000_000  # Radial's samples have one in 20 bytes: 40 MB of them
_MOST_TAGS_REASON = f"more than {_MOST_TAGS} tags"
_LONGEST_NAMESPACE = 250  # characters
_NAMESPACE_REASON = f"a namespace of more than {_LONGEST_NAMESPACE} characters"
_UTF8_BOM = b"\xef\xbb\xbf"
# Nothing but UTF-8 begins so: UTF-16 and UTF-32 have a zero byte beside the `<`, EBCDIC has another
# byte for it, and what is told by neither has to be declared, and not as UTF-8.
_is_utf8_and_root_first = re.compile(
    rb"""(?:\xef\xbb\xbf)?
    (?:<\?xml\ version=(?:"1\.0"|'1\.0')\ encoding=(?:"UTF-8"|'UTF-8'|"utf-8"|'utf-8')\ ?\?>)?
    [\ \t\r\n]*<[A-Za-z_]""",
    re.VERBOSE,
).match
_SMALL = 64 << 10  # bytes

_Codes = etree.ErrorTypes
_REASONS = {
    _Codes.ERR_DOCUMENT_EMPTY: "this is not XML: it does not begin with a start tag",
    _Codes.ERR_DOCUMENT_START: "this is not XML: it does not begin with a start tag",
    _Codes.ERR_DOCUMENT_END: "something follows the end of the root element",
    _Codes.ERR_TAG_NOT_FINISHED: "the document ends before its last end tag",
    _Codes.ERR_TAG_NAME_MISMATCH: "an end tag does not match its start tag",
    _Codes.ERR_GT_REQUIRED: "a tag is not closed with '>'",
    _Codes.ERR_LTSLASH_REQUIRED: "an end tag is missing",
    _Codes.ERR_LT_IN_ATTRIBUTE: "a bare '<' in an attribute; write &lt;",
    _Codes.ERR_NAME_REQUIRED: "a name is missing after '<' or '&'; a bare one is &lt; or &amp;",
    _Codes.ERR_ENTITYREF_SEMICOL_MISSING: "a bare '&', or an entity without ';'; write &amp;",
    _Codes.ERR_UNDECLARED_ENTITY: "an entity that XML does not define",
    _Codes.ERR_ATTRIBUTE_NOT_STARTED: "an attribute value without quotes",
    _Codes.ERR_ATTRIBUTE_NOT_FINISHED: "an attribute value whose closing quote is missing",
    _Codes.ERR_ATTRIBUTE_WITHOUT_VALUE: "an attribute without a value",
    _Codes.ERR_ATTRIBUTE_REDEFINED: "an attribute stands twice in one tag",
    _Codes.ERR_SPACE_REQUIRED: "white space is missing between attributes",
    _Codes.ERR_CDATA_NOT_FINISHED: "a CDATA section is not closed",
    _Codes.ERR_COMMENT_NOT_FINISHED: "a comment is not closed",
    _Codes.ERR_PI_NOT_FINISHED: "a processing instruction is not closed",
    _Codes.ERR_RESERVED_XML_NAME: "the XML declaration is not at the very beginning",
    _Codes.ERR_INVALID_CHAR: "a character that XML does not allow",
    _Codes.ERR_INVALID_CHARREF: "a character reference to no character of XML",
    _Codes.ERR_INVALID_ENCODING: "bytes that do not fit the document's encoding",
    _Codes.I18N_CONV_FAILED: "bytes that do not fit the document's encoding",
    _Codes.ERR_UNSUPPORTED_ENCODING: "an encoding that is not supported",
    _Codes.ERR_UNKNOWN_ENCODING: "an encoding that is not known",
    _Codes.ERR_RESOURCE_LIMIT: "beyond the limits: nested over 256 deep, or a value over 10 MB",
    _Codes.NS_ERR_UNDEFINED_NAMESPACE: "a namespace prefix that is not declared",
    _Codes.NS_ERR_XML_NAMESPACE: "a namespace prefix that is declared wrongly",
    _Codes.WAR_NS_URI: "a namespace that is not a URI",
}


def parse(body: bytes, *, blanks: bool = True) -> etree._Element | Problem:
    """The root element of `body`, or why there is none. Raises nothing."""
    plain = _is_utf8_and_root_first(body)
    if not plain and (declared := _doctype(body)) is not None:
        return declared
    small = len(body) <= _SMALL
    if not small and body.count(b"<") > _MOST_TAGS:
        return Problem(reason=_MOST_TAGS_REASON, line=1, column=1)
    blanks = blanks or not plain or not _blanks_are_plain(body, plain.end())
    parser = _shared[blanks] if small else _parser(blanks=blanks)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        return _syntax_problem(error)
    if not plain and root.getroottree().docinfo.internalDTD is not None:
        return Problem(reason=_DOCTYPE_REASON, line=1, column=1)  # where exactly is not known
    if max(map(len, _namespaces(root, body, plain=bool(plain))), default=0) > _LONGEST_NAMESPACE:
        return Problem(reason=_NAMESPACE_REASON, line=1, column=1)  # as above
    return root


def _parser(*, blanks: bool) -> etree.XMLParser:
    return etree.XMLParser(
        remove_blank_text=not blanks,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _blanks_are_plain(body: bytes, start: int) -> bool:
    """Whether white space of a document in UTF-8 is left out between elements only.

    Before `start` there is neither an instruction nor a comment. One byte is found ten times as
    fast as two in a row, and most documents do not even have that one.
    """
    instructed = body.find(b"?", start) >= 0 and body.find(b"<?", start) >= 0
    commented = b"!" in body and b"<!" in body
    return not instructed and not commented and b"\r" not in body


_shared = {blanks: _parser(blanks=blanks) for blanks in (False, True)}


def _namespaces(root: etree._Element, body: bytes, *, plain: bool) -> Iterable[str]:
    """The namespaces that the document declares, and some twice."""
    declared = root.nsmap
    if plain and len(declared) == body.count(b"xmlns"):
        return declared.values()
    return (namespace for _, (_, namespace) in etree.iterwalk(root, events=("start-ns",)))


def _doctype(body: bytes) -> Problem | None:
    text = body.removeprefix(_UTF8_BOM)
    if b"\0" in body[:4]:
        text = body.decode(_wide_encoding(body), "replace").encode("utf-8", "replace")
        text = text.removeprefix(_UTF8_BOM)
    found = _DOCTYPE.match(text)
    if not found:
        return None
    before = text[: found.end() - len(b"<!DOCTYPE")]
    return Problem(
        reason=_DOCTYPE_REASON,
        line=before.count(b"\n") + 1,
        column=len(before) - before.rfind(b"\n"),
    )


def _wide_encoding(body: bytes) -> str:
    """UTF-16 in the byte order that the mark says, or else the place of the first zero byte."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    return "utf-16-be" if body[:1] == b"\0" else "utf-16-le"


def _syntax_problem(error: Any) -> Problem:
    line, column = error.position
    reason = _REASONS.get(error.code, f"not well-formed XML (libxml2 error {error.code})")
    return Problem(reason=reason, line=max(line or 1, 1), column=max(column or 1, 1))
