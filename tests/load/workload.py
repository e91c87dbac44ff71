"""What clients do all day: ask, search, look through their documents, upload, follow a job, write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from tests.load import api
from tests.load.facts import Fact
from tests.load.generator import Act, Answer
from tests.load.http import Broken, Client, Response
from tests.load.ledger import Ledger

USUAL: Mapping[str, float] = {"ask": 4, "search": 2, "list": 2, "upload": 1, "follow": 0.5, "write": 10}


class Workload:
    """The acts of one run, on a knowledge base of its own, which the ledger knows.

    ``run`` tells the names of this run from those of others: small letters and digits.
    """

    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self._run = run
        self._known: list[Fact] = []
        self.ledger = Ledger(f"load-{run}")

    def acts(self, rates: Mapping[str, float] = USUAL) -> dict[str, tuple[Act, float]]:
        """By kind, what to do and how many times a second.

        ask, search: a question whose answer is known. list: the newest documents. upload: a new document.
        follow: the events of the newest upload's job until its end. write: the cheapest acknowledged write,
        a new knowledge base. visit: a small page.
        """
        known: dict[str, Act] = {
            "ask": self._ask,
            "search": self._search,
            "list": self._list,
            "upload": self._upload,
            "follow": self._follow,
            "write": self._write,
            "visit": self._visit,
        }
        return {kind: (known[kind], rate) for kind, rate in rates.items() if rate}

    async def prepare(self, count: int = 20, *, patience: float = 120) -> None:
        """Upload the documents that are asked for, and return when they are ready.

        Raises:
            Broken: the assistant did not take them, or they weren't ready within ``patience`` seconds.
        """
        made = await self._client.post(api.ROOT, {"name": self.ledger.knowledge_base})
        if made.status != 201:
            raise Broken(f"the knowledge base was not made: {made.status} {made.body[:200]!r}")
        for number in range(count):
            fact = Fact(f"{self._run}-known-{number}")
            answer = await self._send(fact)
            if answer.verdict != "ok":
                raise Broken(f"{fact.name} was not taken: {answer.status} {answer.detail}")
            self._known.append(fact)
        deadline = time.monotonic() + patience
        while await self._unready():
            if time.monotonic() > deadline:
                raise Broken(f"{await self._unready()} documents are not ready after {patience:.0f} s")
            await asyncio.sleep(0.2)

    async def lacks(self) -> str:
        """What keeps the vector index out of searches, empty if it takes part. Raises Broken."""
        fact = self._known[0]
        path = f"{api.ROOT}/{self.ledger.knowledge_base}/search"
        response = await self._client.post(path, {"question": fact.question, "limit": 1})
        if response.status != 200:
            return _bad(response).detail
        found = response.json()
        if found["degraded"]:
            return str(found["degraded"][0]["sentence"])
        by_meaning = any(passage["dense_rank"] for passage in found["passages"])
        return "" if by_meaning else "the vector index found nothing"

    async def _unready(self) -> int:
        there = await api.documents(self._client, self.ledger.knowledge_base)
        return sum(document["state"] != "ready" for document in there)

    async def _ask(self, number: int) -> Answer:
        fact = self._known[number % len(self._known)]
        response = await api.ask(self._client, self.ledger.knowledge_base, fact.question)
        if response.status != 200:
            return _bad(response)
        name, data = api.last_event(response)
        if name != "done":
            honest = data.get("status") in {429, 503}
            return Answer(
                int(data.get("status", 500)),
                "refused" if honest else "failed",
                str(data.get("title", f"ended with {name}")),
            )
        degraded = bool(data["degraded"])
        if fact.answered_by(data["text"], data["citations"]):
            return Answer(200, "ok", degraded=degraded)
        return Answer(200, "wrong", f"{data['kind']}: {data['text'][:100]}", degraded)

    async def _search(self, number: int) -> Answer:
        fact = self._known[number % len(self._known)]
        path = f"{api.ROOT}/{self.ledger.knowledge_base}/search"
        response = await self._client.post(path, {"question": fact.question, "limit": 3})
        if response.status != 200:
            return _bad(response)
        found = response.json()
        first = found["passages"][0]["document"] if found["passages"] else "nothing"
        right = first == fact.name
        return Answer(200, "ok" if right else "wrong", "" if right else first, bool(found["degraded"]))

    async def _list(self, number: int) -> Answer:
        path = f"{api.ROOT}/{self.ledger.knowledge_base}/documents?limit=10"
        response = await self._client.get(path)
        if response.status != 200:
            return _bad(response)
        whole = len(response.json()) == min(10, len(self.ledger.entries))
        return Answer(200, "ok" if whole else "wrong", "" if whole else "documents are missing")

    async def _upload(self, number: int) -> Answer:
        return await self._send(Fact(f"{self._run}-{number}"))

    async def _send(self, fact: Fact) -> Answer:
        """One attempt, entered into the ledger whatever comes of it."""
        try:
            response = await api.upload(self._client, self.ledger.knowledge_base, fact)
            if response.status in {200, 202}:
                self.ledger.acknowledged(fact, response.json()["document"])
                return Answer(response.status, "ok")
        except Broken:
            self.ledger.unclear.append(fact)
            raise
        answer = _bad(response)
        if answer.verdict != "refused":
            self.ledger.unclear.append(fact)
        return answer

    async def _follow(self, number: int) -> Answer:
        path = f"/api/v1/documents/{self.ledger.entries[-1].id}"
        document = await self._client.get(path)
        if document.status != 200:
            return _bad(document)
        response = await self._client.get(f"/api/v1/jobs/{document.json()['job_id']}/events")
        if response.status != 200:
            return _bad(response)
        name, data = api.last_event(response)
        right = name == "done" and data["document"]["state"] == "ready"
        return Answer(200, "ok" if right else "failed", "" if right else f"ended with {name}")

    async def _write(self, number: int) -> Answer:
        name = f"probe-{self._run}-{number}"
        response = await self._client.post(api.ROOT, {"name": name})
        if response.status != 201:
            return _bad(response)
        self.ledger.wrote(name)
        return Answer(201, "ok")

    async def _visit(self, _number: int) -> Answer:
        got = await self._client.get("/version")
        return Answer(got.status, "ok" if got.status == 200 else "failed", str(got.body[:80]))


def _bad(response: Response) -> Answer:
    """The verdict on an answer that is none."""
    honest = response.status in {429, 503} and "retry-after" in response.headers
    try:
        detail = str(response.json().get("title", ""))
    except (Broken, AttributeError):
        detail = response.body[:80].decode("utf-8", "replace")
    return Answer(response.status, "refused" if honest else "failed", detail)
