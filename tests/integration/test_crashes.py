"""kill -9 of worker and service at every stage: nothing acknowledged is lost, and nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.support.documents import SHORT_PASSAGES, book, note
from tests.support.recount import Stack, own_stack
from tests.support.running import QUICK, Running, Service, running, serving, wait_until

PIPELINE = "app.ingestion.pipeline"
# A worker that never takes up the jobs of others, so that each of the dead ones dies at its own document.
SELFISH = {"KA_WORKER__HEARTBEAT_SECONDS": "0.3", "KA_WORKER__LOST_SECONDS": "600"}

# Where a worker dies (module:method:when:call), and the state in which its document is found then.
STAGES = {
    "the job has been taken": (f"{PIPELINE}:Pipeline.ingest:before:1", "queued"),
    "parsing has begun": (f"{PIPELINE}:Pipeline._begin_parsing:after:1", "parsing"),
    "the bytes have been fetched": ("app.stores.objects.folder:FolderStore.get_to_file:after:1", "parsing"),
    "half the pages are stored": (f"{PIPELINE}:Pipeline._store:after:1", "parsing"),
    "all pages are stored": (f"{PIPELINE}:Pipeline._store:after:2", "parsing"),
    "it is parsed": (f"{PIPELINE}:Pipeline._parse:after:1", "indexing"),
    "it is cut": (f"{PIPELINE}:Pipeline._cut:after:1", "indexing"),
    "the index gets its first collection": ("app.stores.vectors:VectorIndex.create:after:1", "indexing"),
    "the first window is embedded": ("app.embedding.local:LocalEmbedder.embed:after:1", "indexing"),
    "the first window is in PostgreSQL alone": ("app.stores.passages:Passages.add:after:1", "indexing"),
    "the first window is in both": ("app.stores.vectors:VectorIndex.upsert:after:1", "indexing"),
    "the second window is embedded": ("app.embedding.local:LocalEmbedder.embed:after:2", "indexing"),
    "the second window is in PostgreSQL alone": ("app.stores.passages:Passages.add:after:2", "indexing"),
    "all is indexed": (f"{PIPELINE}:publish:before:1", "indexing"),
    "publishing has begun": ("app.ingestion.publish:lock_knowledge_base:after:1", "indexing"),
    "it is made ready, but not committed": ("app.ingestion.publish:_make_ready:after:1", "indexing"),
    "the old version is removed, but not committed": ("app.ingestion.publish:retire:after:1", "indexing"),
    "publishing is all but committed": ("app.ingestion.queue:Queue.sweep:after:2", "indexing"),
    "it is published": (f"{PIPELINE}:publish:after:1", "ready"),
    "the job is all but done": (f"{PIPELINE}:Pipeline.ingest:after:1", "ready"),
}

SWEEPS = [
    "app.stores.objects.folder:FolderStore.delete:before:1",
    "app.stores.objects.folder:FolderStore.delete:after:1",
    "app.stores.vectors:VectorIndex.delete:before:1",
    "app.stores.vectors:VectorIndex.delete:after:1",
]

UPLOADS = {
    "before the object is stored": ("app.stores.objects.folder:FolderStore.put_file:before:1", False),
    "after the object is stored": ("app.stores.objects.folder:FolderStore.put_file:after:1", False),
    "in the transaction": ("app.ingestion.intake:hold_object:after:1", False),
    "when the row is written": ("app.ingestion.queue:Queue.ingest:before:1", False),
    "when row and job are written": ("app.ingestion.intake:Intake._insert:after:1", False),
    "after the commit": ("app.ingestion.intake:Intake.accept:after:1", True),
}


@dataclass
class Place:
    """Stores of this module, a service without workers on them, and how to run workers."""

    stack: Stack
    service: Service
    model_dir: Path
    folder: Path

    @contextmanager
    def worker(self, point: str = "-", pace: dict[str, str] = QUICK) -> Iterator[Running]:
        """A worker that dies at ``point``; it has loaded, and begins with :func:`go`."""
        variables = self.stack.variables(self.model_dir, **pace, **SHORT_PASSAGES)
        argv = [sys.executable, "-m", "tests.support.doomed", point, "worker"]
        argv += ["--data", str(self.folder / "worker")]
        with running(argv, variables, self.folder / "worker.errors", stdin=subprocess.PIPE) as one:
            yield one

    def finish(self, seconds: float = 60) -> None:
        """Let a worker that lives do what is left."""
        with self.worker() as worker:
            go(worker)
            wait_until(
                lambda: self.stack.idle() and self.stack.swept(),
                seconds,
                f"the rest of the jobs: {self._jobs()}",
            )

    def _jobs(self) -> list[dict[str, object]]:
        return self.stack.rows(
            "SELECT id, task_name, status, attempts, lock FROM procrastinate_jobs"
            " WHERE status IN ('todo', 'doing')"
        )

    def words_of(self, base: str, word: str) -> set[str]:
        """Ids of the documents of the passages that hold a word."""
        found = self.service.search(word, base, limit=50)["passages"]
        return {one["document_id"] for one in found if word in one["text"]}


@pytest.fixture(scope="module")
def place(postgres_dsn: str, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("crashes")
    with own_stack(postgres_dsn, folder) as stack:
        variables = stack.variables(model_dir, **QUICK)
        with serving(folder / "service", variables, options=["--workers", "0"]) as service:
            yield Place(stack, service, model_dir, folder)


def go(worker: Running) -> None:
    output, orders = worker.process.stdout, worker.process.stdin
    assert output is not None
    assert orders is not None
    assert output.readline() == "ready\n", worker.told()
    _say(orders)


def _say(orders: IO[str]) -> None:
    orders.write("go\n")
    orders.flush()


def test_a_worker_killed_at_any_stage_loses_nothing_and_doubles_nothing(place: Place) -> None:
    service, bases = place.service, {stage: f"stage-{n}" for n, stage in enumerate(STAGES)}
    first = "the index gets its first collection"
    for stage, base in bases.items():
        service.make(base)
        if stage != first:  # that knowledge base has never had anything
            service.upload("shed.pdf", note(f"first{base[6:]}"), base)
    place.finish()
    old = {base: {one["id"] for one in service.documents(base)} for base in bases.values()}

    killed: dict[str, str] = {}
    with ExitStack() as stack:
        stages = list(STAGES)  # a few workers load ahead, since that takes longer than dying
        ready: dict[str, Running] = {}
        for number, stage in enumerate(stages):
            for ahead in stages[number : number + 3]:
                if ahead not in ready:
                    ready[ahead] = stack.enter_context(place.worker(STAGES[ahead][0], SELFISH))
            base = bases[stage]
            new = service.upload("shed.pdf", book(f"second{base[6:]}"), base)["document"]["id"]
            go(ready[stage])
            assert ready[stage].process.wait(30) == -9, f"{stage}: {ready[stage].told()}"
            killed[base] = new
            state = service.get(f"/documents/{new}")["state"]
            assert state == STAGES[stage][1], stage
            if state != "ready":
                # until the new version is ready the old one answers, and the new one never
                assert place.words_of(base, f"first{base[6:]}") == old[base], stage
                assert place.words_of(base, f"second{base[6:]}") == set(), stage

    place.finish()
    for base, new in killed.items():
        documents = service.documents(base)
        assert [(one["id"], one["state"]) for one in documents] == [(new, "ready")]
        assert place.words_of(base, f"second{base[6:]}") == {new}
        assert place.words_of(base, f"first{base[6:]}") == set()
    assert place.stack.faults() == {}


def test_a_document_whose_workers_die_one_after_the_other_is_finished_by_the_last(place: Place) -> None:
    base = place.service.make("unlucky")
    new = place.service.upload("unlucky.pdf", book("unlucky"), base)["document"]["id"]
    points = [
        f"{PIPELINE}:Pipeline._store:after:1",
        "app.stores.passages:Passages.add:after:1",
        "app.stores.vectors:VectorIndex.upsert:after:1",
        "app.ingestion.publish:_make_ready:after:1",
    ]
    with ExitStack() as stack:
        workers = [stack.enter_context(place.worker(point)) for point in points]
        for worker in workers:
            go(worker)
            assert worker.process.wait(30) == -9, worker.told()
    place.finish()
    assert [(one["id"], one["state"]) for one in place.service.documents(base)] == [(new, "ready")]
    assert place.words_of(base, "unlucky") == {new}
    assert place.stack.faults() == {}


def test_what_was_deleted_stays_deleted_however_often_the_worker_dies_while_removing_it(place: Place) -> None:
    base = place.service.make("removals")
    for number in range(len(SWEEPS)):
        place.service.upload(f"{number}.txt", note(f"removed{number}"), base)
    kept = place.service.upload("kept.txt", note("keptword"), base)["document"]["id"]
    place.finish()
    documents = [one for one in place.service.documents(base) if one["id"] != kept]
    with ExitStack() as stack:
        workers = [stack.enter_context(place.worker(point)) for point in SWEEPS]
        for worker, document in zip(workers, documents, strict=True):
            path = f"/api/v1/documents/{document['id']}"
            place.service.request("DELETE", path).raise_for_status()
            assert place.service.request("GET", path).status_code == 404
            go(worker)
            assert worker.process.wait(30) == -9, worker.told()
    for number in range(len(SWEEPS)):
        assert place.words_of(base, f"removed{number}") == set()
    place.finish()
    assert [one["id"] for one in place.service.documents(base)] == [kept]
    assert place.words_of(base, "keptword") == {kept}
    assert place.stack.faults() == {}


def test_a_service_killed_during_uploads_keeps_what_it_acknowledged_and_shows_nothing_half(
    place: Place,
) -> None:
    base = place.service.make("uploads")
    variables = place.stack.variables(place.model_dir, **QUICK)
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                serving(
                    place.folder / f"upload-{number}",
                    variables,
                    program=["-m", "tests.support.doomed", point],
                    options=["--workers", "0"],
                )
            )
            for number, (point, _) in enumerate(UPLOADS.values())
        ]
        for number, (service, (when, (_, committed))) in enumerate(
            zip(services, UPLOADS.items(), strict=True)
        ):
            before = place.service.documents(base)
            with pytest.raises(httpx.HTTPError):
                service.upload(f"{number}.txt", note(f"upload{number}"), base)
            assert service.main.process.wait(20) == -9, when
            wait_until(lambda: _no_transaction(place.stack), 10, "the end of the dead one's transaction")
            assert len(place.service.documents(base)) == len(before) + committed, when
            # nobody was told, so people try again, and it makes no difference
            again = place.service.upload(f"{number}.txt", note(f"upload{number}"), base)
            assert again["duplicate"] is committed, when
    place.finish()
    documents = place.service.documents(base)
    assert sorted((one["name"], one["state"]) for one in documents) == [
        (f"{number}.txt", "ready") for number in range(len(UPLOADS))
    ]
    for number in range(len(UPLOADS)):
        assert len(place.words_of(base, f"upload{number}")) == 1
    assert place.stack.faults() == {}


def _no_transaction(stack: Stack) -> bool:
    return not stack.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%%'".replace("%%", "%")
    )


def test_bytes_whose_upload_was_never_finished_are_removed_in_time(place: Place) -> None:
    variables = place.stack.variables(place.model_dir, **QUICK)
    base = place.service.make("orphans")
    point = "app.stores.objects.folder:FolderStore.put_file:after:1"
    with (
        serving(
            place.folder / "orphans",
            variables,
            program=["-m", "tests.support.doomed", point],
            options=["--workers", "0"],
        ) as service,
        pytest.raises(httpx.HTTPError),
    ):
        service.upload("orphan.txt", note("orphan"), base)
    place.finish()
    assert place.service.documents(base) == []
    assert place.stack.faults() == {}
