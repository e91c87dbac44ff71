"""HTML to Markdown blocks: headings, paragraphs, lists, tables and code, without what only a browser
needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import lxml.html
from lxml import etree

from app.parsing.htmltables import table_rows
from app.parsing.model import Damaged, TooLarge
from app.parsing.tables import markdown_table
from app.parsing.xmltools import Element

_MOST_BYTES = 64 * 1024**2
_SILENT_TEXT = """
    script style template noscript svg math-annotation head nav button input select textarea iframe
    object canvas audio video map dialog
"""
_SILENT = frozenset(_SILENT_TEXT.split())
_NOISE_ROLES = frozenset({"navigation", "search", "banner", "contentinfo"})
_NOISE_CLASSES_TEXT = """
    mw-editsection mw-jump-link vector-dropdown vector-menu interlanguage-link catlinks navbox noprint
    dropdown-menu sr-only visually-hidden skip-link
"""
_NOISE_CLASSES = frozenset(_NOISE_CLASSES_TEXT.split())
_BLOCKS_TEXT = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer
    form header hr html legend main ol p section summary table tbody td tfoot th thead tr ul caption
"""
_BLOCKS = frozenset(_BLOCKS_TEXT.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ITEM = re.compile(r" *(?:- |\d+\. )")
_SPACES = re.compile(r"[ \t\n\r\f\xa0]+")
# In XHTML these may be closed in their own tag, which HTML does not know.
_SELF_CLOSED = re.compile(
    rb"<(title|script|style|a|div|span|p|i|b|em|strong|td|th|li|iframe|textarea|ul|ol)(\s[^<>]{0,2000})?/>",
    re.IGNORECASE,
)
_MAIN_SHARE = 0.4


def parse_html(data: bytes) -> Element:
    """Parse UTF-8 bytes as HTML, however broken. Raises: Damaged when nothing is left, TooLarge."""
    if len(data) > _MOST_BYTES:
        raise TooLarge(f"more than {_MOST_BYTES // 1024**2} MB of HTML")
    if data.lstrip()[:5] == b"<?xml":
        data = _SELF_CLOSED.sub(rb"<\1\2></\1>", data)
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = lxml.html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise Damaged from error
    return root


def page_title(root: Element) -> str | None:
    """The text of the title element."""
    found = root.find(".//title")
    return "".join(str(text) for text in found.itertext()) if found is not None else None


def main_part(root: Element) -> Element:
    """The one element marked as the main content, if it holds a fair share of all text, else everything."""
    marked = root.xpath("//main | //*[@role='main']")
    if isinstance(marked, list) and marked and isinstance(marked[0], Element):
        found = marked[0]
        if _visible_length(found) > _MAIN_SHARE * _visible_length(root):
            return found
    return root


def _visible_length(element: Element) -> int:
    walker = etree.iterwalk(element, events=("start", "end"))
    length = 0
    for event, node in walker:
        if event == "start":
            if is_hidden(node):
                walker.skip_subtree()
            else:
                length += len((node.text or "").strip())
        elif node is not element:
            length += len((node.tail or "").strip())
    return length


def is_hidden(element: Element) -> bool:
    """True for what a reader doesn't see, or sees on every page of a site."""
    tag = element.tag
    if not isinstance(tag, str) or tag in _SILENT:
        return True
    attributes = element.attrib
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or str(attributes.get("role", "")) in _NOISE_ROLES
        or bool(_INVISIBLE.search(str(attributes.get("style", ""))))
        or not _NOISE_CLASSES.isdisjoint(str(attributes.get("class", "")).split())
    )


def to_markdown(root: Element) -> Iterator[str]:
    """Yield the content of an element as Markdown blocks, each ending in an empty line."""
    writer = _Writer()
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        if event == "start":
            if is_hidden(element):
                walker.skip_subtree()
            elif element.tag == "table" and (rows := table_rows(element, is_hidden)) is not None:
                writer.close_block()
                writer.blocks.append(markdown_table(rows))
                walker.skip_subtree()
            else:
                writer.start(element)
        else:
            writer.end(element, root)
        yield from writer.take()
    writer.close_block()
    yield from writer.take()


class _Writer:
    """Collects inline text until a block ends."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._text: list[str] = []
        self._prefix = ""
        self._lists: list[int | None] = []  # the number of the last item, None in a list without numbers
        self._fences = 0
        self._after_item = False

    def take(self) -> Iterator[str]:
        """Give away what is finished."""
        if self.blocks:
            done, self.blocks = self.blocks, []
            for block in done:
                if block.strip():
                    is_item = bool(_ITEM.match(block))
                    yield ("\n" if self._after_item and not is_item else "") + block + "\n" * (2 - is_item)
                    self._after_item = is_item

    def start(self, element: Element) -> None:
        tag = str(element.tag)
        if tag in _HEADINGS:
            self.close_block()
            self._prefix = "#" * _HEADINGS[tag] + " "
        elif tag in {"ul", "ol"}:
            self.close_block()
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self.close_block()
            self._prefix = self._item_prefix()
        elif tag == "pre":
            self.close_block()
            self._fences += 1
        elif tag == "br":
            self._text.append("\x00")
        elif tag in _BLOCKS:
            self.close_block()
        self._add(element.text)

    def end(self, element: Element, root: Element) -> None:
        tag = str(element.tag)
        if tag == "pre" and self._fences:
            self.close_block()
            self._fences -= 1
        elif tag in _BLOCKS or tag in _HEADINGS or tag == "li":
            self.close_block()
            self._prefix = ""
        if tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        if element is not root:
            self._add(element.tail)

    def _item_prefix(self) -> str:
        indent = "  " * max(0, len(self._lists) - 1)
        if self._lists and self._lists[-1] is not None:
            self._lists[-1] += 1
            return f"{indent}{self._lists[-1]}. "
        return f"{indent}- "

    def _add(self, text: str | None) -> None:
        if text:
            self._text.append(text)

    def close_block(self) -> None:
        """End the paragraph, heading, item or piece of code that is being collected."""
        text = "".join(self._text)
        self._text = []
        if self._fences:
            text = text.replace("\x00", "\n").strip("\n")
            self.blocks.append(f"```\n{text}\n```" if text.strip() else "")
            return
        lines = [_SPACES.sub(" ", line).strip() for line in text.split("\x00")]
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        if self._prefix.lstrip().startswith("#"):
            text = text.replace("\n", " ")
        self.blocks.append(self._prefix + text)
        self._prefix = ""
