"""What parsing gives: pages, or one of seven reasons why a document cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from app.errors import AssistantError

PageKind = Literal["page", "slide", "sheet", "part"]
Reason = Literal["password_needed", "image_only", "damaged", "empty", "too_large", "unsupported", "too_slow"]
PAGE_KINDS: frozenset[str] = frozenset(get_args(PageKind))


@dataclass(frozen=True, slots=True)
class Page:
    """Text of one page of a document.

    ``number`` counts from 1; ``title`` is the sheet's name, the slide's title, the section a bookmark names
    or the title of an unpaged document; ``text`` holds headings, lists and tables as Markdown.
    """

    number: int
    kind: PageKind
    title: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may use before it is given up.

    ``memory_bytes`` bounds the address space of the parser process, which counts more than what is resident;
    ``wall_seconds`` counts only the time spent waiting for the parser, not the time its reader takes.
    """

    memory_bytes: int = 2 * 1024**3
    cpu_seconds: int = 60
    wall_seconds: float = 180.0
    max_characters: int = 20_000_000
    max_pages: int = 20_000


class Unreadable(AssistantError):
    """The document cannot be read."""

    status = 422
    reason: ClassVar[Reason] = "damaged"

    @classmethod
    def of(cls, reason: str, details: Mapping[str, str]) -> Unreadable:
        """Rebuild the error for ``reason`` from text details; an unknown reason counts as damaged."""
        return _BY_REASON.get(reason, Damaged)(**details)


class PasswordNeeded(Unreadable):
    """The document is protected by a password."""

    reason = "password_needed"
    advice = "Remove the protection in the program that made it and upload the result."


class ImageOnly(Unreadable):
    """The pages hold pictures of text only."""

    reason = "image_only"
    advice = "Run OCR on it (for example ocrmypdf) and upload the result."


class Damaged(Unreadable):
    """The file is damaged or incomplete."""

    reason = "damaged"
    advice = "Open it in the program that made it, save it again and upload the result."


class Empty(Unreadable):
    """There is no text in the document."""

    reason = "empty"
    advice = "Check that it is the right file."


class TooLarge(Unreadable):
    """The document is larger than allowed: {what}."""

    reason = "too_large"
    advice = "Split it into smaller documents, or raise the limit in the settings."

    def __init__(self, what: str = "it needs too much memory") -> None:
        super().__init__(what=what)


class Unsupported(Unreadable):
    """{what} cannot be read."""

    reason = "unsupported"
    advice = "{remedy}"

    def __init__(
        self,
        what: str = "This type of file",
        remedy: str = "Save it as PDF, DOCX, HTML or plain text and upload the result.",
    ) -> None:
        super().__init__(what=what, remedy=remedy)


class TooSlow(Unreadable):
    """Reading the document takes longer than allowed ({what})."""

    reason = "too_slow"
    advice = "Split it into smaller documents, or save it in a simpler format."

    def __init__(self, what: str = "the limit of the settings") -> None:
        super().__init__(what=what)


_BY_REASON: dict[str, type[Unreadable]] = {
    kind.reason: kind for kind in (PasswordNeeded, ImageOnly, Damaged, Empty, TooLarge, Unsupported, TooSlow)
}
