"""Finding passages by their words, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import numpy as np
import pytest

from app.ingestion.publish import publish, retire
from app.ingestion.queue import Queue
from app.retrieval.lexical import LexicalSearch
from app.retrieval.words import words
from app.stores.database import Database
from app.stores.generations import lock_knowledge_base
from app.stores.knowledge_bases import KnowledgeBases
from app.stores.migrate import migrate
from app.stores.passages import NewPassage, Passages

NOTHING = np.zeros((1, 4), dtype=np.float32)


class Shelf:
    """Puts passages on a fresh database, without parsing or embedding."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.search = LexicalSearch(database)

    async def add(
        self, *texts: str, base: str = "default", language: str = "english", ready: bool = True
    ) -> UUID:
        knowledge_base = await KnowledgeBases(self.database).get(base)
        document_id = UUID(
            str(
                await self.database.value(
                    """INSERT INTO documents
                    (knowledge_base_id, name, version, sha256, size_bytes, state, language)
                    VALUES (%s, %s, 1, encode(sha256(%s::bytea), 'hex'), 1, 'indexing', %s) RETURNING id""",
                    knowledge_base.id,
                    str(uuid4()),
                    uuid4().bytes,
                    language,
                )
            )
        )
        made = [NewPassage(i, 1, 0, len(text), "", 1, text, words(text)) for i, text in enumerate(texts)]
        vectors = np.repeat(NOTHING, len(made), axis=0)
        await Passages(self.database).add(document_id, knowledge_base.id, language, "none", made, vectors)
        if ready:
            assert await publish(self.database, Queue(self.database), document_id, [])
        return document_id

    async def find(self, question: str, *, base: str = "default", budget: int = 1000) -> list[str]:
        knowledge_base = await KnowledgeBases(self.database).get(base)
        found = await self.search.search(knowledge_base.id, question, 10, budget=budget)
        rows = await self.database.rows("SELECT id, text FROM chunks")
        text_of = {row["id"]: row["text"] for row in rows}
        return [text_of[chunk_id] for chunk_id, _ in found]


@pytest.fixture
async def shelf(database_url: str) -> AsyncIterator[Shelf]:
    database = Database(database_url, size=4)
    await database.open()
    await migrate(database)
    yield Shelf(database)
    await database.close()


async def test_words_are_found_in_other_forms_of_their_language(shelf: Shelf) -> None:
    await shelf.add("The brakes were replaced in March.", "Nothing of interest.")
    await shelf.add("Die Rahmen wurden in Halmvik geschweißt.", language="german")
    assert await shelf.find("replacing a brake") == ["The brakes were replaced in March."]
    assert await shelf.find("Wer hat den Rahmen geschweißt?") == ["Die Rahmen wurden in Halmvik geschweißt."]


async def test_a_rarer_word_counts_more(shelf: Shelf) -> None:
    await shelf.add("pump valve", "pump hose", "pump seal", "valve spring washer")
    assert (await shelf.find("pump spring"))[0] == "valve spring washer"


async def test_more_occurrences_rank_higher_but_not_above_another_word(shelf: Shelf) -> None:
    await shelf.add("pump pump pump hose", "pump hose", "pump spring", "filler", "filler two")
    found = await shelf.find("pump spring")
    assert found[0] == "pump spring"
    assert found.index("pump pump pump hose") < found.index("pump hose")


async def test_chinese_and_japanese_are_found_by_parts_of_a_sentence(shelf: Shelf) -> None:
    await shelf.add("车架的保修期为自购买之日起五年。", "电池可以在冬天存放在室内。", language="simple")
    await shelf.add("フレームの保証期間は五年です。", language="simple")
    assert (await shelf.find("保修期多长？"))[0] == "车架的保修期为自购买之日起五年。"
    assert (await shelf.find("保証期間"))[0] == "フレームの保証期間は五年です。"


async def test_a_knowledge_base_sees_only_its_own_passages(shelf: Shelf) -> None:
    await KnowledgeBases(shelf.database).create("other")
    await shelf.add("the pump of the one")
    await shelf.add("the pump of the other", base="other")
    assert await shelf.find("pump") == ["the pump of the one"]
    assert await shelf.find("pump", base="other") == ["the pump of the other"]


async def test_passages_of_documents_that_are_not_ready_are_not_found(shelf: Shelf) -> None:
    await shelf.add("pump, ready")
    await shelf.add("pump, not ready", ready=False)
    assert await shelf.find("pump") == ["pump, ready"]


async def test_nothing_is_found_for_words_that_do_not_occur(shelf: Shelf) -> None:
    await shelf.add("pump")
    assert await shelf.find("zeppelin") == []
    assert await shelf.find("the of and") == []
    assert await shelf.find("") == []


@pytest.mark.parametrize(
    "question", ["o'neil's pump", "pump & !x | (y:*)", "C:\\temp\\pump", "'pump'", "pump \\", "100% pump %s"]
)
async def test_signs_of_the_query_language_are_only_signs(shelf: Shelf, question: str) -> None:
    await shelf.add("O'Neil's pump is in C:\\temp\\pump, 100% sure")
    assert await shelf.find(question) != []


async def test_common_words_are_not_read_in_every_passage(shelf: Shelf) -> None:
    await shelf.add(*(f"pump number{i} valve{i % 7}" for i in range(60)))
    assert (await shelf.find("pump number42", budget=10))[0] == "pump number42 valve0"
    # every word is in more passages than the budget allows: the two rarest have to meet
    found = await shelf.find("pump valve3", budget=5)
    assert found
    assert all("valve3" in text for text in found)


async def test_counts_of_words_and_passages_follow_what_is_ready(shelf: Shelf) -> None:
    await shelf.add("pump valve", "pump hose")
    gone = await shelf.add("pump spring")
    base = await KnowledgeBases(shelf.database).get("default")
    async with shelf.database.transaction() as connection:
        await lock_knowledge_base(connection, base.id)
        await retire(connection, base.id, [gone])
    rows = await shelf.database.rows("SELECT term, chunks FROM term_counts WHERE chunks > 0")
    counted = {row["term"].split(":", 1)[1]: row["chunks"] for row in rows}
    assert counted == {"pump": 2, "valv": 1, "hose": 1}
    assert (await KnowledgeBases(shelf.database).get("default")).passages == 2
    assert await shelf.find("spring") == []
