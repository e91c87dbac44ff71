"""A stand-in for a commercial language model, used by tests alone.

A real HTTP server on a free loopback port that speaks the streaming part of OpenAI's chat completions.
How it behaves is chosen by the server's ``behaviour``, or for one request by its ``model``. It understands no
language: it finds the passage and the sentence that share most words with the question.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.support.served import Served

BEHAVIOURS = (
    "grounded",  # a sentence of the best passage with a right quote
    "tokens",  # the same, one character at a time
    "slow",  # the same, with pauses
    "number",  # cites by number only
    "wrong_quote",  # one right quote, then one with a changed word
    "uncited",  # no citation at all
    "refuse",
    "late_refusal",  # some words first
    "empty",
    "error",  # status 500
    "limited",  # status 429
    "quoting",  # status 400, with all that it was asked
    "hang",  # headers, then nothing
    "break",  # cuts the connection in the middle
    "thinking",  # thoughts in <think> first, then as grounded
    "garbage",  # events that are no JSON
    "cut",  # finish_reason "length"
    "picky",  # refuses max_tokens and temperature, like some models do, then as grounded
)
REFUSAL = "NOT_IN_THE_SOURCES"
_PASSAGE = re.compile(r"BEGIN PASSAGE (\d+) (\w+) \(.*?\)\n(.*?)\nEND PASSAGE \1 \2", re.DOTALL)


class FakeChat(Served):
    """``with FakeChat("grounded") as llm:`` serves at ``llm.base_url`` until the end of the block."""

    def __init__(self, behaviour: str = "grounded", port: int = 0) -> None:
        self.behaviour = behaviour
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.asked = threading.Event()  # set when the first request is in
        self.stopping = threading.Event()
        self.hung_up = threading.Event()  # set when a client goes away before the end of an answer
        server = _Server(("127.0.0.1", port), _Handler)
        server.fake = self
        super().__init__(server)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        super().__exit__(kind, error, trace)


class _Server(ThreadingHTTPServer):
    fake: FakeChat

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error here."""
        if isinstance(sys.exception(), OSError):
            self.fake.hung_up.set()
        else:
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        fake = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.requests.append(body)
        fake.authorizations.append(self.headers.get("Authorization"))
        fake.asked.set()
        behaviour = body["model"] if body["model"] in BEHAVIOURS else fake.behaviour
        if self.path != "/v1/chat/completions":
            self._refuse(404, "no such path")
        elif behaviour == "error":
            self._refuse(500, "the model has crashed")
        elif behaviour == "limited":
            self._refuse(429, "too many requests")
        elif behaviour == "quoting":
            self._refuse(400, f"This is not understood: {body['messages'][-1]['content']}")
        elif behaviour == "picky" and "max_tokens" in body:
            self._refuse(400, "Unsupported parameter: 'max_tokens' is not supported with this model.")
        elif behaviour == "picky" and "temperature" in body:
            self._refuse(400, "Unsupported value: 'temperature' does not support 0 with this model.")
        else:
            try:
                self._stream(behaviour, body["messages"][-1]["content"])
            except OSError:
                fake.hung_up.set()
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def _refuse(self, status: int, message: str) -> None:
        data = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, behaviour: str, prompt: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event({"role": "assistant", "content": ""})
        if behaviour == "hang":
            self._wait_for_client()
            return
        if behaviour == "garbage":
            self._chunk(b"data: {broken\n\n")
        for piece in _pieces(behaviour, _answer(behaviour, prompt)):
            if behaviour == "slow":
                time.sleep(0.05)
            self._event({"content": piece})
        if behaviour == "break":
            self.wfile.flush()
            self.close_connection = True
            return
        self._event({}, finish="length" if behaviour == "cut" else "stop")
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _wait_for_client(self) -> None:
        """Say nothing until the client goes away or the server stops."""
        self.connection.settimeout(0.05)
        self.close_connection = True
        while not self.server.fake.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    self.server.fake.hung_up.set()
                    return
            except TimeoutError:
                continue

    def _event(self, delta: dict[str, str], finish: str | None = None) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "fake",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        self._chunk(f"data: {json.dumps(chunk)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def _pieces(behaviour: str, text: str) -> Iterator[str]:
    yield from text if behaviour == "tokens" else re.findall(r"\S+\s*|\s+", text)


def _answer(behaviour: str, prompt: str) -> str:
    number, sentence = _best_sentence(prompt)
    right = f'{sentence} [{number}: "{sentence.rstrip(".")}"]'
    words = sentence.rstrip(".").split()
    changed = " ".join(["certainly", *words[1:]])
    return {
        "number": f"{sentence} [{number}]",
        "wrong_quote": f'{right} It is so [{number}: "{changed}"].',
        "uncited": sentence,
        "refuse": REFUSAL,
        "late_refusal": f"I have looked. {REFUSAL}",
        "empty": "",
        "thinking": f"<think>\nWhat [1] says? {REFUSAL}?\n</think>\n\n{right}",
        "break": f'{right} And then [{number}: "{words[0]}',
    }.get(behaviour, right)


def _best_sentence(prompt: str) -> tuple[int, str]:
    question = _words(prompt.rpartition("Question: ")[2])
    best = (-1, 1, "")
    for number, _, text in _PASSAGE.findall(prompt):
        for sentence in re.split(r"(?<=[.!?。])\s+", text):
            score = len(question & _words(sentence))
            if score > best[0]:
                best = (score, int(number), sentence)
    return best[1], best[2]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _main() -> None:
    """Serve until Ctrl-C, to try the application by hand: python -m tests.fakes.openai_chat [PORT]."""
    with FakeChat(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as fake:
        print(fake.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    _main()
