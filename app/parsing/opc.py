"""Office Open XML packages: parts and the relations between them (ECMA-376 part 2)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.parsing.archive import Archive, opened
from app.parsing.model import Damaged
from app.parsing.source import Source
from app.parsing.xmltools import Element, children, parse_xml


@dataclass(frozen=True, slots=True)
class Relation:
    """A link to another part: the last word of its type's address, and the part's name."""

    kind: str
    target: str


class Package:
    """The parts of one document, parsed when asked for."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        # names of parts are the same in any case
        self._names = {name.lower().lstrip("/"): name for name in archive.names}

    def has(self, part: str) -> bool:
        """True if the part is there."""
        return part.lower() in self._names

    def xml(self, part: str) -> Element:
        """Return the root element of a part. Raises: Damaged, TooLarge."""
        name = self._names.get(part.lower())
        if name is None:
            raise Damaged
        return parse_xml(self._archive.read_xml(name))

    def optional(self, part: str | None) -> Element | None:
        """Like ``xml``, but None for a part that is missing or broken."""
        if part is None or not self.has(part):
            return None
        try:
            return self.xml(part)
        except Damaged:
            return None

    def relations(self, part: str) -> dict[str, Relation]:
        """The relations of a part by their id, those to other parts of the package only."""
        folder, name = posixpath.split(part)
        root = self.optional(posixpath.join(folder, "_rels", name + ".rels"))
        found: dict[str, Relation] = {}
        for relation in children(root, "Relationship"):
            if relation.get("TargetMode") == "External":
                continue
            target = str(relation.get("Target", ""))
            full = target if target.startswith("/") else posixpath.join("/", folder, target)
            kind = str(relation.get("Type", "")).rpartition("/")[2]
            found[str(relation.get("Id"))] = Relation(kind, posixpath.normpath(full).lstrip("/"))
        return found

    def related(self, part: str, kind: str) -> list[str]:
        """Names of the parts that ``part`` has a relation of this kind to, in the order of their ids."""
        return [relation.target for relation in self.relations(part).values() if relation.kind == kind]

    def first(self, part: str, kind: str) -> str | None:
        """The first of ``related``, or None."""
        return next(iter(self.related(part, kind)), None)

    def main(self) -> str:
        """Name of the part that is the document itself. Raises: Damaged."""
        part = self.first("", "officeDocument")
        if part is None or not self.has(part):
            raise Damaged
        return part


@contextmanager
def package(source: Source) -> Iterator[Package]:
    """Open the package in ``source``. Raises: Damaged, PasswordNeeded, TooLarge."""
    with opened(source) as archive:
        yield Package(archive)
