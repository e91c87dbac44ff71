"""What goes over the wire: the API's own shapes, so that tables can change without breaking clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.stores.documents import State

Question = Annotated[
    str, Field(min_length=1, max_length=4000, examples=["How long is the warranty on frames?"])
]


class Shape(BaseModel):
    """Made from the dataclasses of the layers below."""

    model_config = ConfigDict(from_attributes=True)


class KnowledgeBaseIn(BaseModel):
    """A knowledge base to be made."""

    name: str = Field(examples=["handbooks"], description="1 to 63 small letters, digits and hyphens.")


class KnowledgeBaseOut(Shape):
    """A knowledge base; ``passages`` counts those of ready documents."""

    name: str = Field(examples=["default"])
    documents: int = Field(examples=[12])
    passages: int = Field(examples=[840])
    languages: list[str] = Field(examples=[["english", "german"]])
    created_at: datetime


class DocumentOut(Shape):
    """A document; ``message`` says why it can't be read and what to do, ``progress`` goes from 0 to 1."""

    id: UUID
    knowledge_base: str = Field(examples=["default"])
    name: str = Field(examples=["handbook.pdf"])
    version: int = Field(examples=[1])
    state: State = Field(examples=["ready"])
    message: str | None = Field(examples=[None])
    progress: float = Field(examples=[1.0])
    pages: int = Field(examples=[12])
    chunks_done: int = Field(examples=[40])
    chunks_total: int | None = Field(examples=[40])
    size_bytes: int = Field(examples=[120_000])
    sha256: str
    language: str | None = Field(examples=["english"])
    job_id: int | None = Field(examples=[7])
    created_at: datetime
    updated_at: datetime


class AcceptedOut(Shape):
    """What became of an upload; ``duplicate``: the same file was here already."""

    document: DocumentOut
    duplicate: bool


class PageOut(Shape):
    """The stored text of a page; citations count characters in it."""

    number: int = Field(examples=[3])
    kind: Literal["page", "slide", "sheet", "part"]
    title: str | None = Field(examples=[None])
    text: str


class JobOut(Shape):
    """A job of the queue."""

    id: int = Field(examples=[7])
    task: str = Field(examples=["ingest"])
    state: str = Field(examples=["doing"])
    attempts: int = Field(examples=[0])
    document_id: UUID | None
    queued_at: datetime | None


class JobProgress(BaseModel):
    """A job with the document it reads, which is ``null`` once that is gone."""

    job: JobOut
    document: DocumentOut | None


class PassageOut(Shape):
    """A passage: ``start`` and ``end`` count characters in the stored text of its page.

    The ranks (1 is best) and scores of both searches explain the order; ``null``: not among its candidates.
    """

    document_id: UUID
    document: str = Field(examples=["handbook.pdf"])
    page: int = Field(examples=[3])
    page_kind: str = Field(examples=["page"])
    page_title: str | None = Field(examples=[None])
    start: int = Field(examples=[120])
    end: int = Field(examples=[640])
    headings: str = Field(examples=["Warranty"])
    text: str
    score: float = Field(examples=[0.93])
    dense_rank: int | None = Field(examples=[1])
    dense_score: float | None = Field(examples=[0.71])
    lexical_rank: int | None = Field(examples=[2])
    lexical_score: float | None = Field(examples=[3.4])


class SearchIn(BaseModel):
    """A question, and how many passages are wanted."""

    question: Question
    limit: int = Field(8, ge=1, le=100)


class DegradedOut(BaseModel):
    """Something that was missing."""

    reason: str = Field(examples=["index_unavailable"])
    sentence: str


class SearchOut(BaseModel):
    """Passages, best first, and the seconds that each stage took."""

    passages: list[PassageOut]
    seconds: dict[str, float] = Field(examples=[{"embed": 0.003, "dense": 0.009, "total": 0.014}])
    degraded: list[DegradedOut]


class AskIn(BaseModel):
    """A question."""

    question: Question


class Ready(BaseModel):
    """Each part that the service needs: ``ok`` or the reason why it isn't."""

    ready: bool = Field(examples=[True])
    parts: dict[str, str] = Field(examples=[{"database": "ok", "chroma": "ok", "objects": "ok"}])
    under_way: int = Field(examples=[2], description="Requests that are being answered at this moment.")
    idle_seconds: float = Field(examples=[0.0], description="How long there has been none.")


class Version(BaseModel):
    """What is running. ``closure`` and ``commit`` are ``null`` when it was not packaged."""

    release: str = Field(examples=["0.1.0"])
    closure: str | None
    commit: str | None


def plain(value: Any) -> Any:
    """A dataclass of the answer stream as JSON-ready data."""
    from fastapi.encoders import jsonable_encoder

    return jsonable_encoder(value)
