"""A small PDF writer: A4 pages of headings, paragraphs, bullets and tables in Helvetica, with bookmarks.

Follows ISO 32000-1. Helvetica is one of the 14 fonts that every reader has, so nothing is embedded; its
widths are from Adobe's font metrics, in thousandths of the font size. Lengths are points.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.samples.blocks import Block

_WIDTHS = [
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556,) * 10,
    *(278, 278, 584, 584, 584, 556, 1015),
    *(667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833),
    *(722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611),
    *(278, 278, 278, 469, 556, 333),
    *(556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833),
    *(556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500),
    *(334, 260, 334, 584),
]
_WIDE, _HIGH, _MARGIN = 595, 842, 64
_SIZES = {1: 22.0, 2: 14.0}
_BODY = 10.5


def width(text: str, size: float) -> float:
    """Width of a line in points; characters beyond ASCII count as a digit."""
    codes = (ord(character) - 32 for character in text)
    return sum(_WIDTHS[code] if 0 <= code < len(_WIDTHS) else 556 for code in codes) * size / 1000


def wrap(text: str, size: float, limit: float) -> list[str]:
    """The text in lines no wider than ``limit`` points, as far as its words allow."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, size) > limit:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


class _Page:
    """Drawing instructions of one page, from top to bottom."""

    def __init__(self) -> None:
        self.instructions: list[str] = []
        self._y = float(_HIGH - _MARGIN)

    def draw(self, block: Block) -> None:
        if block.kind == "heading":
            size = _SIZES[block.level]
            self._down(size * (0.9 if block.level > 1 else 0))
            self._down(size)
            self._text(_MARGIN, block.text, size, bold=True)
            self._down(size * 0.7)
        elif block.kind == "table":
            self._table(block.rows)
        else:
            for text in block.lines if block.kind == "bullets" else [block.text]:
                self._paragraph(f"• {text}" if block.kind == "bullets" else text)

    def _paragraph(self, text: str) -> None:
        for line in wrap(text, _BODY, _WIDE - 2 * _MARGIN):
            self._down(_BODY * 1.45)
            self._text(_MARGIN, line, _BODY)
        self._down(_BODY * 0.7)

    def foot(self, text: str) -> None:
        self._y = _MARGIN / 2
        self._text(_MARGIN, text, 8)

    def _table(self, rows: Sequence[Sequence[str]]) -> None:
        left = _MARGIN
        columns = []
        for column in zip(*rows, strict=True):
            columns.append(left)
            left += int(max(width(cell, _BODY) for cell in column) * 1.08) + 18
        self._down(4)
        for number, row in enumerate(rows):
            self._down(_BODY * 1.6)
            for x, cell in zip(columns, row, strict=True):
                self._text(x, cell, _BODY, bold=number == 0)
            self._line(self._y - 4, grey=0.4 if number == 0 else 0.8)
        self._down(_BODY * 0.9)

    def _text(self, x: float, text: str, size: float, *, bold: bool = False) -> None:
        plain = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        font = "F2" if bold else "F1"
        self.instructions.append(f"BT /{font} {size:g} Tf {x:g} {self._y:.1f} Td ({plain}) Tj ET")

    def _line(self, y: float, grey: float) -> None:
        path = f"{_MARGIN} {y:.1f} m {_WIDE - _MARGIN} {y:.1f} l S"
        self.instructions.append(f"q {grey} G 0.5 w {path} Q")

    def _down(self, points: float) -> None:
        self._y -= points
        if self._y < _MARGIN:
            raise ValueError("the page is full: divide its text")


def write(title: str, pages: Sequence[Sequence[Block]]) -> bytes:
    """The PDF. Each page's first heading is its bookmark; the characters are those of Windows-1252."""
    count = len(pages)
    bookmarks = range(5 + 2 * count, 5 + 3 * count)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Outlines 5 0 R /Lang (en) >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{6 + 2 * i} 0 R' for i in range(count))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        f"<< /Type /Outlines /First {bookmarks[0] + 1} 0 R /Last {bookmarks[-1] + 1} 0 R /Count {count} >>",
    ]
    for index, blocks in enumerate(pages):
        page = _Page()
        for block in blocks:
            page.draw(block)
        page.foot(f"Halmvik Bikes · {title} · {index + 1} of {count}")
        stream = "\n".join(page.instructions)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDE} {_HIGH}] /Contents {7 + 2 * index} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(_bytes(stream))} >>\nstream\n{stream}\nendstream")
    for index, blocks in enumerate(pages):
        beside = f"/Prev {bookmarks[index - 1] + 1} 0 R " if index else ""
        beside += f"/Next {bookmarks[index + 1] + 1} 0 R " if index + 1 < count else ""
        heading = next(block.text for block in blocks if block.kind == "heading")
        objects.append(f"<< /Title ({heading}) /Parent 5 0 R {beside}/Dest [{6 + 2 * index} 0 R /Fit] >>")
    objects.append(f"<< /Title ({title}) /Author (Halmvik Bikes) /CreationDate (D:20250303090000Z) >>")
    return _file(objects)


def _file(objects: Sequence[str]) -> bytes:
    """Header, objects, cross-reference table and trailer; the first object is the root, the last the info."""
    data = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += _bytes(f"{number} 0 obj\n{body}\nendobj\n")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return data + _bytes(
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n"
        f"<< /Size {size} /Root 1 0 R /Info {size - 1} 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    )


def _bytes(text: str) -> bytes:
    return text.encode("cp1252")
