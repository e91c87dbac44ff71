"""The HTTP API as its clients meet it: problems, streams, limits, metrics, description."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.documents import book, note
from tests.support.recount import own_stack
from tests.support.running import QUICK, Service, serving

LIMIT = 200 * 1024 * 1024
BASE = "/api/v1/knowledge-bases/default"


@pytest.fixture(scope="module")
def service(
    postgres_dsn: str, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("api")
    with own_stack(postgres_dsn, folder) as stack:
        variables = stack.variables(model_dir, **QUICK)
        with serving(folder / "service", variables, options=["--workers", "1"]) as service:
            service.upload("shed.txt", note("apiword"))
            service.settled()
            yield service


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as (name, data)."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
        if "data" in fields:
            found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The answer is a problem of RFC 9457 that speaks to people."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert set(found) == {"type", "title", "status", "detail", "code", "request"}
    assert found["request"] == answer.headers["x-request-id"]
    assert found["title"].endswith(".")
    return found


HALF, JSON = b'{"question": "\\ud800"}', {"Content-Type": "application/json"}
NONE = "00000000-0000-0000-0000-000000000000"
FAULTS: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "no such document": ("GET", f"/api/v1/documents/{NONE}", {}, 404, NONE),
    "no such page": ("GET", f"/api/v1/documents/{NONE}/pages/{10**30}", {}, 404, "page"),
    "no such job": ("GET", f"/api/v1/jobs/{10**30}", {}, 404, "job"),
    "no such base": ("POST", "/api/v1/knowledge-bases/nix/ask", {"json": {"question": "?"}}, 404, "nix"),
    "not an id": ("GET", "/api/v1/documents/zz", {}, 422, "document_id"),
    "no file": ("POST", f"{BASE}/documents", {}, 422, "file"),
    "no question": ("POST", f"{BASE}/search", {"json": {"question": ""}}, 422, "question"),
    "broken JSON": ("POST", f"{BASE}/ask", {"content": b"{"}, 422, ""),
    "a bad name": ("POST", "/api/v1/knowledge-bases", {"json": {"name": "A b"}}, 422, "A b"),
    "a taken name": ("POST", "/api/v1/knowledge-bases", {"json": {"name": "default"}}, 409, "default"),
    "too far": ("GET", f"{BASE}/documents?offset={10**30}", {}, 422, ""),
    "NUL in a name": ("GET", "/api/v1/knowledge-bases/a%00b", {}, 422, ""),
    "NUL in a question": ("POST", f"{BASE}/search", {"json": {"question": "a\0b"}}, 422, ""),
    "half a character": ("POST", f"{BASE}/search", {"content": HALF, "headers": JSON}, 422, "question"),
    "a strange host": ("GET", "/healthz", {"headers": {"Host": "evil.example"}}, 421, "evil.example"),
    "a strange page": ("GET", "/healthz", {"headers": {"Origin": "http://evil.example"}}, 403, "evil"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_cannot_be_done_is_told_as_a_problem(service: Service, kind: str) -> None:
    method, path, options, status, named = FAULTS[kind]
    assert named in problem(service.request(method, path, **options), status)["title"]


def test_following_a_job_that_is_not_there_is_a_problem(service: Service) -> None:
    problem(service.request("GET", "/api/v1/jobs/99999999/events"), 404)


def test_a_question_with_odd_characters_is_answered_or_refused_within_the_stream(service: Service) -> None:
    for question in ("' & | ! () <-> :* \\", "   ", "%s %(a)s {}", "🙂", "word " * 700):
        answer = service.request("POST", f"{BASE}/ask", json={"question": question})
        assert events(answer.text)[-1][0] == "done", question
    answer = service.request("POST", f"{BASE}/ask", json={"question": "a\0b"})
    assert answer.status_code == 422 or events(answer.text)[-1][0] in {"error", "done"}


def pieces(count: int) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="big.txt"\r\n\r\n'
    for _ in range(count):
        yield b"a" * 1_000_000
    yield b"\r\n--x--\r\n"


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in chunks"])
def test_an_upload_above_the_limit_is_refused_with_the_limit(service: Service, announced: bool) -> None:
    before = peak_memory(service.main.pid)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if announced:
        headers["Content-Length"] = str(sum(len(piece) for piece in pieces(300)))
    answer = service.request("POST", f"{BASE}/documents", content=pieces(300), headers=headers)
    told = problem(answer, 413)
    assert f"{LIMIT:,}" in told["title"]
    assert "server.max_upload_bytes" in told["detail"]
    assert peak_memory(service.main.pid) - before < 50_000_000
    assert all(one["name"] != "big.txt" for one in service.documents())


def test_a_refusal_of_a_large_upload_comes_before_its_bytes(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(
            f"POST {BASE}/documents HTTP/1.1\r\nHost: {host}\r\nContent-Length: {10**12}\r\n\r\n".encode()
        )
        assert line.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_an_answer_streams_sources_then_words_and_citations_then_the_end(service: Service) -> None:
    answer = service.request("POST", f"{BASE}/ask", json={"question": "Where is the apiword kept?"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events(answer.text)]
    assert names[0] == "sources"
    assert names[-1] == "done"
    assert names.count("sources") == names.count("done") == 1
    assert set(names[1:-1]) == {"token", "citation"}
    done = events(answer.text)[-1][1]
    document = done["citations"][0]["document_id"]
    number = done["citations"][0]["page"]
    page = service.get(f"/documents/{document}/pages/{number}")
    start, end = done["citations"][0]["start"], done["citations"][0]["end"]
    assert page["text"][start:end] == done["citations"][0]["quote"]


def test_a_jobs_progress_streams_until_it_is_done(service: Service) -> None:
    job = service.upload("progress.pdf", book("progressword", pages=10))["document"]["job_id"]
    answer = service.request("GET", f"/api/v1/jobs/{job}/events")
    found = events(answer.text)
    assert [name for name, _ in found][:-1] == ["progress"] * (len(found) - 1)
    assert found[-1][0] == "done"
    assert found[-1][1]["job"]["state"] == "succeeded"
    assert found[-1][1]["document"]["state"] == "ready"
    shares = [one["document"]["progress"] for _, one in found]
    assert shares == sorted(shares)
    assert service.get(f"/jobs/{job}")["job"]["state"] == "succeeded"
    assert job in {one["id"] for one in service.get("/jobs")}


def test_the_metrics_have_their_names_and_count(service: Service) -> None:
    service.request("POST", f"{BASE}/ask", json={"question": "Where is the apiword kept?"})
    answer = service.request("GET", "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert set(families) >= {
        "ka_http_requests",
        "ka_http_request_seconds",
        "ka_ingest_stage_seconds",
        "ka_search_stage_seconds",
        "ka_first_token_seconds",
        "ka_answers",
        "ka_answers_without_citation",
        "ka_refusals",
        "ka_dropped_citations",
        "ka_documents",
        "ka_queue_oldest_seconds",
    }
    ready = [one.value for one in families["ka_documents"].samples if one.labels["state"] == "ready"]
    assert ready[0] >= 1
    failed = [one.value for one in families["ka_documents"].samples if one.labels["state"] == "failed"]
    assert failed == [0]
    stages = {one.labels["stage"] for one in families["ka_ingest_stage_seconds"].samples}
    assert stages >= {"parse", "chunk", "embed", "store", "index", "publish"}  # told by the worker


def test_the_metrics_count_requests_by_declared_route(service: Service) -> None:
    service.request("POST", f"{BASE}/ask", json={"question": "Where is the apiword kept?"})
    answer = service.request("GET", "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    routes = {one.labels["route"] for one in families["ka_http_requests"].samples}
    assert "/api/v1/knowledge-bases/{knowledge_base}/ask" in routes
    assert not any(NONE in route for route in routes)


def test_the_description_is_whole(service: Service) -> None:
    description = service.request("GET", "/openapi.json").json()
    assert description["openapi"].startswith("3.")
    names = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation.get("summary"), (method, path)
            assert operation.get("description"), (method, path)
            assert any(code.startswith("2") for code in operation["responses"]), (method, path)
            assert "4XX" in operation["responses"], (method, path)
    assert len(names) == len(set(names))
    schemas = description["components"]["schemas"]
    for reference in references(description):
        assert reference.removeprefix("#/components/schemas/") in schemas
    for name in ("KnowledgeBaseIn", "SearchIn", "AskIn", "DocumentOut", "PassageOut", "Problem", "Ready"):
        properties = schemas[name]["properties"].values()
        assert any("examples" in one or "example" in one for one in properties), name
    for path in ("/ask", "/search", "/documents", "/samples"):
        assert f"/api/v1/knowledge-bases/{{knowledge_base}}{path}" in description["paths"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_content_is_always_a_download(service: Service) -> None:
    page = b"<!doctype html><title>t</title><p>words of a page</p><script>alert(1)</script>"
    document = service.upload("page.html", page)["document"]["id"]
    answer = service.request("GET", f"/api/v1/documents/{document}/content")
    assert answer.content == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    service.settled()
    assert "alert" not in service.get(f"/documents/{document}/pages")[0]["text"]


def test_what_could_be_read_is_not_read_again_and_what_could_not_can_be(service: Service) -> None:
    ready = next(one for one in service.documents() if one["name"] == "shed.txt")["id"]
    problem(service.request("POST", f"/api/v1/documents/{ready}/retry"), 409)
    bad = service.upload("noise.bin", bytes(range(256)) * 20)["document"]["id"]
    service.settled()
    assert service.get(f"/documents/{bad}")["state"] == "unsupported"
    answer = service.request("POST", f"/api/v1/documents/{bad}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert {one["id"]: one["state"] for one in service.settled()}[bad] == "unsupported"
    listed = service.get(f"{BASE.removeprefix('/api/v1')}/documents", params={"state": "unsupported"})
    assert [one["id"] for one in listed] == [bad]
