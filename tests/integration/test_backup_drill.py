"""The drill's own judgement: what is compared, asked and told, without a fleet."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ka_backup import drill, drill_asking, drill_serving, run_drill
from ka_backup.drill_asking import Known
from ka_backup.drill_compare import Document, differences, due
from ka_backup.errors import BackupError, Unusable
from ka_backup.restic import Repository, Snapshot

ONE = Document("1", "default", "a.pdf", "a" * 64, "ready", 3, 9, 100.0)
TWO = replace(ONE, id="2", name="b.pdf", updated_at=200.0)
KNOWN = Known("How far?", "lighthouse.md", ("19 nautical miles",))
ANSWER = {
    "text": "It can be seen\n from 19  nautical miles.",
    "citations": [{"document": "lighthouse.md"}],
    "degraded": [],
}


def stream(answer: object) -> str:
    return f"event: token\ndata: {{}}\n\nevent: done\ndata: {json.dumps(answer)}\n\n"


def test_only_what_is_older_than_the_marker_has_to_be_there() -> None:
    assert due([ONE, TWO], 150.0) == [ONE]


def test_the_same_documents_differ_in_nothing() -> None:
    assert differences([ONE, TWO], [replace(TWO, updated_at=1.0), ONE]) == []


def test_a_document_that_is_missing_and_one_with_fewer_pages_are_named() -> None:
    said = differences([ONE, TWO], [replace(ONE, pages=2)])
    assert said == [
        "1 documents were not restored: default/b.pdf.",
        "1 documents were restored otherwise than they are: default/a.pdf.",
    ]


def test_of_many_some_are_named() -> None:
    many = [replace(ONE, id=str(number), name=f"{number}.pdf") for number in range(9)]
    assert differences(many, [])[0].endswith("default/4.pdf and 4 more.")


def test_a_right_answer_holds_its_words_whatever_the_gaps() -> None:
    assert drill_asking.judge(ANSWER, KNOWN) == ""


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"text": "No."}, "no 19 nautical miles"),
        ({"citations": []}, "cites nothing, not lighthouse.md"),
        ({"degraded": [{"sentence": "Words alone were searched."}]}, "Words alone"),
    ],
)
def test_an_answer_that_is_not_right_says_why(other: dict[str, object], why: str) -> None:
    assert why in drill_asking.judge(ANSWER | other, KNOWN)


def test_questions_are_asked_until_the_index_is_there() -> None:
    answers = [(503, ""), (200, "event: token"), (200, stream(ANSWER | {"degraded": [{"sentence": "x"}]}))]
    left = iter([*answers, (200, stream(ANSWER))])
    assert drill_asking.until_right("known", [KNOWN], lambda *_: next(left), 60, pause=0) == []
    assert next(left, None) is None


def test_after_the_time_what_is_wrong_is_told() -> None:
    assert drill_asking.until_right("known", [KNOWN], lambda *_: (404, ""), 0, pause=0) == [
        "“How far?” is answered by status 404 on the restored data."
    ]


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    drill.room(tmp_path, 1, [])
    with pytest.raises(BackupError, match="too little room"):
        drill.room(tmp_path, 2**60, [])


def test_nothing_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    drill.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_reached_is_no_figure() -> None:
    told = run_drill.figures(drill.Result(problems=["It is away."]), 7.4)
    assert told.keys() == {"ka_drill_timestamp_seconds", "ka_drill_passed"}
    assert list(told["ka_drill_passed"][1]) == [({}, 0)]


def test_a_drill_that_passed_tells_rpo_and_both_rto() -> None:
    result = drill.Result(
        passed=True,
        rpo_seconds=31.0,
        rto_database_seconds=12.0,
        rto_answers_seconds=40.5,
        set="20261123T120000Z",
    )
    told = run_drill.figures(result, 7.4)
    assert list(told["ka_drill_rto_seconds"][1]) == [
        ({"until": "database"}, 12.0),
        ({"until": "answers"}, 40.5),
    ]
    assert "RPO 31 s; RTO 12 s to the database" in run_drill.summary(result)


def test_settings_are_those_of_the_role(tmp_path: Path) -> None:
    path = tmp_path / "drill.json"
    known = [{"question": "How many?", "document": "a.md", "words": [212]}]
    given = {
        "folder": "/d",
        "fleet": "https://b",
        "ca": "/ca",
        "profile": "/p",
        "knowledge_base": "k",
        "known": known,
    }
    path.write_text(json.dumps(given | {"seconds": 9}))
    assert run_drill.load(path).known == (Known("How many?", "a.md", ("212",)),)
    path.write_text(json.dumps(given))
    with pytest.raises(Unusable, match="--tags drill"):
        run_drill.load(path)


@contextmanager
def serving(status: int) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (403, True), (503, False)])
def test_what_refuses_a_stranger_answers_and_what_is_not_ready_does_not(status: int, ready: bool) -> None:
    with serving(status) as port:
        assert drill_serving.answers(port, "/") is ready


def test_ports_are_free_and_different() -> None:
    ports = drill_serving.free_ports(3)
    assert len(set(ports)) == 3
    assert not any(drill_serving.answers(port, "/") for port in ports)


def test_a_part_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "python"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('It has no room.')\n")
    program.chmod(0o755)
    one = drill_serving.Serving(tmp_path, tmp_path, "/socket", tmp_path, "bucket", 10)
    with pytest.raises(BackupError, match=r"Chroma ended with 1: It has no room\."), one:
        pass


def test_the_release_is_told_all_by_files_and_no_secret_by_a_variable(tmp_path: Path) -> None:
    one = drill_serving.Serving(tmp_path, tmp_path, "/run/dr ill", tmp_path, "bucket", 10)
    access, secret = tmp_path / "access.key", tmp_path / "secret.key"
    access.write_text("aaaa-secret")
    secret.write_text("bbbb-secret")
    settings = one._settings("http://c", "http://s", access, secret)
    assert not any("-secret" in value for value in settings.values())
    assert (tmp_path / "database.url").read_text() == "postgresql:///assistant?host=%2Frun%2Fdr%20ill\n"
    assert all(name.startswith("KA_") for name in settings)


def test_the_room_that_documents_take_counts(tmp_path: Path) -> None:
    big = Snapshot("s", None, summary={"total_bytes_processed": 2**60})  # type: ignore[arg-type]
    repository = object.__new__(Repository)
    with pytest.raises(BackupError, match="too little room"):
        drill.room(tmp_path, 1, [(repository, big)])
