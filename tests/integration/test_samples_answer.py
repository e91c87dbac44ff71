"""The sample documents, read and asked for real: each example question is answered from the right page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.samples import QUESTIONS, Question, files
from tests.support.running import Service, environment, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[Service]:
    """A service that has read the samples, without a language model."""
    data = tmp_path_factory.mktemp("samples") / "data"
    with serving(data, environment(model_dir)) as running:
        running.request("POST", "/api/v1/knowledge-bases/default/samples").raise_for_status()
        assert {one["name"]: one["state"] for one in running.settled()} == {
            file.name: "ready" for file in files()
        }
        yield running


def answer(service: Service, question: str) -> dict[str, Any]:
    """What ``done`` says at the end of an answer."""
    body = service.request(
        "POST", "/api/v1/knowledge-bases/default/ask", json={"question": question}
    ).raise_for_status()
    events = [
        dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        for event in body.text.split("\n\n")
    ]
    done: dict[str, Any] = next(json.loads(one["data"]) for one in events if one.get("event") == "done")
    return done


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text)
def test_each_example_is_answered_from_the_right_page(service: Service, question: Question) -> None:
    done = answer(service, question.text)
    assert done["kind"] == "extractive"
    assert not done["degraded"]
    right = [
        one
        for one in done["citations"]
        if (one["document"], one["page"]) == (question.document, question.page)
    ]
    assert any(question.phrase in " ".join(one["quote"].split()) for one in right), done["text"]
    page = service.get(f"/documents/{right[0]['document_id']}/pages/{question.page}")
    assert page["text"][right[0]["start"] : right[0]["end"]] == right[0]["quote"]


def test_what_the_samples_do_not_hold_is_refused(service: Service) -> None:
    done = answer(service, "Who won the football world cup of 1954?")
    assert done["kind"] == "refused"
    assert not done["citations"]
