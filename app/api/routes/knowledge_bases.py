"""Knowledge bases."""

from __future__ import annotations

from fastapi import APIRouter, status

from app.api.deps import TheAssistant, TheKnowledgeBase
from app.api.schemas import KnowledgeBaseIn, KnowledgeBaseOut

router = APIRouter(prefix="/knowledge-bases", tags=["knowledge bases"])


@router.get("")
async def list_knowledge_bases(assistant: TheAssistant) -> list[KnowledgeBaseOut]:
    """All knowledge bases, by name."""
    return [KnowledgeBaseOut.model_validate(one) for one in await assistant.knowledge_bases.all()]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_knowledge_base(wanted: KnowledgeBaseIn, assistant: TheAssistant) -> KnowledgeBaseOut:
    """Make an empty knowledge base."""
    return KnowledgeBaseOut.model_validate(await assistant.knowledge_bases.create(wanted.name))


@router.get("/{knowledge_base}")
async def get_knowledge_base(found: TheKnowledgeBase) -> KnowledgeBaseOut:
    """One knowledge base."""
    return KnowledgeBaseOut.model_validate(found)


@router.delete("/{knowledge_base}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_knowledge_base(found: TheKnowledgeBase, assistant: TheAssistant) -> None:
    """Remove a knowledge base with all its documents, everywhere."""
    await assistant.intake.delete_knowledge_base(found)
