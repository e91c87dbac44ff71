"""Documents: uploading, looking at them, removing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Response, UploadFile, status
from fastapi.responses import StreamingResponse

from app.api.deps import TheAssistant, TheKnowledgeBase
from app.api.guard import UploadTooLarge
from app.api.schemas import AcceptedOut, DocumentOut, PageOut
from app.api.uploads import on_disk
from app.errors import NotFound
from app.samples import files as sample_files
from app.stores.documents import State
from app.stores.objects.keys import document_key

router = APIRouter(tags=["documents"])
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Offset = Annotated[int, Query(ge=0, description="After so many.")]


@router.post("/knowledge-bases/{knowledge_base}/documents", status_code=status.HTTP_202_ACCEPTED)
async def upload_document(
    found: TheKnowledgeBase, file: UploadFile, assistant: TheAssistant, response: Response
) -> AcceptedOut:
    """Take in a document. It answers questions once its state is ``ready``.

    202: it is kept safe and will be read. 200: the same file is here already.
    """
    limit = assistant.settings.server.max_upload_bytes
    if (file.size or 0) > limit:
        raise UploadTooLarge(limit=limit)
    async with on_disk(file, assistant.settings.scratch_dir) as path:
        accepted = await assistant.intake.accept(found, file.filename or "", path)
    if accepted.duplicate:
        response.status_code = status.HTTP_200_OK
    return AcceptedOut.model_validate(accepted)


@router.post("/knowledge-bases/{knowledge_base}/samples", status_code=status.HTTP_202_ACCEPTED)
async def load_samples(found: TheKnowledgeBase, assistant: TheAssistant) -> list[AcceptedOut]:
    """Take in the sample documents that come with the assistant."""
    accepted = [await assistant.intake.accept(found, file.name, file) for file in sample_files()]
    return [AcceptedOut.model_validate(one) for one in accepted]


@router.get("/knowledge-bases/{knowledge_base}/documents")
async def list_documents(
    found: TheKnowledgeBase,
    assistant: TheAssistant,
    state: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[DocumentOut]:
    """Documents, newest first."""
    documents = await assistant.documents.select(found.id, state, limit=limit, offset=offset)
    return [DocumentOut.model_validate(one) for one in documents]


@router.get("/documents/{document_id}")
async def get_document(document_id: UUID, assistant: TheAssistant) -> DocumentOut:
    """One document."""
    return DocumentOut.model_validate(await assistant.documents.get(document_id))


@router.delete("/documents/{document_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_document(document_id: UUID, assistant: TheAssistant) -> None:
    """Remove a document everywhere; it stops answering at once."""
    await assistant.intake.delete(document_id)


@router.post("/documents/{document_id}/retry", status_code=status.HTTP_202_ACCEPTED)
async def retry_document(document_id: UUID, assistant: TheAssistant) -> DocumentOut:
    """Read a document again that could not be read."""
    return DocumentOut.model_validate(await assistant.intake.retry(document_id))


@router.get("/documents/{document_id}/content", response_class=StreamingResponse)
async def get_content(document_id: UUID, assistant: TheAssistant) -> StreamingResponse:
    """The document's bytes as they were uploaded."""
    document = await assistant.documents.get(document_id)
    stream = assistant.objects.open_stream(document_key(document.sha256))
    # always a download: what people upload must not run as a page of this service
    name = quote(Path(document.name).name)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(document.size_bytes),
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(stream, media_type="application/octet-stream", headers=headers)


@router.get("/documents/{document_id}/pages")
async def list_pages(
    document_id: UUID,
    assistant: TheAssistant,
    first: Annotated[int, Query(ge=1, description="From this page on.")] = 1,
    limit: Limit = 20,
) -> list[PageOut]:
    """The stored text of pages."""
    await assistant.documents.get(document_id)
    pages = await assistant.documents.pages(document_id, first=first, limit=limit)
    return [PageOut.model_validate(page) for page in pages]


@router.get("/documents/{document_id}/pages/{number}")
async def get_page(document_id: UUID, number: int, assistant: TheAssistant) -> PageOut:
    """The stored text of one page."""
    pages = await assistant.documents.pages(document_id, first=number, limit=1)
    if not pages or pages[0].number != number:
        raise NotFound(kind="page", name=number)
    return PageOut.model_validate(pages[0])
