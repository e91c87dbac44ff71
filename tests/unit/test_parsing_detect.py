"""The type of a file is found from what is in it."""

from __future__ import annotations

import io

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.parsing.detect import Kind
from app.parsing.encoding import encoding_of
from app.parsing.model import Unreadable
from tests.support.parsing import kind_of, outcome, read, zipped
from tests.support.pdf import make_pdf

ENDINGS = ["", ".pdf", ".docx", ".txt", ".csv", ".md", ".html", ".exe", ".xls", ".eml"]
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def _types(content_type: str) -> str:
    return f'<Types><Override PartName="/x" ContentType="application/vnd.{content_type}+xml"/></Types>'


MAIL = (
    "Return-Path: <a@example.org>\nFrom: A <a@example.org>\nTo: b@example.org\nSubject: Hi\n\nHello there.\n"
)
TABLE = "id;name;city\n1;Ann;Paris\n2;Bob;Rome\n3;Cid;Oslo\n"
KINDS = {
    Kind.PDF: make_pdf(["Some words"]),
    Kind.DOCX: zipped(
        {"[Content_Types].xml": _types("openxmlformats-officedocument.wordprocessingml.document.main")}
    ),
    Kind.PPTX: zipped(
        {"[Content_Types].xml": _types("openxmlformats-officedocument.presentationml.presentation.main")}
    ),
    Kind.XLSX: zipped(
        {"[Content_Types].xml": _types("openxmlformats-officedocument.spreadsheetml.sheet.main")}
    ),
    Kind.ODT: zipped({"mimetype": "application/vnd.oasis.opendocument.text"}),
    Kind.ODP: zipped({"mimetype": "application/vnd.oasis.opendocument.presentation"}),
    Kind.ODS: zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet-template"}),
    Kind.EPUB: zipped({"mimetype": "application/epub+zip"}),
    Kind.HTML: b"<?xml version='1.0'?>\n<!-- saved -->\n<!DOCTYPE html>\n<html><p>Hello</p></html>",
    Kind.EML: MAIL.encode(),
    Kind.CSV: TABLE.encode(),
    Kind.MARKDOWN: b"# Title\n\nSome *text* with a [link](https://example.org).\n\n- one\n- two\n",
    Kind.TEXT: "Nur ein paar Sätze. Noch einer, mit Komma.\nUnd ein dritter.\n".encode(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_wrong_ending_does_not_change_the_type(kind: Kind, ending: str) -> None:
    found = kind_of(KINDS[kind], "document" + ending)
    if kind is Kind.TEXT and ending == ".md":
        return  # plain text is Markdown too
    assert found is kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OLE + "WordDocument".encode("utf-16-le"), "Word file of the old type (DOC)"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "PowerPoint file of the old type (PPT)"),
        (OLE + "Workbook".encode("utf-16-le"), "Excel file of the old type (XLS)"),
        (OLE + "__substg1.0_0037001F".encode("utf-16-le"), "Outlook message (MSG)"),
        (rb"{\rtf1\ansi Hello}", "Rich Text (RTF)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(40), "picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><text>x</text></svg>", "picture"),
        (b"ID3\x04" + bytes(40), "sound file"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(40), "film"),
        (b"MZ\x90\x00\x03" + bytes(60), "program"),
        (b"\x7fELF\x02\x01\x01" + bytes(60), "program"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(40), "archive"),
        (zipped({"readme.txt": "Hello", "photo.jpg": b"\xff\xd8"}), "zip archive"),
        (b"SQLite format 3\x00" + bytes(100), "data file"),
        (b"%!PS-Adobe-3.0\n", "PostScript"),
    ],
)
def test_what_is_not_supported_is_named_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        kind_of(data, "report.pdf")
    assert caught.value.reason == "unsupported"
    assert words in caught.value.message
    assert "upload" in caught.value.sentence().lower()


def test_an_encrypted_office_document_needs_its_password() -> None:
    with pytest.raises(Unreadable) as caught:
        kind_of(OLE + "EncryptedPackage".encode("utf-16-le"), "budget.xlsx")
    assert caught.value.reason == "password_needed"
    manifest = "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"
    odt = zipped({"mimetype": "application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": manifest})
    with pytest.raises(Unreadable) as caught:
        kind_of(odt)
    assert caught.value.reason == "password_needed"


