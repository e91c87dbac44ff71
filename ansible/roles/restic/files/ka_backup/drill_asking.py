"""Known questions, asked until all answers are right and lack nothing: the index is built anew meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ka_backup.errors import BackupError

Ask = Callable[[str, bytes], tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """A question, a document that a right answer cites, and words that it holds."""

    question: str
    document: str
    words: tuple[str, ...]


def until_right(
    knowledge_base: str, known: Sequence[Known], ask: Ask, seconds: float, pause: float = 1.0
) -> list[str]:
    """What is wrong when the time is over; nothing as soon as all are right. ``ask``: a path and a body."""
    until = time.monotonic() + seconds
    waiting = list(known)
    said: list[str] = []
    while waiting:
        found = [(one, attempt(knowledge_base, one, ask)) for one in waiting]
        waiting = [one for one, problem in found if problem]
        said = [problem for _, problem in found if problem]
        if waiting and time.monotonic() > until:
            break
        if waiting:
            time.sleep(pause)
    return said


def attempt(knowledge_base: str, one: Known, ask: Ask) -> str:
    """What is wrong with one answer, or nothing."""
    path = f"/api/v1/knowledge-bases/{knowledge_base}/ask"
    try:
        status, text = ask(path, json.dumps({"question": one.question}).encode())
    except BackupError as error:
        return str(error)
    if status != HTTPStatus.OK:
        return f"“{one.question}” is answered by status {status} on the restored data."
    answer = done(text)
    return judge(answer, one) if answer else f"The answer to “{one.question}” broke off on the restored data."


def done(text: str) -> dict[str, Any] | None:
    """The whole answer, as the event ``done`` of the stream has it (app/api/routes/questions.py)."""
    for event in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if fields.get("event") == "done":
            found: dict[str, Any] = json.loads(fields["data"])
            return found
    return None


def judge(answer: dict[str, Any], one: Known) -> str:
    """Nothing when the answer holds the words, cites the document and lacks no part."""
    text = " ".join(answer["text"].split())
    lacking = [word for word in one.words if word.casefold() not in text.casefold()]
    if lacking:
        return (
            f"“{one.question}” is answered wrongly on the restored data: no {', '.join(lacking)} in “{text}”."
        )
    cited = sorted({citation["document"] for citation in answer["citations"]})
    if one.document not in cited:
        named = ", ".join(cited) or "nothing"
        return f"“{one.question}” cites {named}, not {one.document}, on the restored data."
    if answer["degraded"]:
        why = answer["degraded"][0]["sentence"]
        return f"“{one.question}” is answered rightly on the restored data, but: {why}"
    return ""
