"""What is asked from outside is judged rightly: a real blackbox exporter with the role's settings."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi.sse import format_sse_event

from app.answering.events import Citation, Done, Token
from app.api.schemas import plain
from app.embedded.ports import free_port
from tests.ansible.rendering import ROLES, rendered
from tests.ansible.running import needs_ansible
from tests.ansible.watching import served
from tests.support.tls import Authority

yaml = pytest.importorskip("yaml")
pytestmark = needs_ansible
ASK = "/api/v1/knowledge-bases/known-questions/ask"
RIGHT = "It can be seen from 19 nautical\nmiles away."
QUESTIONS = yaml.safe_load((ROLES / "questions" / "defaults" / "main.yml").read_text(encoding="utf-8"))


def answer(text: str, document: str = "lighthouse.md") -> bytes:
    """The events of an answer as the API writes them."""
    quote = "from 19 nautical miles away"
    cited = Citation(1, uuid4(), document, 1, "page", None, 0, len(quote), quote)
    done = Done("extractive", text, (cited,), 0, (), 0.1)
    events = {"token": Token(text), "done": done}
    return b"".join(
        format_sse_event(data_str=json.dumps(plain(event), separators=(",", ":")), event=name)
        for name, event in events.items()
    )


class Balancer:
    """A fleet's way in, with a certificate of its authority: ``answers`` by path, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[bytes] = []
        self.authority = Authority(folder)
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = balancer.answers[self.path]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                balancer.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.authority.certificate("balancer"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def balancer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    found = Balancer(tmp_path_factory.mktemp("balancer"))
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture(scope="module")
def exporter(balancer: Balancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("blackbox"), free_port()
    files = rendered(
        "blackbox",
        folder,
        blackbox_port=port,
        blackbox_file=str(folder / "blackbox" / "blackbox.yml"),
        blackbox_ca=str(balancer.authority.ca_file),
        blackbox_questions=QUESTIONS,
    )
    with served("prometheus-blackbox-exporter", files["20-knowledge-assistant.conf"], port, folder) as url:
        yield url


def right(exporter: str, check: str, target: str) -> bool:
    """Whether a check succeeds."""
    asked = {"module": check, "target": target}
    told = httpx.get(f"{exporter}/probe", params=asked, timeout=20, trust_env=False).raise_for_status().text
    return "probe_success 1" in told.splitlines()


def test_a_known_question_is_asked_and_its_right_answer_is_right(exporter: str, balancer: Balancer) -> None:
    balancer.answers[ASK] = 200, answer(RIGHT)
    assert right(exporter, "question", balancer.url + ASK)
    assert json.loads(balancer.asked[-1]) == {"question": QUESTIONS["questions_known"][0]["question"]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, answer('It can be seen from "20 nautical miles" away.')),
        (200, answer(RIGHT, document="ferry.md")),
        (200, answer(RIGHT).partition(b"event: done")[0]),
        (200, format_sse_event(data_str='{"title":"from 19 nautical miles, lighthouse.md"}', event="error")),
        (503, answer(RIGHT)),
    ],
    ids=["other words", "another document", "broken off", "an error", "status 503"],
)
def test_another_answer_is_not(exporter: str, balancer: Balancer, status: int, body: bytes) -> None:
    balancer.answers[ASK] = status, body
    assert not right(exporter, "question", balancer.url + ASK)


def test_a_page_and_readiness_are_known_by_what_they_hold(exporter: str, balancer: Balancer) -> None:
    balancer.answers["/"] = 200, b'<script>{"title":"Knowledge assistant"}</script>'
    balancer.answers["/readyz"] = 200, b'{"ready":true,"parts":{"database":"ok"}}'
    assert right(exporter, "page", f"{balancer.url}/")
    assert right(exporter, "ready", f"{balancer.url}/readyz")
    balancer.answers["/"] = 200, b"It works!"
    balancer.answers["/readyz"] = 503, b'{"ready":false,"parts":{"database":"away"}}'
    assert not right(exporter, "page", f"{balancer.url}/")
    assert not right(exporter, "ready", f"{balancer.url}/readyz")


def test_a_certificate_of_somebody_else_is_refused(exporter: str, balancer: Balancer, tmp_path: Path) -> None:
    stranger = Balancer(tmp_path)
    stranger.answers["/"] = 200, b'{"title":"Knowledge assistant"}'
    thread = threading.Thread(target=stranger.server.handle_request)
    thread.start()
    try:
        assert not right(exporter, "page", f"{stranger.url}/")
    finally:
        thread.join()
        stranger.server.server_close()
