"""The assistant's API as clients of the load and the ledger use it."""

from __future__ import annotations

import json
from typing import Any

from tests.load.facts import Fact
from tests.load.http import Broken, Client, Response

ROOT = "/api/v1/knowledge-bases"
_EDGE = "fd5f1c0e9a8b4e73"


async def upload(client: Client, knowledge_base: str, fact: Fact) -> Response:
    """Send a fact's document; raises Broken."""
    head = (
        f'--{_EDGE}\r\nContent-Disposition: form-data; name="file"; filename="{fact.name}"\r\n'
        "Content-Type: text/plain\r\n\r\n"
    )
    body = head.encode() + fact.content + f"\r\n--{_EDGE}--\r\n".encode()
    path = f"{ROOT}/{knowledge_base}/documents"
    return await client.request("POST", path, body, f"multipart/form-data; boundary={_EDGE}")


async def ask(client: Client, knowledge_base: str, question: str) -> Response:
    """Ask, and read the stream of the answer to its end; raises Broken."""
    return await client.post(f"{ROOT}/{knowledge_base}/ask", {"question": question})


def last_event(response: Response) -> tuple[str, dict[str, Any]]:
    """Name and data of the last server-sent event; raises Broken for none."""
    name, data = "", ""
    for line in response.body.decode("utf-8", "replace").splitlines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
    try:
        return name, json.loads(data)
    except ValueError as error:
        raise Broken("the stream ended in the middle") from error


async def documents(client: Client, knowledge_base: str) -> list[dict[str, Any]]:
    """All documents of a knowledge base; nobody may add any meanwhile. Raises Broken."""
    found: list[dict[str, Any]] = []
    while True:
        page = await client.get(f"{ROOT}/{knowledge_base}/documents?limit=1000&offset={len(found)}")
        if page.status != 200:
            raise Broken(f"the list of documents: {page.status} {page.body[:200]!r}")
        entries = page.json()
        found += entries
        if len(entries) < 1000:
            return found
