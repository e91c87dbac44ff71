"""One id from the load balancer to the database and back, and logs that hold nothing of what people wrote."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.fakes.openai_chat import FakeChat
from tests.support.documents import note
from tests.support.recount import Stack, own_stack
from tests.support.running import QUICK, Service, serving, wait_until

BASE = "/api/v1/knowledge-bases/default"
KEY = "sk-planted-5f1c"
SENTENCE = "The heron of Quarrelton sleeps at noon."
QUESTION = "When does the heron of Quarrelton sleep?"
PLANTED = (KEY, "Quarrelton", "heron")


@dataclass
class Logged:
    """A service with one worker, and what both have logged."""

    service: Service
    stack: Stack
    model: FakeChat

    def lines(self, who: str) -> list[dict[str, Any]]:
        """All lines of ``api`` or ``worker``, each of which has to be an object."""
        return [json.loads(line) for line in self.text(who).splitlines()]

    def text(self, who: str) -> str:
        if who == "api":
            return self.service.main.told()
        return (self.service.data / "worker-1.log").read_text()

    def about(self, who: str, request: str) -> list[str]:
        """Messages that bear the id."""
        return [line["message"] for line in self.lines(who) if line.get("request") == request]

    def send(self, method: str, path: str, request: str = "", **options: Any) -> httpx.Response:
        """A request as a load balancer passes it on."""
        return self.service.request(
            method, path, headers={"X-Request-Id": request or str(uuid4())}, **options
        )

    @contextmanager
    def without(self, table: str) -> Iterator[None]:
        """Something of ours is broken while the block runs."""
        with psycopg.connect(self.stack.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO aside").format(sql.Identifier(table)))
            try:
                yield
            finally:
                connection.execute(sql.SQL("ALTER TABLE aside RENAME TO {}").format(sql.Identifier(table)))


@pytest.fixture(scope="module")
def logged(postgres_dsn: str, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("ids")
    key = folder / "key"
    key.write_text(KEY)
    with own_stack(postgres_dsn, folder) as stack, FakeChat("grounded") as model:
        variables = stack.variables(
            model_dir,
            KA_LOG__FORMAT="json",
            KA_LLM__BASE_URL=model.base_url,
            KA_LLM__MODEL="some-model",
            KA_LLM__API_KEY_FILE=str(key),
            **QUICK,
        )
        with serving(folder / "service", variables, options=["--workers", "1"]) as service:
            service.upload("heron.txt", SENTENCE.encode())
            service.settled()
            yield Logged(service, stack, model)


def test_the_id_of_the_load_balancer_is_in_the_header_the_problem_and_the_log(logged: Logged) -> None:
    name = str(uuid4())
    answer = logged.send("POST", "/api/v1/knowledge-bases/none/ask", name, json={"question": "?"})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] == answer.json()["request"] == name
    wait_until(lambda: logged.about("api", name), 5, "the line of the request")
    assert "POST /api/v1/knowledge-bases/none/ask is answered by 404" in logged.about("api", name)[-1]


@pytest.mark.parametrize("odd", ["", "short", "x" * 65, 'a"b' * 4, "../../etc/passwd", "*/ DROP TABLE x; --"])
def test_an_id_that_is_missing_or_odd_is_replaced_by_one_of_ours(logged: Logged, odd: str) -> None:
    headers = {"X-Request-Id": odd} if odd else {}
    answer = logged.service.request("GET", "/api/v1/knowledge-bases/none", headers=headers)
    name = answer.headers["x-request-id"]
    assert name == answer.json()["request"]
    assert name != odd
    assert name.isalnum()
    assert len(name) == 32


def test_what_fails_on_our_side_is_told_with_the_id_under_which_its_cause_is_logged(logged: Logged) -> None:
    name = str(uuid4())
    with logged.without("knowledge_bases"):
        answer = logged.send("GET", "/api/v1/knowledge-bases", name)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert answer.headers["x-request-id"] == answer.json()["request"] == name
    causes = [line for line in logged.lines("api") if line.get("request") == name and "error" in line]
    assert "psycopg.errors.UndefinedTable" in causes[0]["error"]
    assert any("database.py" in place for place in causes[0]["trace"])


def test_an_answer_that_breaks_off_ends_with_the_id(logged: Logged) -> None:
    name = str(uuid4())
    with logged.without("chunks"):
        answer = logged.send("POST", f"{BASE}/ask", name, json={"question": QUESTION})
    problem = json.loads(answer.text.partition("event: error")[2].partition("data: ")[2].splitlines()[0])
    assert (problem["code"], problem["request"]) == ("internal-error", name)
    assert "a question failed" in logged.about("api", name)


def test_a_question_that_fails_in_its_answer_counts_as_failed(logged: Logged) -> None:
    def failed() -> float:
        told = logged.service.request("GET", "/metrics").text
        name = "ka_http_requests_total"
        labels = 'method="POST",route="/api/v1/knowledge-bases/{knowledge_base}/ask",status="500"'
        return sum(float(line.split()[-1]) for line in told.splitlines() if f"{name}{{{labels}}}" in line)

    before = failed()
    with logged.without("chunks"):
        assert (
            logged.send("POST", f"{BASE}/ask", str(uuid4()), json={"question": QUESTION}).status_code == 200
        )
    wait_until(lambda: failed() == before + 1, 5, "the failed question is counted")


def test_the_worker_that_reads_an_upload_logs_under_the_id_of_the_upload(logged: Logged) -> None:
    good, bad, again = (str(uuid4()) for _ in range(3))
    sent = {"file": ("good.txt", note("goodword"))}
    document = logged.send("POST", f"{BASE}/documents", good, files=sent).json()["document"]["id"]
    sent = {"file": ("bad.pdf", b"%PDF-1.7 and nothing that follows")}
    broken = logged.send("POST", f"{BASE}/documents", bad, files=sent).json()["document"]["id"]
    logged.service.settled()
    logged.send("POST", f"/api/v1/documents/{broken}/retry", again)
    logged.service.settled()
    assert any(f"document {document} is ready" in message for message in logged.about("worker", good))
    for name in (bad, again):
        assert any(f"document {broken}: " in message for message in logged.about("worker", name))


def test_postgresql_shows_for_which_request_a_statement_runs(logged: Logged) -> None:
    name = str(uuid4())
    running = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    with psycopg.connect(logged.stack.dsn) as connection:
        connection.execute("LOCK TABLE knowledge_bases IN ACCESS EXCLUSIVE MODE")
        asking = threading.Thread(target=logged.send, args=("GET", "/api/v1/knowledge-bases", name))
        asking.start()
        try:
            wait_until(lambda: logged.stack.rows(running, f"/* request {name} */%"), 10, "the statement")
        finally:
            connection.rollback()
            asking.join()


def test_logs_hold_no_document_no_question_and_no_credential(logged: Logged) -> None:
    name = str(uuid4())
    answer = logged.send("POST", f"{BASE}/ask", name, json={"question": QUESTION})
    assert "Quarrelton" in answer.text
    assert logged.model.authorizations[-1] == f"Bearer {KEY}"
    # what goes wrong is where things are quoted: by the model's server, by a parser, by PostgreSQL
    logged.model.behaviour = "quoting"
    logged.send("POST", f"{BASE}/ask", name, json={"question": QUESTION})
    with logged.without("chunks"):
        logged.send("POST", f"{BASE}/ask", name, json={"question": QUESTION})
        logged.send("POST", f"{BASE}/search?q=Quarrelton", name, json={"question": QUESTION})
    broken = {"file": ("broken.pdf", f"%PDF-1.7 {SENTENCE}".encode())}
    logged.send("POST", f"{BASE}/documents", name, files=broken)
    logged.service.settled()
    for who in ("api", "worker"):
        found = logged.text(who)
        assert name in found, f"nothing of this was logged by the {who}"
        assert [word for word in PLANTED if word in found] == []
    assert any("language model" in message for message in logged.about("api", name))


def test_every_line_of_api_and_worker_is_an_object_with_the_same_fields(logged: Logged) -> None:
    for who in ("api", "worker"):
        lines = logged.lines(who)
        assert lines
        assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
