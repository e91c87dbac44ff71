"""XML of strangers: no entities, no network, no document types; names without their namespaces."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from app.parsing.model import Damaged

Element = etree._Element  # noqa: SLF001 - lxml gives the type no public name


def parse_xml(data: bytes) -> Element:
    """Return the root element. Raises: Damaged."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Damaged from error
    return root


def local(element: Element | None) -> str:
    """The element's name without its namespace; empty for what is no element."""
    tag = element.tag if element is not None else None
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """The value of the attribute with this local name, whatever its namespace."""
    value = element.get(name)
    if value is not None:
        return str(value)
    for key, found in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(found)
    return None


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant along ``path`` of local names, or None."""
    for name in path:
        element = next((c for c in element if local(c) == name), None) if element is not None else None
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    """The direct children with this local name."""
    return (c for c in element if local(c) == name) if element is not None else iter(())


def descendants(element: Element, name: str) -> Iterator[Element]:
    """All descendants with this local name, in order of the document."""
    return element.iter("{*}" + name)


def whole(text: str | None, default: int = 0) -> int:
    """A whole number below a thousand million as files write it, or ``default`` for anything else."""
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else default


def text_of(element: Element | None) -> str:
    """All text beneath an element."""
    return "".join(str(text) for text in element.itertext()) if element is not None else ""
