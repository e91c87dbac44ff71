"""A language model behind any server that speaks OpenAI's chat completions protocol.

Protocol: https://platform.openai.com/docs/api-reference/chat/create, with ``stream``; spoken by vLLM,
llama.cpp, Ollama, LM Studio, LiteLLM and the commercial services.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypedDict, cast

from app.answering.thoughts import ThoughtFilter
from app.errors import AssistantError

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

_LOG = logging.getLogger(__name__)


class Message(TypedDict):
    """One message of the conversation that is sent."""

    role: str
    content: str


class LanguageModelFailed(AssistantError):
    """The language model did not answer: {why}."""

    status = 503
    advice = "Look at the address, name and key of the model in the settings, and at its server."


class AnswerCut(AssistantError):
    """The language model's answer reached its longest length and was cut."""

    advice = "Raise llm.max_tokens."


class ChatModel(Protocol):
    """What words the answers."""

    def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Give the answer's text piece by piece; closing the generator ends the request.

        Raises:
            LanguageModelFailed: no answer, or not the whole of it.
            AnswerCut: after the last piece, when there would have been more.
        """


class OpenAIChat:
    """Asks an OpenAI-compatible server."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        first_token_seconds: float = 20,
        timeout_seconds: float = 120,
        max_tokens: int = 800,
    ) -> None:
        """Keep the parameters; nothing is loaded or opened before the first question.

        Args:
            base_url: such as ``http://10.0.0.7:8000/v1``.
            model: the server's name for it.
            api_key: sent as a bearer token; None for servers that need none.
            first_token_seconds: longest wait for the first piece of text.
            timeout_seconds: longest time of a whole answer.
            max_tokens: longest answer.
        """
        self._base_url = base_url
        self._model = model
        self._api_key = api_key
        self._first_token_seconds = first_token_seconds
        self._timeout_seconds = timeout_seconds
        self._client: AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()
        # Servers differ in what they take; what one refuses is left out from then on.
        self._options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0}

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """See :class:`ChatModel`."""
        # Loading is a second's work the first time, which must not hold up other requests.
        openai = await asyncio.to_thread(importlib.import_module, "openai")
        wait = self._first_token_seconds
        finish: str | None = None
        thoughts = ThoughtFilter()
        try:
            client = await self._connected()
            started = asyncio.get_running_loop().time()
            async with asyncio.timeout_at(started + wait):
                answer = await self._open(client, messages)
            async with answer:
                chunks = aiter(answer)
                while True:
                    async with asyncio.timeout_at(started + wait):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    text, finish = _read(chunk, finish)
                    text = thoughts.feed(text)
                    if text:
                        wait = self._timeout_seconds
                        yield text
            if rest := thoughts.end():
                yield rest
        except TimeoutError as error:
            raise LanguageModelFailed(why=f"it took longer than {wait:g} s") from error
        except (openai.OpenAIError, OSError, ValueError, TypeError, AttributeError) as error:
            _fail(error)  # the latter are what the client makes of answers that are no answers
        _judge(finish)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _open(
        self, client: AsyncOpenAI, messages: Sequence[Message]
    ) -> AsyncStream[ChatCompletionChunk]:
        import openai

        for _ in range(3):
            try:
                answer = await client.chat.completions.create(
                    model=self._model,
                    messages=cast("list[ChatCompletionMessageParam]", list(messages)),
                    stream=True,
                    **self._options,
                )
                return cast("AsyncStream[ChatCompletionChunk]", answer)
            except openai.BadRequestError as error:
                if not self._adapt(error.message):
                    raise
        raise LanguageModelFailed(why="it refuses every form of the request")

    def _adapt(self, complaint: str) -> bool:
        """Change the request by what the server complains about; False if that is something else."""
        if "max_tokens" in complaint and "max_tokens" in self._options:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        if "temperature" in complaint and "temperature" in self._options:
            del self._options["temperature"]
            return True
        return False

    async def _connected(self) -> AsyncOpenAI:
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return self._client

    def _connect(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        # No retries: an extract now is worth more than an answer after a minute.
        return AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._api_key or "none",
            max_retries=0,
            timeout=self._timeout_seconds,
        )


def _read(chunk: ChatCompletionChunk, finish: str | None) -> tuple[str, str | None]:
    """The text in a piece of the stream, and why the answer ended if it has."""
    if not chunk.choices:
        return "", finish
    choice = chunk.choices[0]
    return choice.delta.content or "", choice.finish_reason or finish


def _judge(finish: str | None) -> None:
    if finish == "length":
        raise AnswerCut
    if finish is None:
        raise LanguageModelFailed(why="its answer broke off")
    if finish == "content_filter":
        raise LanguageModelFailed(why="its server withheld the answer")


def _fail(error: Exception) -> NoReturn:
    import openai

    if isinstance(error, openai.APIStatusError):
        why = f"its server says {error.status_code}"
    elif isinstance(error, openai.APITimeoutError):
        why = "it took too long"
    elif isinstance(error, openai.APIConnectionError):
        why = "its server cannot be reached, or broke off"
    else:
        why = "its server sent what is no answer"
    # what it says of itself may quote the question
    _LOG.warning("language model: %s (%s)", why, type(error).__name__)
    raise LanguageModelFailed(why=why) from error
