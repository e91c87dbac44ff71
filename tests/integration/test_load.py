"""The load and its ledger, on a real service: what is right passes, and each kind of harm is found."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.embedded.ports import free_port
from tests.load import api
from tests.load.facts import Fact
from tests.load.generator import Answer, Generator
from tests.load.http import Broken, Client
from tests.load.ledger import Entry
from tests.load.outcome import Outcomes
from tests.load.workload import Workload
from tests.support.running import environment, running, wait_until
from tests.support.tls import Authority


@pytest.fixture(scope="module")
def port(authority: Authority, tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[int]:
    """Port of a service that speaks HTTPS."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    variables = environment(model_dir, {"KA_SERVER__CERT_FILE": str(authority.certificate("service"))})
    serve = ["serve", "--data", str(folder / "data"), "--port", str(port)]
    with running([sys.executable, "-m", "app.cli", *serve], variables, folder / "errors") as service:
        wait_until(lambda: str(port) in service.told(), 60, "a start")
        yield port


@pytest.fixture
async def client(port: int, authority: Authority) -> AsyncIterator[Client]:
    made = Client("127.0.0.1", "localhost", authority.ca_file, port=port)
    yield made
    await made.close()


async def loaded(client: Client, run: str, seconds: float) -> tuple[Workload, Outcomes]:
    workload = Workload(client, run)
    await workload.prepare(3)
    generator = Generator(workload.acts())
    running = asyncio.create_task(generator.run())
    await asyncio.sleep(seconds)
    generator.stop()
    await running
    return workload, Outcomes(generator.outcomes)


async def test_a_service_that_does_its_work_passes(client: Client) -> None:
    workload, outcomes = await loaded(client, "fine", 3)
    assert not outcomes.troubles()
    assert len(outcomes.of("write")) in range(25, 36)
    assert outcomes.gap("write") < 1
    audit = await workload.ledger.audit(client, patience=30)
    assert audit.clean
    assert audit.entries == len(workload.ledger.entries) + len(outcomes.of("write"))
    await workload.ledger.clear(client)
    assert not [base for base in (await client.get(api.ROOT)).json() if "fine" in base["name"]]


async def test_the_audit_finds_what_is_lost_damaged_or_unanswered(client: Client) -> None:
    workload, _ = await loaded(client, "harmed", 2)
    ledger = workload.ledger
    lost, altered, other = ledger.entries[:3]
    await client.request("DELETE", f"/api/v1/documents/{lost.id}")
    await client.request("DELETE", f"{api.ROOT}/{ledger.made[0]}")
    ledger.entries[1] = Entry(Fact("something else"), altered.id, altered.sha256, altered.at)
    ledger.entries.append(Entry(other.fact, "00000000-0000-0000-0000-000000000000", other.sha256, other.at))
    audit = await ledger.audit(client, patience=30)
    assert audit.lost == [lost.fact.name, other.fact.name, ledger.made[0]]
    assert audit.damaged == ["something else.txt"]
    assert audit.unanswered == ["something else.txt"]


async def test_an_upload_that_is_sent_again_because_nobody_answered_is_there_once(client: Client) -> None:
    workload, _ = await loaded(client, "twice", 1)
    fact = Fact("twice-unclear")
    await api.upload(client, workload.ledger.knowledge_base, fact)
    workload.ledger.unclear.append(fact)
    await workload.ledger.settle(client)
    audit = await workload.ledger.audit(client, patience=30)
    assert audit.clean
    assert not workload.ledger.unclear


async def test_requests_are_sent_when_they_are_due_while_others_get_no_answer() -> None:
    sent: list[float] = []

    async def hang(number: int) -> Answer:
        sent.append(time.monotonic())
        await asyncio.sleep(0.5)
        raise Broken("nobody is there")

    generator = Generator({"hang": (hang, 100)})
    running = asyncio.create_task(generator.run())
    await asyncio.sleep(0.3)
    generator.stop()
    await running
    outcomes = Outcomes(generator.outcomes)
    assert len(sent) > 20, "none waited for the one before it"
    assert outcomes.count("hang") == {"failed": len(sent)}
    assert outcomes.share_ok() == 0
