"""Writes the sample documents: ``python -m tests.support.samples.make [FOLDER]``.

Their texts are in ``texts/``. The output is the same each time, and is committed in ``app/samples/files``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.samples import office, pdf
from tests.support.samples.blocks import pages

_TEXTS = Path(__file__).with_name("texts")
_FILES = Path(__file__).resolve().parents[3] / "app" / "samples" / "files"


def documents() -> dict[str, bytes]:
    """The bytes of each sample document by its file name."""
    manual, warranty, review, parts = (
        pages(_source(name)) for name in ("manual", "warranty", "review", "parts")
    )
    heads = [block.text for block in parts[0] if block.kind == "heading"]
    tables = [block.rows for block in parts[0] if block.kind == "table"]
    return {
        "Trailhand service manual.pdf": pdf.write("Trailhand service manual", manual),
        "Garantiebedingungen.docx": office.write_docx("Garantiebedingungen", "de", warranty[0]),
        "Annual review 2025.pptx": office.write_pptx("Annual review 2025", review),
        "Employee handbook.md": _source("handbook").encode(),
        "Spare parts.xlsx": office.write_xlsx("Spare parts", dict(zip(heads, tables, strict=True))),
    }


def _source(name: str) -> str:
    return (_TEXTS / f"{name}.md").read_text(encoding="utf-8")


def main(folder: Path) -> None:
    """Write all of them into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else _FILES)
