"""How fast documents are read, in the sandbox, against PDFium alone, and how much memory that takes.

Run it as ``python -m app.bench.parsing FOLDER``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pypdfium2

from app.parsing.detect import detect
from app.parsing.model import Unreadable
from app.parsing.sandbox import ParserPool
from app.parsing.source import opened

_ROUNDS = 3


def run(folder: Path) -> dict[str, Any]:
    """Measure over the readable files directly in ``folder``; rounds alternate and the best of each counts.

    Returns pages per second of the sandbox and of a bare PDFium loop over the same PDF files, their ratio
    (target: at least 0.6), pages per second of the other formats, the parser's peak resident bytes over all
    files (target: below 300 MB), and the files that cannot be read with their reasons.
    """
    return asyncio.run(_measure(sorted(path for path in folder.iterdir() if path.is_file())))


async def _measure(paths: list[Path]) -> dict[str, Any]:
    async with ParserPool(workers=1) as pool:
        kinds, refused = await _sort(pool, paths)
        pdfs = kinds.pop("pdf", [])
        bare: list[float] = []
        sandboxed: list[float] = []
        for _ in range(_ROUNDS):
            bare.append(await asyncio.to_thread(_bare_pages_per_second, pdfs))
            sandboxed.append(await _pages_per_second(pool, pdfs))
        others = {
            kind: round(await _pages_per_second(pool, paths), 1) for kind, paths in sorted(kinds.items())
        }
        largest = max(pdfs, key=lambda path: path.stat().st_size, default=None)
        return {
            "pdf_files": len(pdfs),
            "pdf_pages_per_second": round(max(sandboxed), 1),
            "bare_pdfium_pages_per_second": round(max(bare), 1),
            "ratio": round(max(sandboxed) / max(bare), 3) if pdfs else None,
            "other_pages_per_second": others,
            "peak_rss_mb": round(pool.peak_rss_bytes / 1e6, 1),
            "largest_pdf": largest.name if largest else None,
            "refused": refused,
        }


async def _sort(pool: ParserPool, paths: list[Path]) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Files by their type, and those that cannot be read with the reason; this also warms the caches."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    refused: dict[str, str] = {}
    for path in paths:
        try:
            async for _ in pool.parse(path, path.name):
                pass
            with opened(path, path.name) as source:
                kinds[detect(source).value].append(path)
        except Unreadable as error:
            refused[path.name] = error.reason
    return dict(kinds), refused


async def _pages_per_second(pool: ParserPool, paths: Sequence[Path]) -> float:
    started = time.perf_counter()
    pages = 0
    for path in paths:
        async for _ in pool.parse(path, path.name):
            pages += 1
    return pages / max(1e-9, time.perf_counter() - started)


def _bare_pages_per_second(paths: Sequence[Path]) -> float:
    started = time.perf_counter()
    pages = 0
    for path in paths:
        document = pypdfium2.PdfDocument(path)
        for index in range(len(document)):
            page = document.get_page(index)
            text = page.get_textpage()
            text.get_text_range()
            text.close()
            page.close()
            pages += 1
        document.close()
    return pages / max(1e-9, time.perf_counter() - started)


def main() -> None:
    """Print the figures for a folder of documents as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    json.dump(run(parser.parse_args().folder), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
