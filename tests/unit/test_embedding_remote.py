"""The remote engine against an HTTP server that speaks the protocol (tests/fakes/openai_embeddings.py)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.embedding.approximate import approximate_spans
from app.embedding.remote import EmbeddingRefused, RemoteEmbedder, WrongVectors
from app.embedding.tokens import ModelTokenizer
from app.errors import Unavailable
from tests.fakes.openai_embeddings import EmbeddingServer, embedding_server

Remote = Callable[..., RemoteEmbedder]


@pytest.fixture
async def remote() -> AsyncIterator[Remote]:
    """Make an engine that is closed after the test."""
    async with AsyncExitStack() as stack:

        def make(url: str, model: str = "tiny", dimension: int | None = None, **more: Any) -> RemoteEmbedder:
            engine = RemoteEmbedder(url, model, dimension, **more)
            stack.push_async_callback(engine.close)
            return engine

        yield make


def expected(server: EmbeddingServer, texts: list[str]) -> np.ndarray:
    rows = np.array([server.vector(text) for text in texts], np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


async def test_vectors_come_back_in_order_with_length_one_over_many_batches(remote: Remote) -> None:
    texts = [f"text number {i}" for i in range(40)]
    with embedding_server(shuffled=True, key="secret") as server:
        engine = await remote(server.url, "tiny", api_key="secret", batch_size=16).connect()
        assert engine.dimension == 8
        found = await engine.embed(texts)
        np.testing.assert_allclose(found, expected(server, texts), atol=1e-6)
        assert found.dtype == np.float32
        assert sorted(len(request["input"]) for request in server.requests) == [1, 8, 16, 16]
        assert (await engine.embed([])).shape == (0, 8)


async def test_calls_at_the_same_time_do_not_mix(remote: Remote) -> None:
    groups = [[f"{g}.{i}" for i in range(5)] for g in range(10)]
    with embedding_server() as server:
        engine = remote(server.url, "tiny", 8)
        for group, vectors in zip(groups, await asyncio.gather(*map(engine.embed, groups)), strict=True):
            np.testing.assert_allclose(vectors, expected(server, group), atol=1e-6)


async def test_a_busy_or_failing_server_is_tried_again(remote: Remote) -> None:
    with embedding_server(failures=[429, 500, 429]) as server:
        engine = remote(server.url, "tiny", 8)
        assert (await engine.embed(["patience"])).shape == (1, 8)
        assert len(server.requests) == 4


@pytest.mark.parametrize(("code", "says"), [(503, "answered 503"), (429, "too many requests")])
async def test_a_server_that_keeps_failing_is_unavailable(code: int, says: str, remote: Remote) -> None:
    with embedding_server(failures=[code] * 9) as server:
        engine = remote(server.url, "tiny", 8, retries=1)
        with pytest.raises(Unavailable, match=says):
            await engine.embed(["hello"])


async def test_a_server_that_is_not_there_is_unavailable(remote: Remote) -> None:
    with embedding_server() as server:
        url = server.url
    with pytest.raises(Unavailable, match="no connection"):
        await remote(url, "tiny", retries=0).connect()


async def test_a_server_that_takes_too_long_is_unavailable(remote: Remote) -> None:
    with embedding_server(delay=0.4) as server:
        engine = remote(server.url, "tiny", 8, timeout=0.1, retries=0)
        with pytest.raises(Unavailable, match="in time"):
            await engine.embed(["hello"])


async def test_a_wrong_key_or_model_is_told_without_showing_the_key(remote: Remote) -> None:
    with embedding_server(key="right") as server:
        with pytest.raises(EmbeddingRefused, match="the key") as told:
            await remote(server.url, "tiny", api_key="wrong-secret").connect()
        assert "wrong-secret" not in told.value.sentence()
        with pytest.raises(EmbeddingRefused, match="no such model"):
            await remote(server.url, "other", api_key="right").connect()


async def test_a_key_for_another_server_in_the_environment_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, remote: Remote
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    with embedding_server(key="right") as server, pytest.raises(EmbeddingRefused):
        await remote(server.url, "tiny").connect()


async def test_another_dimension_than_the_settings_say_is_an_error(remote: Remote) -> None:
    with embedding_server() as server, pytest.raises(WrongVectors, match="dimension 8 where dimension 384"):
        await remote(server.url, "tiny", 384).connect()


async def test_missing_vectors_are_an_error_and_not_shifted_rows(remote: Remote) -> None:
    with embedding_server(drop=1) as server:
        engine = remote(server.url, "tiny", 8)
        with pytest.raises(WrongVectors, match="2 vectors"):
            await engine.embed(["a", "b", "c"])


@pytest.mark.parametrize("raw", [b"<html>welcome</html>", b'{"data": null}', b"{}", b'{"data": [1]}'])
async def test_an_answer_that_is_not_the_protocol_is_an_error(raw: bytes, remote: Remote) -> None:
    with embedding_server(raw=raw) as server:
        engine = remote(server.url, "tiny", 8, retries=0)
        with pytest.raises(WrongVectors):
            await engine.embed(["hello"])


async def test_long_and_empty_texts_are_made_fit_for_the_server(remote: Remote) -> None:
    with embedding_server() as server:
        engine = remote(server.url, "tiny", 8, max_tokens=32)
        await engine.embed(["", "  \n", "many words " * 5000])
        sent = server.requests[0]["input"]
        assert sent[:2] == [".", "."]
        assert sent[2].startswith("many words many words")
        assert len(engine.token_spans(sent[2])) == 30


async def test_the_models_own_tokenizer_is_used_when_there_is_one(model_dir: Path, remote: Remote) -> None:
    path = model_dir / "tokenizer.json"
    engine = remote("http://127.0.0.1:9/v1", "tiny", 8, tokenizer=path)
    text = "Unbelievably antidisestablishmentarian"
    assert engine.token_spans(text) == ModelTokenizer(path, 256).spans(text)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300))
def test_guessed_spans_ascend_without_overlap_and_cover_all_but_white_space(text: str) -> None:
    spans = approximate_spans(text)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert "".join(text[a:b] for a, b in spans) == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "The committee has not yet approved the revised budget of 12,500 euros for the year 2024.",
        "Die Donaudampfschifffahrtsgesellschaft veröffentlichte Änderungen ihrer Geschäftsbedingungen.",
        "データベースを検索する方法を説明します。",
        "def token_spans(self, text: str) -> list[tuple[int, int]]:",
    ],
)
def test_guessed_tokens_are_at_least_as_many_as_real_ones(model_dir: Path, text: str) -> None:
    assert len(approximate_spans(text)) >= len(ModelTokenizer(model_dir / "tokenizer.json", 256).spans(text))
