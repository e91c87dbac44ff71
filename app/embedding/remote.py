"""Any server that speaks the OpenAI embeddings protocol (`POST {base_url}/embeddings`).

Protocol: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from app.embedding.approximate import approximate_spans
from app.embedding.base import Span, Vectors
from app.embedding.tokens import ModelTokenizer
from app.errors import AssistantError, Unavailable

if TYPE_CHECKING:
    from openai import APIStatusError
    from openai.types import CreateEmbeddingResponse

_EMPTY = "."  # servers refuse an empty text


class EmbeddingRefused(AssistantError):
    """The embedding server at {server} refused the request ({why})."""

    status = 502
    advice = "Check the server's address, the model's name and the key in the settings."


class WrongVectors(AssistantError):
    """The embedding server at {server} sent {found} where {expected} was expected."""

    status = 502
    advice = "Check the model's name and dimension in the settings; a change of model needs a reindex."


class RemoteEmbedder:
    """An embedding model behind a server, called in batches, several at a time, with retries.

    Refused and failed calls (429, 5xx, lost connections) are tried again with growing pauses, or when the
    server says.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        dimension: int | None = None,
        *,
        api_key: str | None = None,
        max_tokens: int = 256,
        tokenizer: Path | None = None,
        batch_size: int = 64,
        parallel: int = 4,
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            base_url: address up to and with `/v1`.
            model: the model's name on that server; it is also the name of the vector space.
            dimension: length of its vectors; when left out, the first answer tells it (0 until then).
            api_key: sent as a bearer token.
            max_tokens: texts are cut off at as many tokens before they are sent.
            tokenizer: the model's `tokenizer.json`; without one, tokens are guessed, rather too many.
            batch_size: texts in one request.
            parallel: requests at once.
            timeout: seconds for one request.
            retries: how often a request is tried again.

        Raises:
            OSError, ValueError: the tokenizer file is missing or damaged.
        """
        from openai import AsyncOpenAI  # takes a second to import, and only who has a server needs it

        self.name = model
        self.dimension = dimension or 0
        self.max_tokens = max_tokens
        self._server = base_url
        self._batch_size = batch_size
        self._free = asyncio.Semaphore(parallel)
        self._spans = ModelTokenizer(tokenizer, max_tokens).spans if tokenizer else approximate_spans
        # without a key of its own the client would send OPENAI_API_KEY, which belongs to another server
        self._client = AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=timeout, max_retries=retries
        )

    async def connect(self) -> Self:
        """Ask the server for one vector, which finds the dimension or checks the one given.

        Raises:
            Unavailable: the server does not answer.
            EmbeddingRefused: it does not know the model or refuses the key.
            WrongVectors: its vectors have another dimension.
        """
        await self.embed(["What is this?"])
        return self

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 per text, in the order given: shape (len(texts), dimension).

        Raises:
            Unavailable, EmbeddingRefused, WrongVectors: see `connect`.
        """
        starts = range(0, len(texts), self._batch_size)
        tasks = [
            asyncio.ensure_future(self._batch(texts[start : start + self._batch_size])) for start in starts
        ]
        try:
            parts = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return np.concatenate([np.zeros((0, self.dimension), np.float32), *parts])

    def token_spans(self, text: str) -> list[Span]:
        """Return start and end, in characters, of each token of the text, or of each supposed token."""
        return self._spans(text)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        async with self._free:
            answer = await self._request([self._cut(text) for text in texts])
        rows = self._rows(answer)
        if [index for index, _ in rows] != list(range(len(texts))):
            raise WrongVectors(server=self._server, found=f"{len(rows)} vectors", expected=f"{len(texts)}")
        lengths = {len(vector) for _, vector in rows}
        self.dimension = self.dimension or min(lengths)
        if lengths != {self.dimension}:
            raise WrongVectors(
                server=self._server,
                found=f"vectors of dimension {max(lengths - {self.dimension})}",
                expected=f"dimension {self.dimension}",
            )
        return self._normalised(np.array([vector for _, vector in rows], np.float32))

    def _rows(self, answer: CreateEmbeddingResponse) -> list[tuple[int, list[float]]]:
        """Position and vector; the client checks nothing of what a server sends."""
        try:
            return sorted((int(row.index), [float(x) for x in row.embedding]) for row in answer.data)
        except (AttributeError, TypeError, ValueError) as error:
            raise WrongVectors(server=self._server, found="another answer", expected="vectors") from error

    def _normalised(self, vectors: Vectors) -> Vectors:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise WrongVectors(server=self._server, found="a vector without direction", expected="a vector")
        return np.asarray(vectors / norms, np.float32)

    def _cut(self, text: str) -> str:
        if len(text) > self.max_tokens:  # else it cannot have more tokens than that
            spans = self._spans(text[: self.max_tokens * 100])
            if len(spans) > self.max_tokens - 2:  # two special tokens
                text = text[: spans[self.max_tokens - 3][1]]
        return text if text.strip() else _EMPTY

    async def _request(self, texts: list[str]) -> CreateEmbeddingResponse:
        from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

        try:
            return await self._client.embeddings.create(model=self.name, input=texts, encoding_format="float")
        except APITimeoutError as error:
            raise self._away("it did not answer in time") from error
        except APIConnectionError as error:
            raise self._away("no connection") from error
        except APIStatusError as error:
            raise self._refused(error) from error
        except (APIError, ValueError, TypeError) as error:  # an answer that is not what the protocol says
            raise WrongVectors(server=self._server, found="another answer", expected="vectors") from error

    def _away(self, why: str) -> Unavailable:
        return Unavailable(what=f"The embedding server at {self._server}", why=why)

    def _refused(self, error: APIStatusError) -> AssistantError:
        code = error.status_code
        if code == 429:
            return self._away("it still has too many requests after several tries")
        if code >= 500:
            return self._away(f"it answered {code} after several tries")
        reasons = {401: "401, the key", 403: "403, the key", 404: "404, no such model or address"}
        return EmbeddingRefused(server=self._server, why=reasons.get(code, str(code)))