@pytest.mark.parametrize("data", [b"", b"  \n\t\n", b"\xef\xbb\xbf \n", bytes(5000)])
def test_nothing_is_empty(data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        kind_of(data, "x.txt")
    assert caught.value.reason == "empty"


def test_binary_rubbish_is_no_text() -> None:
    rubbish = bytes((index * 197 + index // 7) % 256 for index in range(5000))
    with pytest.raises(Unreadable) as caught:
        kind_of(rubbish, "notes.txt")
    assert caught.value.reason == "unsupported"


def test_a_truncated_office_document_is_damaged() -> None:
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    with pytest.raises(Unreadable) as caught:
        kind_of(out.getvalue()[:-200], "x.xlsx")
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("名前,年齢,住所\r\n佐藤太郎,30,東京\r\n", "cp932"),
        ("日本語のテキストです。これは長い文章です。", "cp932"),
        ("日本語のテキストです。これは長い文章です。", "euc_jp"),
        ("我们今天去北京开会，讨论明年的计划。", "gb18030"),
        ("我們今天去台北開會，討論明年的計畫。", "big5"),
        ("안녕하세요 오늘은 날씨가 좋습니다.", "cp949"),
        ("Grüße aus München, schöne Straße für alle Füße.", "cp1252"),
        ("Привет, как дела? Сегодня хорошая погода и мы идём гулять.", "cp1251"),
        ("Привет, как дела? Сегодня хорошая погода и мы идём гулять.", "koi8_r"),
        ("Καλημέρα κόσμε, σήμερα είναι μια όμορφη μέρα για όλους.", "cp1253"),
        ("Grüße, 世界", "utf-8"),
        ("Grüße, 世界", "utf-8-sig"),
        ("Grüße, 世界", "utf-16"),
        ("Hello, a text without a mark", "utf-16-le"),
        ("Hello, a text without a mark", "utf-16-be"),
        ("Hello, 世界", "utf-32"),
    ],
)
def test_the_encoding_of_a_text_is_found(text: str, encoding: str) -> None:
    assert read(text.encode(encoding), "x.txt")[0].text.replace("| ", "") != ""
    found = encoding_of(text.encode(encoding), whole=True)
    assert found is not None
    assert text.encode(encoding).decode(found) == text


def test_prose_with_commas_is_no_table() -> None:
    prose = "Well, this is a line.\nAnd, so it goes on.\nThen, at last, it ends.\nYes, it does.\n"
    assert kind_of(prose.encode(), "poem.txt") is Kind.TEXT
    assert kind_of(prose.encode(), "poem") is Kind.TEXT


def test_json_and_logs_are_plain_text() -> None:
    assert kind_of(b'{"a": 1, "b": [1, 2, 3]}\n{"a": 2, "b": []}\n') is Kind.TEXT
    assert kind_of(b"2024-01-01T00:00:00 INFO start\n2024-01-01T00:00:01 WARN slow\n") is Kind.TEXT


@settings(max_examples=150, deadline=None)
@given(
    head=st.sampled_from(
        [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), OLE, b"<html>",
         b"From: a\nTo: b\nDate: c\n\n", b"\xff\xfe", b"\xef\xbb\xbf", b"a,b,c\n", b"# T\n\n"]
    ),
    body=st.one_of(st.binary(max_size=600), st.text(max_size=300).map(lambda text: text.encode("utf-8"))),
    ending=st.sampled_from(ENDINGS),
)  # fmt: skip
def test_any_bytes_end_in_pages_or_a_reason(head: bytes, body: bytes, ending: str) -> None:
    found = outcome(head + body, "x" + ending)
    if isinstance(found, Unreadable):
        assert found.sentence()
        return
    assert [page.number for page in found] == list(range(1, len(found) + 1))
    for page in found:
        assert "\x00" not in page.text
        page.text.encode("utf-8")


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(list(KINDS)), at=st.floats(0.05, 0.999), flipped=st.integers(0, 255))
def test_a_file_cut_or_changed_anywhere_ends_in_pages_or_a_reason(
    kind: Kind, at: float, flipped: int
) -> None:
    data = bytearray(KINDS[kind])
    place = int(len(data) * at)
    for changed in (bytes(data[:place]), bytes(data[:place]) + bytes([flipped]) + bytes(data[place + 1 :])):
        found = outcome(changed)
        assert found.sentence() if isinstance(found, Unreadable) else found
