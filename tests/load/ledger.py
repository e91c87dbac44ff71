"""Every write that was acknowledged, and the proof that each is there: once, whole, ready, and answering."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.load import api
from tests.load.facts import Fact
from tests.load.http import Broken, Client

_AT_ONCE = 8
_TRIES = 60  # a second apart, where too many requests were made in too short a time


@dataclass(frozen=True, slots=True)
class Entry:
    """An acknowledged upload; ``at`` is the moment of the acknowledgement (``time.monotonic()``)."""

    fact: Fact
    id: str
    sha256: str
    at: float


@dataclass(slots=True)
class Audit:
    """What the audit found: names of what was acknowledged and is not as it should be."""

    entries: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unready: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether all is there."""
        return not (self.lost or self.doubled or self.damaged or self.unready or self.unanswered)


class Ledger:
    """Documents in one knowledge base, and knowledge bases that were made.

    ``unclear`` are uploads without an answer: they may be there or not, but never twice. ``moments``: when
    each was acknowledged, by name (``time.monotonic()``).
    """

    def __init__(self, knowledge_base: str) -> None:
        self.knowledge_base = knowledge_base
        self.entries: list[Entry] = []
        self.unclear: list[Fact] = []
        self.made: list[str] = []
        self.moments: dict[str, float] = {}

    async def settle(self, client: Client) -> None:
        """Send again what is unclear, as people do; then it has to be there, once. Raises Broken."""
        for fact in list(self.unclear):
            response = await api.upload(client, self.knowledge_base, fact)
            if response.status not in {200, 202}:
                raise Broken(f"{fact.name} sent again: {response.status} {response.body[:200]!r}")
            self.acknowledged(fact, response.json()["document"])
            self.unclear.remove(fact)

    def acknowledged(self, fact: Fact, document: dict[str, Any]) -> None:
        """Enter what the API said about an upload that it took."""
        entry = Entry(fact, document["id"], document["sha256"], time.monotonic())
        self.entries.append(entry)
        self.moments.setdefault(fact.name, entry.at)

    def wrote(self, name: str) -> None:
        """Enter a knowledge base that was made."""
        self.made.append(name)
        self.moments[name] = time.monotonic()

    async def audit(self, client: Client, *, patience: float) -> Audit:
        """Look for everything, through the API.

        Args:
            client: leads to the assistant.
            patience: seconds until every document has to be ready.

        Raises:
            Broken: the API did not answer.
        """
        audit = Audit(len(self.entries) + len(self.made))
        there = await self._when_ready(client, patience)
        names = Counter(str(document["name"]) for document in there.values())
        audit.doubled += [name for name, times in names.items() if times > 1]
        found = [entry for entry in self.entries if entry.id in there]
        audit.lost += [entry.fact.name for entry in self.entries if entry.id not in there]
        audit.unready += [e.fact.name for e in found if there[e.id]["state"] != "ready"]
        ready = [entry for entry in found if there[entry.id]["state"] == "ready"]
        audit.damaged += await _failing(found, lambda entry: self._whole(client, entry))
        audit.unanswered += await _failing(ready, lambda entry: self._answers(client, entry))
        response = await client.get(api.ROOT)
        bases = Counter(base["name"] for base in response.json())
        audit.lost += [name for name in self.made if not bases[name]]
        return audit

    async def close(self, client: Client, *, patience: float) -> Audit:
        """Settle what is unclear, look for everything, and remove it; see :meth:`audit`."""
        await self.settle(client)
        audit = await self.audit(client, patience=patience)
        await self.clear(client)
        return audit

    async def clear(self, client: Client) -> None:
        """Remove everything from the assistant again. Raises Broken."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def remove(name: str) -> None:
            async with turn:
                for _ in range(_TRIES):
                    response = await client.request("DELETE", f"{api.ROOT}/{name}")
                    if response.status != 429:
                        return
                    await asyncio.sleep(1)

        await asyncio.gather(*(remove(name) for name in [*self.made, self.knowledge_base]))

    async def _when_ready(self, client: Client, patience: float) -> dict[str, dict[str, Any]]:
        """Documents by id, once all that are acknowledged are ready, or patience is at its end."""
        deadline = time.monotonic() + patience
        while True:
            there = {str(one["id"]): one for one in await api.documents(client, self.knowledge_base)}
            waiting = any(there[e.id]["state"] != "ready" for e in self.entries if e.id in there)
            if not waiting or time.monotonic() > deadline:
                return there
            await asyncio.sleep(0.5)

    async def _whole(self, client: Client, entry: Entry) -> bool:
        response = await client.get(f"/api/v1/documents/{entry.id}/content")
        return (
            response.status == 200
            and response.body == entry.fact.content
            and hashlib.sha256(response.body).hexdigest() == entry.sha256
        )

    async def _answers(self, client: Client, entry: Entry) -> bool:
        response = await api.ask(client, self.knowledge_base, entry.fact.question)
        if response.status != 200:
            return False
        name, data = api.last_event(response)
        return name == "done" and entry.fact.answered_by(data["text"], data["citations"])


async def _failing(entries: Iterable[Entry], test: Callable[[Entry], Awaitable[bool]]) -> list[str]:
    """Names of those that do not pass, a few tested at a time."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def fails(entry: Entry) -> bool:
        async with turn:
            return not await test(entry)

    everything = list(entries)
    results = await asyncio.gather(*(fails(entry) for entry in everything))
    return [entry.fact.name for entry, failed in zip(everything, results, strict=True) if failed]
