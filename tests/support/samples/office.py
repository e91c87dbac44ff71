"""The sample documents as DOCX, PPTX and XLSX, the same bytes each time."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import docx
import openpyxl
import pptx
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from pptx.util import Emu, Pt

from tests.support.samples.blocks import Block

_DATE = datetime(2026, 1, 22, 9, 0, 0, tzinfo=UTC).replace(tzinfo=None)  # Office wants no time zone
_STYLES = {"paragraph": None, "bullets": "List Bullet"}


def write_docx(title: str, language: str, blocks: Sequence[Block]) -> bytes:
    """A Word document with real headings, lists and tables."""
    document = docx.Document()
    _describe(document.core_properties, title, language)
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light List Accent 1")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
            document.add_paragraph()
        else:
            lines = block.lines if block.kind == "bullets" else [block.text]
            for line in lines:
                document.add_paragraph(line, style=_STYLES[block.kind])
    return _saved(document)


def write_pptx(title: str, slides: Sequence[Sequence[Block]]) -> bytes:
    """Slides of 16 by 9 with a title, one body (text, bullets or a table) and notes."""
    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Emu(12192000), Emu(6858000)
    _describe(deck.core_properties, title, "en")
    for blocks in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        by_kind = {block.kind: block for block in blocks}
        heading = slide.shapes.title
        _place(heading, top=0.45, height=1.1)
        heading.text_frame.text = by_kind["heading"].text
        run = heading.text_frame.paragraphs[0].runs[0]
        run.font.size, run.font.bold = Pt(36), True
        if "table" in by_kind:
            _table(slide, by_kind["table"].rows)
        else:
            body = by_kind.get("bullets") or by_kind["paragraph"]
            _text(slide, body.lines, bullet="•  " if body.kind == "bullets" else "")
        if "note" in by_kind:
            slide.notes_slide.notes_text_frame.text = by_kind["note"].text
    return _saved(deck)


def write_xlsx(title: str, sheets: dict[str, list[list[str]]]) -> bytes:
    """A workbook; cells that are numbers become numbers, the first row is bold and stays in sight."""
    book = openpyxl.Workbook()
    for sheet in book.worksheets:
        book.remove(sheet)
    _describe(book.properties, title, "en")
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([_number(cell) for cell in row])
        sheet.freeze_panes = "A2"
        for column, cells in enumerate(zip(*rows, strict=True), 1):
            sheet.cell(1, column).font = Font(bold=True)
            sheet.column_dimensions[get_column_letter(column)].width = max(map(len, cells)) + 3
            if "EUR" in cells[0]:
                for row_number in range(2, len(cells) + 1):
                    sheet.cell(row_number, column).number_format = "0.00"
    return _saved(book)


def _describe(properties: Any, title: str, language: str) -> None:
    properties.title, properties.language = title, language
    for name in ("author", "last_modified_by", "creator", "lastModifiedBy"):
        if hasattr(properties, name):
            setattr(properties, name, "Halmvik Bikes")
    properties.created = properties.modified = _DATE


def _place(shape: Any, *, top: float, height: float) -> None:
    inch = 914400
    shape.left, shape.width = Emu(int(0.8 * inch)), Emu(int(11.7 * inch))
    shape.top, shape.height = Emu(int(top * inch)), Emu(int(height * inch))


def _table(slide: Any, rows: Sequence[Sequence[str]]) -> None:
    frame = slide.shapes.add_table(len(rows), len(rows[0]), 0, 0, 0, 0)
    _place(frame, top=1.9, height=0.6 * len(rows))
    for column in frame.table.columns:
        column.width = Emu(frame.width // len(rows[0]))
    for row, texts in zip(frame.table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text


def _text(slide: Any, lines: Sequence[str], bullet: str) -> None:
    box = slide.shapes.add_textbox(0, 0, 0, 0)
    _place(box, top=1.9, height=4)
    frame = box.text_frame
    frame.word_wrap = True
    frame.text = "\n".join(bullet + line for line in lines)
    for paragraph in frame.paragraphs:
        paragraph.space_after = Pt(12)
        for run in paragraph.runs:
            run.font.size = Pt(24)


def _number(cell: str) -> str | float | int:
    if re.fullmatch(r"\d+", cell):
        return int(cell)
    return float(cell) if re.fullmatch(r"\d+\.\d+", cell) else cell


def _saved(document: Any) -> bytes:
    """The bytes, with the archive's entries in order and their dates fixed."""
    raw, packed = io.BytesIO(), io.BytesIO()
    document.save(raw)
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        # [Content_Types].xml comes first, as Office writes it
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "docProps/core.xml":
                stamp = rb"(<dcterms:modified[^>]*>)[^<]*"
                content = re.sub(stamp, rb"\g<1>2026-01-22T09:00:00Z", content)
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 22, 9, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content, compresslevel=9)
    return packed.getvalue()
