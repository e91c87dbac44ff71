"""The sample documents are small, are what their source makes, and hold what their questions ask for."""

from __future__ import annotations

import io
import zipfile

import pypdfium2
import pytest

from app.samples import QUESTIONS, files
from tests.support.samples.blocks import pages
from tests.support.samples.make import documents
from tests.support.samples.pdf import width, wrap


def test_there_are_samples_of_five_kinds_below_300_kilobytes() -> None:
    assert {file.suffix for file in files()} == {".pdf", ".docx", ".pptx", ".md", ".xlsx"}
    assert sum(file.stat().st_size for file in files()) < 300_000


def test_the_files_are_what_their_source_makes() -> None:
    made = documents()
    assert sorted(made) == [file.name for file in files()]
    for file in files():
        assert _content(made[file.name]) == _content(file.read_bytes()), f"{file.name}: make it again"


def test_the_pdf_has_its_text_and_bookmarks_page_by_page() -> None:
    pdf = pypdfium2.PdfDocument(next(file for file in files() if file.suffix == ".pdf"))
    bookmarks = [(mark.get_title(), mark.get_dest().get_index()) for mark in pdf.get_toc()]
    texts = [page.get_textpage().get_text_range() for page in pdf]
    pdf.close()
    titles = ["Trailhand service manual", "Care and service", "Battery", "Error codes"]
    assert bookmarks == list(zip(titles, range(4), strict=True))
    assert "stored empty can be destroyed" in " ".join(texts[2].split())
    assert all(f"{number} of 4" in text for number, text in enumerate(texts, 1))


def test_each_question_names_a_sample() -> None:
    assert {question.document for question in QUESTIONS} <= {file.name for file in files()}
    assert len({question.text for question in QUESTIONS}) == len(QUESTIONS) >= 5


def test_the_source_is_cut_into_pages_and_blocks() -> None:
    first, second = pages(
        "# One\n\ntext\nmore\n\n- a\n- b\n\n---\n## Two\n\n| x | y |\n| --- | --- |\n| | 1 |"
    )
    assert [block.kind for block in first] == ["heading", "paragraph", "bullets"]
    assert first[1].text == "text more"
    assert first[2].lines == ["a", "b"]
    assert second[0].level == 2
    assert second[1].rows == [["x", "y"], ["", "1"]]


@pytest.mark.parametrize("limit", [60.0, 200.0, 467.0])
def test_lines_of_the_pdf_keep_to_their_width(limit: float) -> None:
    text = "The permitted total weight is the sum of bike, rider, children and load. " * 3
    lines = wrap(text, 10.5, limit)
    assert all(width(line, 10.5) <= limit for line in lines)
    assert " ".join(lines) == text.strip()


def _content(file: bytes) -> bytes | dict[str, bytes]:
    """The bytes, of an archive those of its entries: compressors differ."""
    if not file.startswith(b"PK"):
        return file
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
