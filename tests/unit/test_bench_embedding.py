"""The benchmark compares engines that compute the same thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bench.embedding import run
from app.bench.embedding_engines import chroma_default, ours


def test_chromas_function_is_measured_with_the_same_model(model_dir: Path, tmp_path: Path) -> None:
    texts = ["A pump needs oil.", "Die Brücke wurde 1931 gebaut.", "long " * 400]
    chroma, exact = chroma_default(tmp_path, threads=1), ours(model_dir, "fp32", threads=1)
    assert (chroma.embed(texts) * exact.embed(texts)).sum(axis=1) == pytest.approx(1, abs=1e-5)
    exact.close()


def test_a_run_gives_speeds_and_ratios_for_every_engine_there_is(model_dir: Path) -> None:
    result = run(model_dir, threads=(1,), texts=2, rounds=1)
    speed = result["speed"]["1"]
    assert {"fp32", "chroma default"} <= set(speed)
    assert all(engine["texts_per_second"] > 0 and engine["question_ms"] > 0 for engine in speed.values())
    assert "packages" in result["machine"]
