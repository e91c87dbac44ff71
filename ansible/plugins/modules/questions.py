#!/usr/bin/python
"""Teach an assistant documents, and ask it questions whose answers are known."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: questions
short_description: Teach an assistant documents, and ask it questions whose answers are known
description:
  - Through its HTTP interface, from the host that the module runs on.
  - What is there already is not uploaded again. Asking changes nothing.
options:
  state:
    type: str
    required: true
    choices: [taught, asked]
    description: C(taught) uploads what is missing and waits until it can be asked; C(asked) asks.
  url: {type: str, required: true, description: "Where the assistant answers, as https://balancer1."}
  ca: {type: str, default: "", description: File with the authority to trust; empty takes the system's.}
  knowledge_base: {type: str, required: true, description: Its name; made when it is missing.}
  documents: {type: dict, default: {}, description: "For C(taught): contents in base64 by name."}
  known:
    type: list
    elements: dict
    default: []
    description: "For C(asked): question, document (its name), words that a right answer holds."
  seconds: {type: int, default: 120, description: How long documents may take until they can be asked.}
  limit: {type: float, default: 0, description: "For C(asked): seconds that an answer may take; 0 for any."}
  rounds:
    type: int
    default: 1
    description: "For C(asked): so often at most a question is asked, until its answer is right and in time."
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: It answers rightly
  questions:
    state: asked
    url: https://balancer1
    ca: /etc/knowledge-assistant/tls/ca.crt
    knowledge_base: known-questions
    known: [{question: "How high is the tower?", document: tower.md, words: [41 metres]}]
"""
RETURN = """
added: {type: list, elements: str, returned: taught, description: Names of the documents that were uploaded.}
right: {type: int, returned: asked, description: Number of right answers.}
slowest: {type: float, returned: asked, description: Seconds of the slowest answer in its last round.}
problems: {type: list, elements: str, returned: always, description: A sentence for each thing that is wrong.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "required": True, "choices": ["taught", "asked"]},
    "url": {"type": "str", "required": True},
    "ca": {"type": "str", "default": ""},
    "knowledge_base": {"type": "str", "required": True},
    "documents": {"type": "dict", "default": {}},
    "known": {"type": "list", "elements": "dict", "default": []},
    "seconds": {"type": "int", "default": 120},
    "limit": {"type": "float", "default": 0.0},
    "rounds": {"type": "int", "default": 1},
}
TIMEOUT = 30.0
READY, FAILED = "ready", "failed"


class Wrong(Exception):
    """What is wrong, as a sentence."""


class Assistant:
    """One knowledge base of an assistant."""

    def __init__(self, url: str, ca: str, knowledge_base: str) -> None:
        self.url = url
        self.path = f"/api/v1/knowledge-bases/{knowledge_base}"
        self.name = knowledge_base
        self.context = ssl.create_default_context(cafile=ca or None)

    def request(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, str]:
        """Status and text of an answer, whatever the status. Raises :class:`Wrong` when there is none."""
        where = urlsplit(self.url)
        connection = http.client.HTTPSConnection(where.netloc, timeout=TIMEOUT, context=self.context)
        try:
            connection.request(method, path, body or None, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Wrong(f"{self.url} does not answer: {error}") from error
        finally:
            connection.close()

    def good(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> str:
        """Text of an answer. Raises :class:`Wrong` for another status than 2xx."""
        status, text = self.request(method, path, body, kind)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise Wrong(f"{self.url} answers {status} to {method} {path}: {_title(text)}")
        return text

    def documents(self) -> list[dict[str, Any]]:
        """The knowledge base's documents; none when there is no such knowledge base."""
        status, text = self.request("GET", f"{self.path}/documents?limit=1000")
        if status == HTTPStatus.NOT_FOUND:
            return []
        if status != HTTPStatus.OK:
            raise Wrong(f"{self.url} answers {status} to a look at {self.name}: {_title(text)}")
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def make(self) -> None:
        """The knowledge base, unless it is there."""
        if self.request("GET", self.path)[0] == HTTPStatus.NOT_FOUND:
            self.good("POST", "/api/v1/knowledge-bases", json.dumps({"name": self.name}).encode())

    def upload(self, name: str, content: bytes) -> None:
        """Hand in one document."""
        mark = secrets.token_hex(16)
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        self.good("POST", f"{self.path}/documents", body, f"multipart/form-data; boundary={mark}")

    def ask(self, question: str) -> dict[str, Any]:
        """The whole answer, as the event ``done`` has it."""
        text = self.good("POST", f"{self.path}/ask", json.dumps({"question": question}).encode())
        for event in text.replace("\r\n", "\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
            if fields.get("event") == "done":
                done: dict[str, Any] = json.loads(fields["data"])
                return done
            if fields.get("event") == "error":
                raise Wrong(f"{self.url} cannot answer “{question}”: {_title(fields['data'])}")
        raise Wrong(f"{self.url} broke off the answer to “{question}”.")


def missing(contents: dict[str, bytes], present: list[dict[str, Any]]) -> list[str]:
    """Names of those that are not there with this very content."""
    there = {(one["name"], one["sha256"]) for one in present}
    marks = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return [name for name, mark in marks.items() if (name, mark) not in there]


def wait(assistant: Assistant, names: list[str], seconds: int) -> None:
    """Until all are ready. Raises :class:`Wrong` for one that cannot be read, and after that time."""
    until = time.monotonic() + seconds
    while True:
        states = {one["name"]: one for one in assistant.documents() if one["name"] in names}
        for name, one in states.items():
            if one["state"] == FAILED:
                raise Wrong(f"{name} could not be read: {one['message']}")
        waiting = [name for name in names if name not in states or states[name]["state"] != READY]
        if not waiting:
            return
        if time.monotonic() > until:
            raise Wrong(f"{', '.join(waiting)} cannot be asked after {seconds} s: do the workers run?")
        time.sleep(0.5)


def judge(answer: dict[str, Any], known: dict[str, Any]) -> None:
    """Raise :class:`Wrong` unless the answer holds the words, cites the document and lacks nothing."""
    asked = f"“{known['question']}”"
    text = " ".join(answer["text"].split())
    lacking = [str(word) for word in known["words"] if str(word).casefold() not in text.casefold()]
    if lacking:
        raise Wrong(f"{asked} is answered wrongly: “{text}” does not hold {', '.join(lacking)}.")
    cited = sorted({citation["document"] for citation in answer["citations"]})
    if known["document"] not in cited:
        raise Wrong(f"{asked} cites {', '.join(cited) or 'nothing'}, not {known['document']}.")
    if answer["degraded"]:
        raise Wrong(f"{asked} is answered rightly, but: {answer['degraded'][0]['sentence']}")


def teach(assistant: Assistant, wanted: dict[str, Any], check: bool) -> dict[str, Any]:
    """Upload what is missing, and wait until all can be asked."""
    contents = {name: base64.b64decode(content) for name, content in wanted["documents"].items()}
    try:
        lacking = missing(contents, assistant.documents())
    except Wrong:
        if not check:
            raise
        lacking = list(contents)
    if not check:
        if lacking:
            assistant.make()
        for name in lacking:
            assistant.upload(name, contents[name])
        wait(assistant, list(contents), wanted["seconds"])
    return {"changed": bool(lacking), "added": lacking, "problems": []}


def ask(assistant: Assistant, known: list[dict[str, Any]], limit: float, rounds: int) -> dict[str, Any]:
    """Ask all, whatever comes of the others; those that were not well answered again, in the next round."""
    found = [attempt(assistant, one, limit) for one in known]
    for _ in range(rounds - 1):
        found = [
            attempt(assistant, one, limit) if problem else (problem, seconds)
            for one, (problem, seconds) in zip(known, found, strict=True)
        ]
    problems = [problem for problem, _ in found if problem]
    slowest = max((seconds for _, seconds in found), default=0.0)
    right = len(found) - len(problems)
    return {"changed": False, "right": right, "slowest": round(slowest, 3), "problems": problems}


def attempt(assistant: Assistant, known: dict[str, Any], limit: float) -> tuple[str, float]:
    """What is wrong with one answer, or nothing, and the seconds that it took."""
    began = time.monotonic()
    try:
        judge(assistant.ask(known["question"]), known)
    except Wrong as wrong:
        return str(wrong), time.monotonic() - began
    seconds = time.monotonic() - began
    if limit and seconds > limit:
        return f"“{known['question']}” is slow: it took {seconds:.2f} s, {limit:.2f} s are allowed.", seconds
    return "", seconds


def _title(text: str) -> str:
    """What a problem document says, or the beginning of whatever came instead."""
    try:
        problem = json.loads(text)
        return f"{problem['title']} {problem.get('detail') or ''}".strip()
    except (ValueError, KeyError, TypeError):
        return text[:200]


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    wanted = module.params
    try:
        if module.check_mode and wanted["ca"] and not Path(wanted["ca"]).exists():
            module.exit_json(changed=True, added=list(wanted["documents"]), problems=[])
        assistant = Assistant(wanted["url"], wanted["ca"], wanted["knowledge_base"])
        if wanted["state"] == "taught":
            result = teach(assistant, wanted, module.check_mode)
        else:
            result = ask(assistant, wanted["known"], wanted["limit"], wanted["rounds"])
    except OSError as error:
        module.fail_json(msg=f"{wanted['ca']} cannot be read: {error}", problems=[str(error)])
    except Wrong as wrong:
        module.fail_json(msg=str(wrong), problems=[str(wrong)])
    if result["problems"]:
        module.fail_json(msg="\n".join(result["problems"]), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
