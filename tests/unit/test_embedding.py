"""The local engine. embedding-reference.jsonl was made with sentence-transformers 6.2 on torch 2.13."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.embedding.base import ModelUnusable, Vectors
from app.embedding.cpu import cpu_flags, has_fast_int8
from app.embedding.local import LocalEmbedder
from app.embedding.tokens import ModelTokenizer

REFERENCE = Path(__file__).parent.parent / "data" / "embedding-reference.jsonl"
VNNI = frozenset({"avx512_vnni"})
LONG = "A sentence that comes again and again. " * 200


@pytest.fixture(scope="module")
def fp32(model_dir: Path) -> Iterator[LocalEmbedder]:
    engine = LocalEmbedder(model_dir, "fp32", threads=2)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="module")
def auto(model_dir: Path) -> Iterator[LocalEmbedder]:
    engine = LocalEmbedder(model_dir, "auto", threads=2)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="module")
def tokenizer(model_dir: Path) -> ModelTokenizer:
    return ModelTokenizer(model_dir / "tokenizer.json", 256)


def reference() -> tuple[list[str], Vectors]:
    rows = [json.loads(line) for line in REFERENCE.read_text(encoding="utf-8").splitlines()]
    vectors = np.array([row["vector"] for row in rows], np.float32)
    return [row["text"] for row in rows], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def test_fp32_gives_the_vectors_of_sentence_transformers(fp32: LocalEmbedder) -> None:
    texts, expected = reference()
    found = await fp32.embed(texts)
    assert (found * expected).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(found[:, :8], expected[:, :8], atol=2e-4)


async def test_the_variant_taken_by_itself_is_close_to_the_reference(auto: LocalEmbedder) -> None:
    texts, expected = reference()
    cosines = ((await auto.embed(texts)) * expected).sum(axis=1)
    assert cosines.min() > 0.99
    assert cosines.mean() > 0.997


async def test_rows_come_in_the_order_given_with_length_one(auto: LocalEmbedder) -> None:
    texts = ["short", LONG, "", "a little longer than short", "x" * 300] * 3
    together = await auto.embed(texts)
    assert together.shape == (15, auto.dimension)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, (await auto.embed([text]))[0])


async def test_no_texts_give_no_rows(auto: LocalEmbedder) -> None:
    assert (await auto.embed([])).shape == (0, auto.dimension)


async def test_what_is_beyond_the_tokens_limit_does_not_count(auto: LocalEmbedder) -> None:
    cut = LONG[: auto.token_spans(LONG)[auto.max_tokens - 3][1]]
    vectors = await auto.embed([LONG, cut, LONG * 30])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[0], vectors[2])


async def test_calls_at_the_same_time_do_not_mix(auto: LocalEmbedder) -> None:
    groups = [[f"number {i} of group {g}" for i in range(g + 1)] for g in range(12)]
    found = await asyncio.gather(*(auto.embed(group) for group in groups))
    for group, vectors in zip(groups, found, strict=True):
        np.testing.assert_array_equal(vectors, await auto.embed(group))


async def test_a_cancelled_call_leaves_the_engine_working(auto: LocalEmbedder) -> None:
    long_call = asyncio.create_task(auto.embed([LONG] * 500))
    await asyncio.sleep(0.05)
    long_call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long_call
    async with asyncio.timeout(5):
        assert (await auto.embed(["one", "two"])).shape == (2, 384)


async def test_without_the_instructions_fp32_is_taken(
    model_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        engine = LocalEmbedder(model_dir, "auto", flags=frozenset({"avx2", "fma"}))
    await engine.close()
    assert engine.variant == "fp32"
    assert "taking fp32" in caplog.text


async def test_when_the_fast_variant_is_wrong_on_this_machine_fp32_is_taken(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.embedding.local._probe", lambda *_: 0.61)
    engine = LocalEmbedder(model_dir, "auto", flags=VNNI)
    await engine.close()
    assert engine.variant == "fp32"
    assert "inexact" in caplog.text


async def test_when_the_fast_variant_does_not_load_fp32_is_taken(
    model_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = linked_copy(model_dir, tmp_path / "model", other=("int8.onnx",))
    size = (model_dir / "int8.onnx").stat().st_size
    (folder / "int8.onnx").write_bytes(b"\0" * size)
    engine = LocalEmbedder(folder, "auto", flags=VNNI)
    await engine.close()
    assert engine.variant == "fp32"
    assert "int8.onnx is damaged" in caplog.text


def test_a_missing_model_is_told_in_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable) as told:
        LocalEmbedder(tmp_path / "nothing")
    assert "has not been built yet" in told.value.sentence()
    assert "make setup" in told.value.sentence()
    assert "\n" not in told.value.sentence()


@pytest.mark.parametrize("name", ["fp32.onnx", "int8.onnx", "words.bin", "tokenizer.json", "manifest.json"])
def test_a_file_cut_off_is_noticed_when_loading(model_dir: Path, tmp_path: Path, name: str) -> None:
    folder = linked_copy(model_dir, tmp_path / "model", other=(name,))
    (folder / name).write_bytes((model_dir / name).read_bytes()[:-100])
    with pytest.raises(ModelUnusable, match=name):
        LocalEmbedder(folder)


def linked_copy(model_dir: Path, folder: Path, other: tuple[str, ...]) -> Path:
    folder.mkdir()
    for path in model_dir.iterdir():
        if path.name not in other:
            (folder / path.name).symlink_to(path)
    return folder


def test_flags_count_only_when_every_processor_has_them(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx_vnni avx2\n\nprocessor: 1\nflags\t\t: fpu avx2\n")
    assert cpu_flags(info) == {"fpu", "avx2"}
    assert not has_fast_int8(cpu_flags(info))
    assert has_fast_int8(frozenset({"avx_vnni"}))
    assert cpu_flags(tmp_path / "missing") == frozenset()


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=400))
def test_token_spans_ascend_and_lie_inside_the_text(tokenizer: ModelTokenizer, text: str) -> None:
    spans = tokenizer.spans(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(first[0] <= second[0] for first, second in itertools.pairwise(spans))


def test_token_spans_cover_every_word_once(tokenizer: ModelTokenizer) -> None:
    text = "Größe: 12,5 kg — résumé 🙂 検索 unbelievably"
    pieces = [text[start:end] for start, end in tokenizer.spans(text)]
    assert "".join(pieces) == text.replace(" ", "")


def test_spans_of_a_very_long_text_are_those_of_its_parts(tokenizer: ModelTokenizer) -> None:
    part = "Wörter, 数字 and 12,345.67 numbers; "
    count = 3000
    once = tokenizer.spans(part)
    expected = [(i * len(part) + a, i * len(part) + b) for i in range(count) for a, b in once]
    assert tokenizer.spans(part * count) == expected
