"""PDF, HTML, mail, books, tables and plain text."""

from __future__ import annotations

import email.message
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.parsing.archive import opened
from app.parsing.cleaning import clean, tidy
from app.parsing.model import Limits, Unreadable
from app.parsing.parts import split_parts
from app.parsing.source import from_file
from app.parsing.tables import markdown_table
from tests.support.parsing import outcome, read, zipped
from tests.support.pdf import make_pdf


def reason(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data, "x", limits)
    return caught.value.reason


def test_pdf_pages_have_their_numbers_and_the_bookmark_in_force() -> None:
    pages = read(
        make_pdf(
            ["First page (with brackets)", "Second page of words", "", "Fourth page of words"],
            bookmarks=[("Start", 0), ("Middle", 1), ("Also middle", 1)],
        )
    )
    assert [(page.number, page.kind, page.title) for page in pages] == [
        (1, "page", "Start"),
        (2, "page", "Middle"),
        (3, "page", "Also middle"),
        (4, "page", "Also middle"),
    ]
    assert pages[0].text == "First page (with brackets)"
    assert pages[2].text == ""


def test_lines_of_a_pdf_page_stay_lines() -> None:
    (page,) = read(make_pdf(["The first line\nand the second line"]))
    assert page.text == "The first line\nand the second line"


def test_a_pdf_of_pictures_needs_ocr() -> None:
    assert reason(make_pdf([None, None, None])) == "image_only"
    # a page number or a stamp on each scan does not make it a text
    assert reason(make_pdf([None, None, "1", None])) == "image_only"


def test_a_pdf_with_nothing_on_its_pages_is_empty() -> None:
    assert reason(make_pdf(["", ""])) == "empty"


def test_a_locked_pdf_needs_its_password() -> None:
    assert reason(make_pdf(["Secret words"], locked=True)) == "password_needed"


def test_a_cut_pdf_is_damaged() -> None:
    data = make_pdf(["Some words on a page"] * 5)
    assert reason(data[: len(data) // 4]) == "damaged"
    assert reason(b"%PDF-1.7\n" + b"rubbish " * 100) == "damaged"


def test_a_pdf_with_too_many_pages_is_too_large() -> None:
    assert reason(make_pdf(["Words here"] * 20), Limits(max_pages=10)) == "too_large"


def test_html_keeps_what_a_reader_sees() -> None:
    page = """<!DOCTYPE html><html><head><title>Tea  shop</title><style>p{}</style></head><body>
    <nav>Home | Shop</nav><main><h1>Green tea</h1><p>It is <b>very</b> good.<br>Really, it is good.</p>
    <script>track()</script><div style="display: none">hidden words</div>
    <ul><li>Sencha<ul><li>first flush</li></ul></li><li>Matcha</li></ul>
    <ol><li>Boil</li><li>Pour</li></ol>
    <table><tr><th>Sort</th><th colspan=2>Price</th></tr><tr><td>Sencha</td><td>$</td><td>5</td></tr></table>
    <pre>a = 1
  b = 2</pre></main><footer>Imprint</footer></body></html>"""
    (found,) = read(page.encode())
    assert found.title == "Tea shop"
    assert found.text == (
        "# Green tea\n\nIt is very good.\nReally, it is good.\n\n- Sencha\n  - first flush\n- Matcha\n"
        "1. Boil\n2. Pour\n\n| Sort | Price |\n| --- | --- |\n| Sencha | $5 |\n\n```\na = 1\n  b = 2\n```"
    )


def test_a_table_that_only_arranges_a_page_is_no_table() -> None:
    inner = "<table><tr><td>a</td><td>b</td></tr></table>"
    page = f"<html><body><table><tr><td>{inner}</td><td>Menu</td></tr></table>"
    (found,) = read(page.encode())
    assert "| a | b |" in found.text
    assert "Menu" in found.text


def test_html_in_an_old_encoding_is_read_as_it_declares() -> None:
    page = '<html><head><meta charset="shift_jis"></head><body><p>東京の天気</p></body></html>'
    assert read(page.encode("shift_jis"))[0].text == "東京の天気"


def test_html_nested_beyond_reason_is_read_or_refused() -> None:
    deep = "<div>" * 100_000 + "words" + "</div>" * 100_000
    found = outcome(f"<html><body>{deep}".encode())
    if isinstance(found, Unreadable):
        assert found.reason in {"damaged", "empty", "too_large"}
    else:
        assert "words" in found[0].text


def test_a_mail_shows_headers_text_and_attachments() -> None:
    message = email.message.EmailMessage()
    message["From"] = "Ann Müller <ann@example.org>"
    message["To"] = "bob@example.org"
    message["Subject"] = "Prices für 2024"
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0100"
    message.set_content("Dear Bob,\n\nthe prices are attached.\n")
    message.add_alternative("<p>Dear Bob, <b>HTML</b></p>", subtype="html")
    message.add_attachment("Tea;5\n", filename="prices.txt")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="tea.png")
    (found,) = read(message.as_bytes())
    assert found.title == "Prices für 2024"
    assert found.text.startswith(
        "Subject: Prices für 2024\nFrom: Ann Müller <ann@example.org>\nTo: bob@example.org"
    )
    assert "the prices are attached." in found.text
    assert "HTML" not in found.text
    assert "## Attachment: prices.txt\n\nTea;5" in found.text
    assert found.text.endswith("Attachments: prices.txt, tea.png")


def test_a_mail_that_has_only_html_is_read_too() -> None:
    mail = (
        b"From: a@example.org\nTo: b@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        b"Content-Type: text/html; charset=no-such-charset\n\n<h2>News</h2><p>All well.</p>"
    )
    (found,) = read(mail)
    assert found.title == "Grüße"
    assert "## News\n\nAll well." in found.text


def _book(chapters: dict[str, str], extra: dict[str, str] | None = None) -> bytes:
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    order = "".join(f'<itemref idref="{n}"/>' for n in chapters)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="OEBPS/book.opf"/></container>',
            "OEBPS/book.opf": '<package xmlns:dc="dc"><metadata><dc:title>The Book</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{order}</spine></package>",
            **{
                f"OEBPS/{name}.xhtml": f"<?xml version='1.0'?><html><head><title/></head>{text}</html>"
                for name, text in chapters.items()
            },
            **(extra or {}),
        }
    )


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    pages = read(_book({"z": "<h1>One</h1><p>In the beginning&nbsp;was tea.</p>", "a": "<p>Then milk.</p>"}))
    assert [(page.number, page.kind, page.title) for page in pages] == [
        (1, "part", "One"),
        (2, "part", "One"),
    ]
    assert pages[0].text == "# One\n\nIn the beginning was tea."
    assert pages[1].text == "Then milk."


