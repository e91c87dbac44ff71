"""Chroma killed, emptied or damaged: noticed, rebuilt from the database, and answered without meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.embedded.chroma import EmbeddedChroma
from app.embedded.errors import ServerFailed
from tests.support.documents import SHORT_PASSAGES, book, note
from tests.support.recount import Stack, Watch, drop_behind, held_ids, remove_behind
from tests.support.running import QUICK, Running, Service, running, serving, wait_until
from tests.support.servers import fresh_database, run_now

KILLS = 30
GIVEN_UP = 60  # seconds until a request that Chroma never answers is sent anew
EMBEDDING = "app.embedding.local:LocalEmbedder.embed:before:1"


@dataclass
class Place:
    """Stores with a Chroma server that can be hurt, and a service without workers."""

    stack: Stack
    chroma: EmbeddedChroma
    service: Service
    model_dir: Path

    @contextmanager
    def worker(self, point: str = "-") -> Iterator[Running]:
        """A worker at work; with ``point`` it dies there."""
        folder = self.stack.folder
        variables = self.stack.variables(
            self.model_dir, **QUICK, **SHORT_PASSAGES, KA_CHROMA__CHECK_SECONDS="1"
        )
        argv = [sys.executable, "-m", "tests.support.doomed", point, "worker"]
        argv += ["--data", str(folder / "worker")]
        with running(argv, variables, folder / "worker.errors", stdin=subprocess.PIPE) as one:
            assert one.process.stdin is not None
            one.process.stdin.write("go\n")
            one.process.stdin.flush()
            try:
                yield one
            finally:  # shown with a test that failed
                print(one.told()[-6000:])
                undone = (
                    "SELECT * FROM procrastinate_jobs WHERE status <> 'succeeded' ORDER BY id DESC LIMIT 6"
                )
                for row in [*self.stack.rows(undone), *self.stack.rows("SELECT * FROM generations")]:
                    print(row)
                print("right:", self.right(), "swept:", self.stack.swept(), "Chroma:", self.chroma.running)

    def hurry(self) -> bool:
        """Let waiting jobs be tried now; whether all documents are read, and what is removed is gone."""
        self.stack.rows(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' RETURNING id"
        )
        left = self.stack.value(
            "SELECT count(*) FROM procrastinate_jobs"
            " WHERE status IN ('todo', 'doing') AND task_name = 'ingest'"
        )
        return not left and self.stack.swept()

    def revive(self) -> None:
        """Start Chroma at its old address, also if a client's first question ends it again."""
        for _ in range(20):
            self.chroma._port = int(self.stack.chroma.rpartition(":")[2])
            with contextlib.suppress(ServerFailed):
                run_now(self.chroma.start())
                if self.chroma.url == self.stack.chroma:
                    return
                run_now(self.chroma.stop())
        pytest.fail("Chroma does not come back to its address")

    def right(self) -> bool:
        """Whether an index serves that holds every passage."""
        try:
            return not self.stack.faults() and not self.stack.blind_spots()
        except (AssertionError, httpx.HTTPError):  # Chroma says so itself, or died of being asked
            return False

    def found(self, word: str) -> list[str]:
        """Reasons why the search for a word was less than it could be; fails if it doesn't find the word."""
        answer = self.service.search(word)
        assert any(word in one["text"] for one in answer["passages"]), f"{word} is not found in {answer}"
        return [one["reason"] for one in answer["degraded"]]

    def mended(self, before: str) -> bool:
        """Whether another index serves rightly; starts Chroma again if it died, as the supervisor does."""
        if not self.chroma.running:
            self.revive()
        return self.hurry() and self.serving_collection != before and self.right()

    @property
    def serving_collection(self) -> str:
        return str(self.stack.value("SELECT collection FROM generations ORDER BY id DESC LIMIT 1"))


