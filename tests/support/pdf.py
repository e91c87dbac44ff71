"""Small PDF files, written by hand: pages of text, of a picture, or behind a password."""

from __future__ import annotations

from collections.abc import Sequence

_FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
_PICTURE = (
    "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray "
    "/BitsPerComponent 8 /Length 1 >>"
    "\nstream\n\x7f\nendstream"
)


def make_pdf(
    pages: Sequence[str | None], *, bookmarks: Sequence[tuple[str, int]] = (), locked: bool = False
) -> bytes:
    """Return a PDF with a page for each text; None makes a page that shows a picture.

    ``bookmarks`` are titles and page indexes. ``locked`` adds an encryption that no empty password opens.
    """
    objects = ["", "", _FONT, _PICTURE]  # catalogue and page tree are filled in below
    numbers = []
    for page in pages:
        drawing = "q 600 0 0 800 0 0 cm /I Do Q" if page is None else _drawn(page)
        objects.append(f"<< /Length {len(drawing.encode('cp1252'))} >>\nstream\n{drawing}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents "
            f"{len(objects)} 0 R /Resources << /Font << /F 3 0 R >> /XObject << /I 4 0 R >> >> >>"
        )
        numbers.append(len(objects))
    outline = _outline(objects, bookmarks, numbers)
    objects[0] = f"<< /Type /Catalog /Pages 2 0 R {outline} >>"
    objects[1] = f"<< /Type /Pages /Count {len(numbers)} /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] >>"
    return _file(objects, locked=locked)


def _drawn(text: str) -> str:
    lines = "".join(f"({_escaped(line)}) Tj T* " for line in text.split("\n"))
    return f"BT /F 12 Tf 14 TL 72 720 Td {lines}ET"


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _outline(objects: list[str], bookmarks: Sequence[tuple[str, int]], numbers: list[int]) -> str:
    if not bookmarks:
        return ""
    root = len(objects) + 1
    first, last = root + 1, root + len(bookmarks)
    objects.append(f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(bookmarks)} >>")
    for index, (title, page) in enumerate(bookmarks):
        following = f"/Next {first + index + 1} 0 R" if first + index < last else ""
        target = f"/Dest [{numbers[page]} 0 R /Fit]"
        objects.append(f"<< /Title ({_escaped(title)}) /Parent {root} 0 R {following} {target} >>")
    return f"/Outlines {root} 0 R"


def _file(objects: list[str], *, locked: bool) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += "".join(f"{offset:010} 00000 n \n" for offset in offsets).encode()
    lock = (
        f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'ab' * 32}> /U <{'cd' * 32}> >> "
        f"/ID [<{'00' * 16}> <{'00' * 16}>]"
        if locked
        else ""
    )
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {lock} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)
