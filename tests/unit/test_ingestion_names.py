"""Names of documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingestion.names import LONGEST, clean_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("handbook.pdf", "handbook.pdf"),
        ("reports/2025/q1.pdf", "reports/2025/q1.pdf"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\plan.docx", "Users/me/plan.docx"),
        ("/absolute//path/./x.md", "absolute/path/x.md"),
        ("🚲 bikes.pptx", "🚲 bikes.pptx"),
        ("nul\x00and\nnewline.txt", "nulandnewline.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("", "unnamed"),
        ("..", "unnamed"),
    ],
)
def test_a_name_is_made_safe_and_keeps_what_people_know_it_by(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


def test_a_long_name_keeps_its_beginning_and_its_type() -> None:
    name = clean_name("a" * 290 + "report.pdf")
    assert len(name) == LONGEST
    assert name.startswith("aaa")
    assert name.endswith("report.pdf")


@given(st.text(max_size=400))
def test_no_name_is_empty_or_long_or_leads_out_of_a_folder(name: str) -> None:
    clean = clean_name(name)
    assert 0 < len(clean) <= LONGEST
    assert not clean.startswith("/")
    assert ".." not in clean.split("/")
    clean.encode("utf-8")


@given(st.text(max_size=400))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    assert clean_name(clean_name(name)) == clean_name(name)
