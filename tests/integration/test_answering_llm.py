"""The client for language models against a real HTTP server that behaves well and badly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from uuid import UUID

import pytest

from app.answering.answer import Answerer
from app.answering.events import Done, Event, Restarted, Token
from app.answering.llm import OpenAIChat
from app.retrieval.passage import Passage
from tests.fakes.openai_chat import FakeChat
from tests.unit.test_answering_extractive import WordsAsVectors

PAGE = (
    "The library opens at eight.\nThe fine for late books is five cents per day. Ten books may be borrowed."
)
PASSAGE = Passage(1, UUID(int=7), "rules.pdf", 3, "page", None, 0, len(PAGE), "Rules", PAGE)
QUESTION = "How high is the fine for late books?"
FINE = "The fine for late books is five cents per day."


async def page_text(document: UUID, page: int) -> str | None:
    return PAGE if (document, page) == (PASSAGE.document_id, PASSAGE.page) else None


@pytest.fixture
def server() -> Iterator[FakeChat]:
    with FakeChat() as fake:
        yield fake


@pytest.fixture
async def llm(server: FakeChat) -> AsyncIterator[OpenAIChat]:
    client = OpenAIChat(server.base_url, "some-model", "secret", first_token_seconds=20, timeout_seconds=60)
    yield client
    await client.close()


@pytest.fixture
async def hurried(server: FakeChat) -> AsyncIterator[OpenAIChat]:
    client = OpenAIChat(server.base_url, "some-model", first_token_seconds=0.5)
    yield client
    await client.close()


async def ask(llm: OpenAIChat) -> tuple[Done, list[Event]]:
    answerer = Answerer(WordsAsVectors(), llm, page_text)
    events = [event async for event in answerer.answer(QUESTION, [PASSAGE])]
    done = events[-1]
    assert isinstance(done, Done)
    assert all(PAGE[c.start : c.end] == c.quote for c in done.citations)
    return done, events


@pytest.mark.parametrize("behaviour", ["grounded", "tokens", "slow", "number", "picky", "thinking"])
async def test_a_grounded_answer_streams_with_its_citation(
    server: FakeChat, llm: OpenAIChat, behaviour: str
) -> None:
    server.behaviour = behaviour
    done, events = await ask(llm)
    assert (done.kind, done.text, done.dropped) == ("generated", f"{FINE} [1]", 0)
    assert done.citations[0].quote.rstrip(".") == FINE.rstrip(".")
    assert sum(isinstance(event, Token) for event in events) > 5
    assert server.authorizations[0] == "Bearer secret"
    assert PAGE in server.requests[0]["messages"][-1]["content"]


async def test_what_a_server_refuses_is_not_sent_again(server: FakeChat, llm: OpenAIChat) -> None:
    server.behaviour = "picky"
    await ask(llm)
    asked = len(server.requests)
    await ask(llm)
    assert len(server.requests) == asked + 1
    assert server.requests[-1]["max_completion_tokens"] == 800


@pytest.mark.parametrize(
    ("behaviour", "kind", "dropped", "reasons"),
    [
        ("wrong_quote", "generated", 1, []),
        ("uncited", "generated", 0, ["no_citation"]),
        ("cut", "generated", 0, ["answer_cut"]),
        ("refuse", "refused", 0, []),
        ("late_refusal", "refused", 0, []),
        ("empty", "extractive", 0, ["llm_unavailable"]),
        ("error", "extractive", 0, ["llm_unavailable"]),
        ("garbage", "extractive", 0, ["llm_unavailable"]),
        ("limited", "extractive", 0, ["llm_unavailable"]),
        ("break", "extractive", 0, ["llm_broke_off"]),
    ],
)
async def test_whatever_the_server_does_there_is_an_answer_that_says_so(
    server: FakeChat, llm: OpenAIChat, behaviour: str, kind: str, dropped: int, reasons: list[str]
) -> None:
    server.behaviour = behaviour
    done, events = await ask(llm)
    assert (done.kind, done.dropped) == (kind, dropped)
    assert [note.reason for note in done.degraded] == reasons
    assert any(isinstance(e, Restarted) for e in events) is (behaviour in {"late_refusal", "break"})
    if kind == "extractive":
        assert done.text == f"{FINE} [1]"


async def test_a_silent_server_is_left_after_the_time_set(server: FakeChat, hurried: OpenAIChat) -> None:
    server.behaviour = "hang"
    started = time.monotonic()
    done, _ = await ask(hurried)
    assert 0.5 <= time.monotonic() - started < 15
    assert (done.kind, done.text) == ("extractive", f"{FINE} [1]")
    assert "0.5 s" in done.degraded[0].sentence
    assert await asyncio.to_thread(server.hung_up.wait, 20)


async def test_an_answer_that_takes_too_long_is_replaced(server: FakeChat) -> None:
    server.behaviour = "slow"
    llm = OpenAIChat(server.base_url, "m", first_token_seconds=5, timeout_seconds=0.4)
    done, _ = await ask(llm)
    await llm.close()
    assert (done.kind, done.text) == ("extractive", f"{FINE} [1]")


async def test_a_server_that_is_not_there_costs_no_answer(server: FakeChat) -> None:
    llm = OpenAIChat("http://127.0.0.1:9/v1", "m", first_token_seconds=5)
    done, _ = await ask(llm)
    await llm.close()
    assert (done.kind, done.degraded[0].reason) == ("extractive", "llm_unavailable")


async def test_a_reader_that_goes_away_closes_the_request(server: FakeChat, llm: OpenAIChat) -> None:
    server.behaviour = "slow"
    async with aclosing(Answerer(WordsAsVectors(), llm, page_text).answer(QUESTION, [PASSAGE])) as events:
        async for event in events:
            if isinstance(event, Token):
                break
    assert await asyncio.to_thread(server.hung_up.wait, 20)


async def test_a_cancelled_task_closes_the_request(server: FakeChat, llm: OpenAIChat) -> None:
    server.behaviour = "hang"
    task = asyncio.create_task(ask(llm))
    assert await asyncio.to_thread(server.asked.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.hung_up.wait, 20)