@pytest.fixture(scope="module")
def place(postgres_dsn: str, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("damage")
    chroma = EmbeddedChroma(folder / "chroma")
    with fresh_database(postgres_dsn) as dsn:
        run_now(chroma.start())
        try:
            stack = Stack(dsn, chroma.url, folder / "objects", folder)
            variables = stack.variables(model_dir)
            with serving(folder / "service", variables, options=["--workers", "0"]) as service:
                yield Place(stack, chroma, service, model_dir)
        finally:
            run_now(chroma.stop())


@pytest.fixture(scope="module")
def filled(place: Place) -> Place:
    """More vectors than Chroma keeps outside of its graph, so that there are files to hurt."""
    place.service.upload("large.pdf", book("largeword", pages=150))
    place.service.upload("small.txt", note("smallword"))
    with place.worker():
        wait_until(place.hurry, 90, "the documents")
    assert place.right()
    return place


def lose_some(place: Place) -> None:
    ids = held_ids(place.chroma.url, place.serving_collection)
    remove_behind(place.chroma.url, place.serving_collection, ids[::3])


def lose_the_collection(place: Place) -> None:
    drop_behind(place.chroma.url, place.serving_collection)


def with_files(change: Callable[[Path], None]) -> Callable[[Place], None]:
    def hurt(place: Place) -> None:
        run_now(place.chroma.stop())
        change(place.chroma.folder / "data")
        place.revive()

    return hurt


def wipe(data: Path) -> None:
    shutil.rmtree(data)


def spoil_graphs(data: Path) -> None:
    graphs = list(data.glob("*/data_level0.bin"))
    assert any(graph.stat().st_size > 100_000 for graph in graphs)
    for graph in graphs:
        graph.write_bytes(os.urandom(graph.stat().st_size))


def cut_graphs(data: Path) -> None:
    for graph in data.glob("*/*.bin"):
        os.truncate(graph, graph.stat().st_size // 2)


def remove_graphs(data: Path) -> None:
    for folder in data.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)


DAMAGE: dict[str, Callable[[Place], None]] = {
    "a third of the vectors is lost": lose_some,
    "the collection is lost": lose_the_collection,
    "the folder is emptied": with_files(wipe),
    "the graph is random bytes": with_files(spoil_graphs),
    "the graph's files are cut": with_files(cut_graphs),
    "the graph's files are gone": with_files(remove_graphs),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_and_mended_without_embedding_anything_again(filled: Place, kind: str) -> None:
    before = filled.serving_collection
    DAMAGE[kind](filled)
    reasons: list[list[str]] = []
    watch = Watch(lambda: reasons.append(filled.found("smallword")))
    watch.start()
    try:
        with filled.worker(EMBEDDING) as worker:
            wait_until(lambda: filled.mended(before), GIVEN_UP + 60, "the rebuild")
            assert worker.process.poll() is None, "it embedded something"
    finally:
        watch.stop()
    assert watch.raised == []
    assert all(set(one) <= {"index_unavailable"} for one in reasons)
    assert filled.found("smallword") == []
    assert filled.found("largeword") == []


def test_while_the_index_is_broken_questions_are_answered_by_words_and_told_so(filled: Place) -> None:
    if not filled.chroma.running:
        filled.revive()
    lose_the_collection(filled)
    assert filled.found("smallword") == ["index_unavailable"]
    assert filled.found("smallword") == ["index_unavailable"]
    run_now(filled.chroma.stop())
    assert filled.found("smallword") == ["index_unavailable"]
    answer = filled.service.request(
        "POST", "/api/v1/knowledge-bases/default/ask", json={"question": "Where is the smallword kept?"}
    )
    assert "event: done" in answer.text
    assert "index_unavailable" in answer.text
    filled.revive()
    with filled.worker(EMBEDDING):
        wait_until(lambda: filled.hurry() and filled.right(), 60, "the rebuild")
    assert filled.found("smallword") == []


def test_thirty_kills_of_chroma_under_writes_leave_an_index_that_finds_everything(place: Place) -> None:
    chance = random.Random(7)
    place.service.upload("steady.txt", note("steadyword"))
    with place.worker() as worker:
        wait_until(place.hurry, 60, "the first document")
        for number in range(KILLS):
            place.service.upload(f"{number}.pdf", book(f"killword{number}x"))
            time.sleep(chance.uniform(0.05, 0.5))
            assert place.chroma.pid is not None
            os.kill(place.chroma.pid, signal.SIGKILL)
            wait_until(lambda: not place.chroma.running, 5)
            assert place.found("steadyword") == ["index_unavailable"]
            place.revive()
            place.hurry()
        wait_until(lambda: place.hurry() and not place.service.search("steadyword")["degraded"], 90)
        wait_until(place.right, 60, f"an index that is right: {place.stack.faults()}")
        assert worker.process.poll() is None
    assert {one["state"] for one in place.service.documents()} == {"ready"}
    for number in range(KILLS):
        assert place.found(f"killword{number}x") == []
