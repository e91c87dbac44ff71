"""The benchmark counts what can be read and names what cannot."""

from __future__ import annotations

from pathlib import Path

from app.bench.parsing import run
from tests.support.pdf import make_pdf


def test_the_benchmark_compares_pages_and_names_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.pdf").write_bytes(make_pdf(["Some words", "More words"]))
    (tmp_path / "scan.pdf").write_bytes(make_pdf([None]))
    (tmp_path / "notes.txt").write_text("A note.")
    figures = run(tmp_path)
    assert figures["pdf_files"] == 1
    assert figures["ratio"] > 0
    assert figures["refused"] == {"scan.pdf": "image_only"}
    assert set(figures["other_pages_per_second"]) == {"text"}
    assert 10 < figures["peak_rss_mb"] < 300
