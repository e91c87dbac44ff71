"""A stand-in for an embedding server: the OpenAI protocol over HTTP on loopback, without a model.

Its vectors are drawn from a hash of the text, so that the same text gives the same vector. It can be told to
answer the next requests with an HTTP error, to take its time, or to send vectors out of order, and it keeps
what it was asked.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass
class EmbeddingServer:
    """What the test sets, and what the server saw."""

    dimension: int = 8
    max_batch: int = 16
    key: str | None = None
    model: str = "tiny"
    delay: float = 0.0
    failures: list[int] = field(default_factory=list)  # HTTP codes for the next requests
    shuffled: bool = False
    drop: int = 0  # how many vectors are left out
    raw: bytes | None = None  # sent instead of the answer
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def vector(self, text: str) -> list[float]:
        """Not of length 1, as with some servers."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return [float(x) for x in np.random.default_rng(seed).normal(size=self.dimension) * 3]

    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.requests.append(body)
            failure = self.failures.pop(0) if self.failures else None
        if failure:
            return failure, {"error": {"message": "told to fail"}}
        if self.key is not None and key != f"Bearer {self.key}":
            return 401, {"error": {"message": "wrong key"}}
        if path != "/v1/embeddings" or body["model"] != self.model:
            return 404, {"error": {"message": "no such model"}}
        texts = body["input"]
        if len(texts) > self.max_batch or not all(text.strip() for text in texts):
            return 400, {"error": {"message": "too many texts, or an empty one"}}
        rows = [
            {"object": "embedding", "index": i, "embedding": self.vector(text)}
            for i, text in enumerate(texts)
        ]
        rows = rows[self.drop :]
        if self.shuffled:
            rows.reverse()
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return 200, {"object": "list", "data": rows, "model": self.model, "usage": usage}


@contextmanager
def embedding_server(**settings: Any) -> Iterator[EmbeddingServer]:
    """Run the server on a free port; `url` of what is yielded ends in `/v1`."""
    state = EmbeddingServer(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(state.delay)
            code, answer = state.answer(self.path, self.headers.get("Authorization", ""), body)
            data = state.raw if state.raw is not None else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if code == 429:
                self.send_header("Retry-After", "0.05")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
