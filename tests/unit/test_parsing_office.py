"""Office documents made by the usual libraries come back with their structure."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import docx
import odfdo
import openpyxl
import pptx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from pptx.chart import data as chart
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from app.parsing.model import Unreadable
from tests.support.parsing import read, zipped

chart_data: Any = chart.CategoryChartData


def saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_word_headings_lists_and_tables_become_markdown() -> None:
    document: Any = docx.Document()
    document.add_heading("Annual report", 0)
    document.add_heading("Costs", 2)
    document.add_paragraph("All costs | in euro.")
    document.add_paragraph("Rent", style="List Bullet")
    document.add_paragraph("Power", style="List Bullet")
    document.add_paragraph("First step", style="List Number")
    document.add_paragraph("Second step", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        [c for row in table.rows for c in row.cells], ["Year", "Sum", "2024", "a|b"], strict=True
    ):
        cell.text = text
    (page,) = read(saved(document))
    assert page.kind == "part"
    assert "# Annual report\n" in page.text
    assert "\n## Costs\n" in page.text
    assert "- Rent\n- Power" in page.text
    assert "1. First step\n2. Second step" in page.text
    assert "| Year | Sum |\n| --- | --- |\n| 2024 | a\\|b |" in page.text


def test_word_pages_follow_the_breaks_noted_in_the_file() -> None:
    document: Any = docx.Document()
    document.add_paragraph("On the first page.").add_run().add_break(WD_BREAK.PAGE)
    second = document.add_paragraph()
    second.add_run()._r.append(OxmlElement("w:lastRenderedPageBreak"))
    second.add_run("On the second page, ")
    run = second.add_run()
    run._r.append(OxmlElement("w:lastRenderedPageBreak"))
    second.add_run("and on the third.")
    pages = read(saved(document))
    assert [(page.number, page.kind) for page in pages] == [(1, "page"), (2, "page"), (3, "page")]
    assert [page.text for page in pages] == ["On the first page.", "On the second page,", "and on the third."]


def test_word_headers_notes_and_changes_read_as_a_person_would() -> None:
    document: Any = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.sections[0].footer.paragraphs[0].text = "Acme Ltd"
    paragraph = document.add_paragraph("The price is ")
    for tag, text_tag, text in (("w:del", "w:delText", "nine"), ("w:ins", "w:t", "ten")):
        change: Any = OxmlElement(tag)
        run = OxmlElement("w:r")
        words = OxmlElement(text_tag)
        words.text = text
        run.append(words)
        change.append(run)
        paragraph._p.append(change)
    hidden = OxmlElement("w:hyperlink")
    hidden.set(qn("w:anchor"), "there")
    linked = OxmlElement("w:r")
    word = OxmlElement("w:t")
    word.text = " euro"
    linked.append(word)
    hidden.append(linked)
    paragraph._p.append(hidden)
    document.add_comment(paragraph.runs, "Is that right?", author="Ann")
    (page,) = read(saved(document))
    assert page.text.startswith("Confidential")
    assert "The price is ten euro" in page.text
    assert "nine" not in page.text
    assert "Comment by Ann: Is that right?" in page.text
    assert page.text.count("Acme Ltd") == 1


def test_slides_keep_their_numbers_titles_groups_tables_charts_and_notes() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Sales\nin 2024"
    group = slide.shapes.add_group_shape()
    inner = group.shapes.add_group_shape()
    inner.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "Deep inside"
    table = slide.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1)).table
    for index, text in enumerate(["Region", "Sum", "North", "12"]):
        table.cell(index // 2, index % 2).text = text
    data: Any = chart_data()
    data.categories = ["Q1", "Q2"]
    data.add_series("Turnover", (1.5, 2.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(4), Inches(3), data)
    slide.notes_slide.notes_text_frame.text = "Say thanks"
    deck.slides.add_slide(deck.slide_layouts[6])
    last = deck.slides.add_slide(deck.slide_layouts[1])
    last.shapes.title.text = "Outlook"
    pages = read(saved(deck))
    assert [(page.number, page.kind, page.title) for page in pages] == [
        (1, "slide", "Sales in 2024"),
        (2, "slide", None),
        (3, "slide", "Outlook"),
    ]
    first = pages[0].text
    assert first.startswith("# Sales in 2024")
    assert "Deep inside" in first
    assert "| Region | Sum |\n| --- | --- |\n| North | 12 |" in first
    assert "| Q1 | 1.5 |" in first
    assert "Turnover" in first
    assert "Notes: Say thanks" in first


def test_sheets_are_tables_with_readable_values() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    sheet.append(["Price list", None, None])
    sheet.append(["Item", "From", "Share"])
    sheet.append(["Tea", datetime.date(2024, 3, 1), 0.125])
    sheet.append(["Milk", datetime.datetime(2024, 3, 1, 14, 30), 0.1 + 0.2])  # noqa: DTZ001 - no zone
    sheet["C3"].number_format = "0.0%"
    book.create_sheet("Empty")
    book.create_sheet("Other").append(["x", True])
    pages = read(saved(book))
    assert [(page.kind, page.title) for page in pages] == [("sheet", "Prices"), ("sheet", "Other")]
    assert pages[0].text == (
        "Price list\n\n| Item | From | Share |\n| --- | --- | --- |\n"
        "| Tea | 2024-03-01 | 12.5% |\n| Milk | 2024-03-01 14:30:00 | 0.3 |"
    )


def test_a_long_sheet_is_cut_between_rows_and_repeats_its_header() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Number", "Words"])
    for number in range(2000):
        sheet.append([number, f"Some words about number {number}"])
    pages = read(saved(book))
    assert len(pages) > 5
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    rows = [line for page in pages for line in page.text.split("\n")[2:]]
    assert all(page.text.startswith("| Number | Words |\n| --- | --- |\n") for page in pages)
    assert rows == [f"| {n} | Some words about number {n} |" for n in range(2000)]


def test_an_opendocument_text_keeps_headings_lists_tables_and_notes() -> None:
    document = odfdo.Document("text")
    document.body.clear()
    document.body.append(odfdo.Header(2, "Costs"))
    paragraph = odfdo.Paragraph("All in euro.")
    paragraph.insert_note(after="euro", note_id="n1", citation="1", body="Since 2002.")
    document.body.append(paragraph)
    document.body.append(odfdo.List(["Rent", "Power"]))
    table = odfdo.Table("T")
    table.set_values([["Year", "Sum"], [2024, 12]])
    document.body.append(table)
    (page,) = read(saved(document))
    assert "## Costs" in page.text
    assert "- Rent\n- Power" in page.text
    assert "| Year | Sum |\n| --- | --- |\n| 2024 | 12 |" in page.text
    assert "[^1]: Since 2002." in page.text


def test_an_opendocument_spreadsheet_with_a_million_repeated_cells_is_read_quickly() -> None:
    rows = (
        "<table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell>"
        "<table:table-cell><text:p>Sum</text:p></table:table-cell></table:table-row>"
        '<table:table-row table:number-rows-repeated="1048575"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="900000000"><table:table-cell '
        'table:number-columns-repeated="900000000"><text:p>x</text:p></table:table-cell></table:table-row>'
    )
    pages = read(_odf("spreadsheet", f'<table:table table:name="One">{rows}</table:table>'))
    assert pages[0].title == "One"
    assert pages[0].text.startswith("| Name | Sum |")
    assert sum(len(page.text) for page in pages) < 5_000_000


def test_an_opendocument_presentation_has_a_page_for_each_slide() -> None:
    slides = (
        '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Aims</text:p>'
        "</draw:text-box></draw:frame><draw:g><draw:frame><draw:text-box><text:list><text:list-item><text:p>Grow</text:p>"
        "</text:list-item></text:list></draw:text-box></draw:frame></draw:g><presentation:notes><draw:frame>"
        "<draw:text-box><text:p>Smile</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
        "<draw:page/>"
    )
    pages = read(_odf("presentation", slides))
    assert [(page.kind, page.title) for page in pages] == [("slide", "Aims"), ("slide", None)]
    assert pages[0].text == "# Aims\n\n- Grow\n\nNotes: Smile"


def test_pages_of_an_opendocument_text_follow_its_page_breaks() -> None:
    body = (
        "<text:p>One</text:p><text:p>goes on<text:soft-page-break/> here</text:p>"
        '<text:p text:style-name="P9">Third</text:p>'
    )
    styles = (
        '<office:automatic-styles><style:style style:name="P9"><style:paragraph-properties '
        'fo:break-before="page"/></style:style></office:automatic-styles>'
    )
    pages = read(_odf("text", body, styles))
    assert [(page.number, page.kind) for page in pages] == [(1, "page"), (2, "page"), (3, "page")]
    assert [" ".join(page.text.split()) for page in pages] == ["One goes on", "here", "Third"]


def _odf(kind: str, body: str, styles: str = "") -> bytes:
    prefixes = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
        for name, path in (
            ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"),
            ("presentation", "presentation"), ("style", "style"), ("fo", "xsl-fo-compatible"),
        )
    )  # fmt: skip
    content = (
        f"<office:document-content {prefixes}>{styles}<office:body><office:{kind}>{body}</office:{kind}>"
        "</office:body></office:document-content>"
    )
    return zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content})


def test_a_word_document_that_declares_entities_is_refused() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    part = (
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><w:document xmlns:w="w"><w:body><w:p><w:r><w:t>&l9;</w:t>'
        "</w:r></w:p></w:body></w:document>"
    )
    with pytest.raises(Unreadable) as caught:
        read(_word(part))
    assert caught.value.reason == "damaged"


def test_entities_of_an_opendocument_are_never_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush hush")
    content = (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><o:document-content xmlns:o="o"><o:body>'
        "<o:text><o:p>Words &e;</o:p></o:text></o:body></o:document-content>"
    )
    data = zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})
    with pytest.raises(Unreadable) as caught:
        read(data)
    assert caught.value.reason == "damaged"


def test_paragraphs_nested_beyond_reason_end_in_a_reason() -> None:
    depth = 5_000
    body = "<w:sdt><w:sdtContent>" * depth + "<w:p/>" + "</w:sdtContent></w:sdt>" * depth
    with pytest.raises(Unreadable):
        read(_word(f'<w:document xmlns:w="w"><w:body>{body}</w:body></w:document>'))


def test_word_numbers_are_those_that_word_shows() -> None:
    levels = (
        '<w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>'
    )
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
    numbering = (
        f'<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
        f'<w:num w:numId="2"><w:abstractNumId w:val="7"/>{anew}</w:num></w:numbering>'
    )
    body = "".join(
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>'
        f"<w:r><w:t>{text}</w:t></w:r></w:p>"
        for number, level, text in [
            (1, 0, "a"),
            (1, 1, "b"),
            (1, 1, "c"),
            (1, 0, "d"),
            (1, 1, "e"),
            (2, 0, "f"),
        ]
    )
    (page,) = read(_word(f'<w:document xmlns:w="w"><w:body>{body}</w:body></w:document>', numbering))
    assert page.text.split("\n") == ["1. a", "  1.a) b", "  1.b) c", "2. d", "  2.a) e", "1. f"]


def _word(document: str, numbering: str = '<w:numbering xmlns:w="w"/>') -> bytes:
    types = '<Types><Override ContentType="x.wordprocessingml.document.main+xml"/></Types>'
    main = '<Relationship Id="r" Type="x/officeDocument" Target="word/document.xml"/>'
    return zipped(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": f"<Relationships>{main}</Relationships>",
            "word/_rels/document.xml.rels": '<Relationships><Relationship Id="n" Type="x/numbering" '
            'Target="numbering.xml"/></Relationships>',
            "word/numbering.xml": numbering,
            "word/document.xml": document,
        }
    )
