"""The little Markdown in which the sample documents are written, as blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "paragraph", "bullets", "table", "note"]
_KINDS: dict[str, Kind] = {"#": "heading", "-": "bullets", "|": "table", ">": "note"}


@dataclass(frozen=True)
class Block:
    """One block: ``lines`` are the text, the items or, for a table, its rows; ``level`` is a heading's."""

    kind: Kind
    lines: list[str]
    level: int = 0

    @property
    def text(self) -> str:
        """All of it in one line."""
        return " ".join(self.lines)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without the line that divides head and body."""
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in self.lines]
        return [row for row in rows if not all(re.fullmatch("-+", cell) for cell in row)]


def pages(source: str) -> list[list[Block]]:
    """The blocks of each page; a line ``---`` divides pages."""
    return [list(_blocks(page)) for page in re.split(r"(?m)^---$", source)]


def _blocks(page: str) -> Iterator[Block]:
    for part in re.split(r"\n\s*\n", page.strip()):
        lines = part.splitlines()
        kind = _KINDS.get(part[0], "paragraph")
        if kind == "heading":
            yield Block(kind, [part.lstrip("# ")], level=len(part) - len(part.lstrip("#")))
        elif kind in {"bullets", "note"}:
            yield Block(kind, [line.lstrip("->").strip() for line in lines])
        else:
            yield Block(kind, lines)
