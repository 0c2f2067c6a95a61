# cython: language_level=3
"""`xml.read` by means of libxml2's own tree, to which lxml lends access.

The tree is only read, and only while the element that holds it is: no pointer outlives a call.
Nothing here calls Python code; where the collector of cycles does, another thread may run, so that
nobody else may be changing the tree meanwhile. Of a node's fields those are used that its kind has,
all of them part of libxml2's published interface (tree.h): elements have `ns`, `properties` and
`children`, attributes `ns` and `children`, texts `content`. Everything is UTF-8 in there, and ends
with a zero byte.

White space in XML is four ASCII characters, but what goes around a text is what `str.strip` takes,
which knows more of them: a text that may begin or end with one of those is left to `str.strip`.

Names come again and again, in a message and from one to the next, and libxml2 keeps a name that it
parses but once. So the `str` made of it last stands in a table, in the place that the name's
address says, and is taken from there where it proves to be the same name, letter by letter: an
address alone says nothing, since another name may have it by then. To decode and hash each anew
would be half as much work again.
"""

from cpython.unicode cimport PyUnicode_AsUTF8, PyUnicode_DecodeUTF8
from libc.string cimport strcmp, strlen
from lxml.includes.etreepublic cimport _Element, attributeValue, import_lxml__etree
from lxml.includes.tree cimport (
    XML_CDATA_SECTION_NODE,
    XML_ELEMENT_NODE,
    XML_TEXT_NODE,
    const_xmlChar,
    xmlAttr,
    xmlNode,
    xmlNs,
)

from lxml import etree

from consumer.normalisation import xml_rules

cdef extern from "libxml/xmlversion.h":
    const int LIBXML_VERSION

cdef enum:
    _DEEPEST = 1_000  # levels, under 200 bytes of stack each; the parser lets 256 pass
    _NAMES = 1_024  # what senders make up takes no more room than so many names
    _LONGEST_NAME = 200  # of so many bytes

import_lxml__etree()  # sees to it that lxml's own types are as they were
_made_for = LIBXML_VERSION // 10_000, LIBXML_VERSION // 100 % 100, LIBXML_VERSION % 100
if etree.LIBXML_VERSION != _made_for:
    raise ImportError(f"made for libxml2 {_made_for}, not {etree.LIBXML_VERSION}")

cdef bytes _namespace = xml_rules.NAMESPACE.encode()
cdef const char* _OURS = _namespace
cdef str _TEXT = xml_rules.TEXT
cdef frozenset _HINTS = xml_rules.HINTS
cdef list _names = [""] * _NAMES


def read(_Element element not None):
    """The element as a text, a dict or None."""
    if element._c_node is NULL or element._c_node.type != XML_ELEMENT_NODE:
        raise TypeError("not an element of a tree")
    return _value(element._c_node, 1)


cdef object _value(xmlNode* element, int level):
    cdef xmlNode* only = element.children
    if element.properties is NULL:
        if only is NULL:
            return None
        if only.next is NULL and only.type == XML_TEXT_NODE:
            return _stripped(only.content)
    if level > _DEEPEST:
        raise RecursionError(f"elements nested over {_DEEPEST} deep")
    return _parts(element, level)


cdef object _parts(xmlNode* element, int level):
    """Attributes, children and texts, in the order in which the rules want them."""
    cdef dict node = {} if element.properties is NULL else _attributes(element)
    cdef list texts = None
    cdef str text = None  # the piece that is being read; comments do not part it
    cdef xmlNode* child = element.children
    while child is not NULL:
        if child.type == XML_ELEMENT_NODE:
            if text is not None:
                texts = _listed(texts, text)
                text = None
            _put(node, _name(child.ns, child.name, b""), _value(child, level + 1))
        elif child.type == XML_TEXT_NODE or child.type == XML_CDATA_SECTION_NODE:
            if text is not None:
                text += _decoded(child.content)
            elif not _is_blank(child.content):
                text = _decoded(child.content)
        child = child.next
    if text is not None:
        texts = _listed(texts, text)
    if texts is None:
        return node or None
    if not node:
        return texts[0]
    node[_TEXT] = texts if len(texts) > 1 else texts[0]
    return node


cdef list _listed(list texts, str text):
    """The texts, if there are any, and this one, unless it is blank."""
    text = text.strip()
    if not text:
        return texts
    if texts is None:
        return [text]
    texts.append(text)
    return texts


cdef int _put(dict node, str name, object value) except -1:
    """`xml_rules.add`, which is Python code."""
    cdef Py_ssize_t before = len(node)
    cdef object present = node.setdefault(name, value)
    if len(node) > before:
        return 0
    if type(present) is list:
        (<list>present).append(value)
    else:
        node[name] = [present, value]
    return 0


cdef dict _attributes(xmlNode* element):
    """Sorted by name; where a parser that mends documents left one twice, the first, as lxml."""
    cdef dict said = {}
    cdef str name
    cdef xmlAttr* attribute = element.properties
    while attribute is not NULL:
        name = _name(attribute.ns, attribute.name, NULL)
        if attribute.ns is NULL or name not in _HINTS:
            said.setdefault(name, _attribute_value(element, attribute))
        attribute = attribute.next
    return {name: said[name] for name in sorted(said)} if len(said) > 1 else said


cdef str _attribute_value(xmlNode* element, xmlAttr* attribute):
    """The one text that an attribute has, if any; lxml knows what else a DTD may bring about."""
    cdef xmlNode* text = attribute.children
    if text is NULL:
        return None
    if text.next is NULL and text.type == XML_TEXT_NODE:
        return _stripped(text.content)
    return attributeValue(element, attribute).strip() or None


cdef str _name(xmlNs* namespace, const_xmlChar* name, const char* without):
    """The name as the rules tell it; `without` stands in braces where there is no namespace."""
    if namespace is NULL or namespace.href is NULL:
        return _local(name) if without is NULL else f"{{}}{_local(name)}"
    if without is not NULL and strcmp(<const char*>namespace.href, _OURS) == 0:
        return _local(name)
    return f"{{{_decoded(namespace.href)}}}{_local(name)}"


cdef str _local(const_xmlChar* name):
    cdef size_t place = <size_t>name % _NAMES
    cdef str known = <str>_names[place]
    if strcmp(PyUnicode_AsUTF8(known), <const char*>name) != 0:
        known = _decoded(name)
        if strlen(<const char*>name) <= _LONGEST_NAME:
            _names[place] = known
    return known


cdef str _stripped(const_xmlChar* content):
    """A text without white space around it; None where nothing is left."""
    cdef size_t length
    cdef str text
    if content is NULL or content[0] == 0:
        return None
    length = strlen(<const char*>content)
    text = PyUnicode_DecodeUTF8(<const char*>content, length, NULL)
    if b"!" <= content[0] <= b"~" and b"!" <= content[length - 1] <= b"~":
        return text
    return text.strip() or None


cdef str _decoded(const_xmlChar* content):
    if content is NULL:
        return ""
    return PyUnicode_DecodeUTF8(<const char*>content, strlen(<const char*>content), NULL)


cdef bint _is_blank(const_xmlChar* content) noexcept:
    if content is not NULL:
        while content[0] == b" " or b"\t" <= content[0] <= b"\r":
            content += 1
    return content is NULL or content[0] == 0
