"""Talking to the service over HTTP, with its problems turned back into sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.errors import AssistantError
from app.settings import load
from app.tls import trusting


class NoService(AssistantError):
    """No assistant answers at {url}."""

    status = 503
    advice = "Start one with 'ka serve', or name its address with server.url (KA_SERVER__URL)."


class Refused(AssistantError):
    """{title}"""

    advice = "{detail}"


class Client:
    """The API of one service."""

    def __init__(self, url: str, *, timeout_seconds: float = 300, ca_file: Path | None = None) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout_seconds, connect=5),
            verify=trusting(ca_file) if ca_file else True,
        )

    def get(self, path: str, **params: Any) -> Any:
        """What a path holds, as data."""
        return self._send("GET", path, params=params)

    def post(self, path: str, data: Any = None) -> Any:
        """Send data, get data."""
        return self._send("POST", path, json=data)

    def upload(self, path: str, name: str, file: Path) -> Any:
        """Send a file as it is read."""
        with file.open("rb") as content:
            return self._send("POST", path, files={"file": (name, content)})

    def events(self, path: str, data: Any) -> Iterator[tuple[str, Any]]:
        """Send data, get server-sent events as (name, data); an ``error`` event is raised."""
        with self._faults(), self._http.stream("POST", path, json=data) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            name = "message"
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    name = line.removeprefix("event:").strip()
                elif line.startswith("data:"):
                    value = json.loads(line.removeprefix("data:"))
                    if name == "error":
                        raise _refused(value)
                    yield name, value

    def _send(self, method: str, path: str, **options: Any) -> Any:
        with self._faults():
            answer = self._http.request(method, path, **options)
        if answer.is_error:
            raise _refusal(answer)
        return answer.json() if answer.content else None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise NoService(url=self.url) from None
        except httpx.HTTPError as error:
            raise Refused(
                title=f"The assistant at {self.url} broke off: {str(error) or type(error).__name__}.",
                detail="Try again.",
            ) from None


def connect(config: Path | None, url: str | None = None) -> Client:
    """A client of the service that the settings name, or of the one at ``url``."""
    settings = load(config, options={"server.url": url})
    return Client(settings.url, ca_file=settings.server.ca_file)


def _refusal(answer: httpx.Response) -> Refused:
    try:
        return _refused(answer.json())
    except (ValueError, KeyError, TypeError):
        return Refused(title=f"The service answered {answer.status_code}.", detail="Is it an assistant?")


def _refused(problem: dict[str, Any]) -> Refused:
    """A problem, with the id by which the service's logs know the request."""
    request = problem.get("request")
    quoted = f"(Request {request})" if request else ""
    return Refused(title=problem["title"], detail=f"{problem.get('detail', '')} {quoted}".strip())
