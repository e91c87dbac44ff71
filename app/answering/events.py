"""What an answer consists of, as a stream.

The order is always: one :class:`Sources`, then :class:`Token` and :class:`Cited` mixed, one :class:`Done`.
A :class:`Restarted` in between takes back every ``Token`` and ``Cited`` before it; what follows is instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from app.retrieval.passage import Passage

Kind = Literal["generated", "extractive", "refused"]


@dataclass(frozen=True, slots=True)
class Degraded:
    """Why an answer is less than it could be: a name for machines and a sentence for people."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document that was checked: ``stored page text[start:end] == quote``, in characters.

    ``number`` is the one in the answer's text, ``[1]``; numbers count from 1 in the order of first use.
    """

    number: int
    document_id: UUID
    document: str
    page: int
    page_kind: str
    page_title: str | None
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that the answer is made from."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """The next piece of the answer's text; citations stand in it as ``[1]``."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation that passed the check; sent before the ``Token`` that first shows its number."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Restarted:
    """Clear the text and the citations shown so far: another answer follows in their place."""

    why: Degraded


@dataclass(frozen=True, slots=True)
class Done:
    """The end, with the whole answer: ``text`` and ``citations`` are what was streamed since a restart.

    ``dropped`` counts the citations that failed the check. ``uncited`` marks a generated answer without a
    single valid citation: it is worth no more than a guess, and must be shown as such.
    """

    kind: Kind
    text: str
    citations: tuple[Citation, ...]
    dropped: int
    degraded: tuple[Degraded, ...]
    seconds: float
    uncited: bool = False


Event = Sources | Token | Cited | Restarted | Done