def test_a_book_with_copy_protection_says_so() -> None:
    lock = '<encryption><x><CipherReference URI="OEBPS/a.xhtml"/></x></encryption>'
    with pytest.raises(Unreadable) as caught:
        read(_book({"a": "<p>x</p>"}, {"META-INF/encryption.xml": lock}))
    assert "copy protection" in caught.value.message


def test_csv_with_quotes_line_ends_and_uneven_rows_becomes_a_table() -> None:
    data = 'id,name,remark\r\n1,"Ann, or Anna","two\nlines"\r\n2,Bob\r\n3,Cid,ok\r\n4,Dora,fine\r\n'
    (page,) = read(data.encode(), "x.csv")
    assert page.text == (
        "| id | name | remark |\n| --- | --- | --- |\n| 1 | Ann, or Anna | two lines |\n| 2 | Bob |  |\n"
        "| 3 | Cid | ok |\n| 4 | Dora | fine |"
    )


def test_a_quote_that_is_never_closed_swallows_no_rows() -> None:
    data = (
        "id,size\n"
        + "1,ok\n" * 20
        + '2,5" wide\n3,"5 wide\n'
        + "".join(f"{n},ok\n" for n in range(4, 60_000))
    )
    text = "\n".join(page.text for page in read(data.encode(), "x.csv"))
    assert '| 3 | "5 wide |' in text
    assert "| 4 | ok |" in text
    assert "| 59999 | ok |" in text


def test_a_text_after_a_long_blank_is_found() -> None:
    assert read(b"\n" * 200_000 + b"Here it is.")[0].text == "Here it is."


def test_a_zip_that_claims_too_much_is_never_unpacked() -> None:
    content = _book({"a": "<p>" + "tea " * 20_000_000 + "</p>"})
    assert len(content) < 2_000_000
    assert reason(content) == "too_large"


def test_a_zip_of_very_many_files_is_too_large() -> None:
    assert reason(zipped({f"{n}": "" for n in range(50_001)}, packed=False)) == "too_large"


def test_a_zip_with_a_broken_entry_is_damaged() -> None:
    data = bytearray(_book({"a": "<p>Some words about tea and milk and honey</p>"}))
    place = data.index(b"a.xhtml") + 12
    data[place : place + 8] = b"\xff" * 8
    assert reason(bytes(data)) == "damaged"


def test_an_entry_never_yields_more_than_it_declared() -> None:
    data = zipped({"a": "0123456789" * 100})
    short = data.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with tempfile.TemporaryFile() as file:
        file.write(short)
        file.flush()
        with pytest.raises(Unreadable), opened(from_file(file, "x")) as archive:
            assert len(archive.read("a")) <= 10


def test_control_characters_and_halves_of_characters_never_pass() -> None:
    dirty = "a\x00b\x1b[1mc\ud800d\ufffee\r\nf\rg\x85h\u2028i\x0cj\ufeffk"
    assert clean(dirty) == "ab[1mcde\nf\ng\nh\nijk"
    (page,) = read(b"Some w\x07ords here   \r\n\r\n\r\n\r\n\r\n\r\nand here\r\n", "x.txt")
    assert page.text == "Some words here\n\n\nand here"


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_tidy_text_is_stable_and_storable(text: str) -> None:
    tidied = tidy(text)
    assert tidy(tidied) == tidied
    assert "\x00" not in tidied
    tidied.encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(alphabet=st.sampled_from("ab#. \n。é"), max_size=200), max_size=12),
    st.integers(min_value=4, max_value=60),
)
def test_parts_lose_nothing_but_white_space(pieces: list[str], size: int) -> None:
    parts = list(split_parts(pieces, size))
    assert all(0 < len(part) <= size for part in parts)
    assert "".join("".join(parts).split()) == "".join("".join(pieces).split())


def test_parts_are_cut_before_headings_and_between_paragraphs() -> None:
    text = "# One\n\n" + "Some words here.\n\n" * 30 + "# Two\n\n" + "More words here.\n\n" * 20
    parts = list(split_parts([text], 600))
    assert parts[1].startswith("# Two")
    assert all(part.endswith("here.") for part in parts)


def test_a_table_without_columns_to_speak_of_is_text() -> None:
    assert markdown_table([["a", ""], ["b", ""]]) == "a\nb"
    assert markdown_table([["", ""], []]) == ""
    assert markdown_table([["a", "b"], ["c"], ["d", "e", "f"]]) == (
        "| a | b |  |\n| --- | --- | --- |\n| c |  |  |\n| d | e | f |"
    )
