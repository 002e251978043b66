"""Anthropic, OpenAI and OpenAI-compatible services through pydantic-ai's model layer, and no other part of it.

Stops: a library's own agent loop answering, repairing or running a tool call; tools on the service's side (none are
ever asked for, and a response that used one is a fault); a key reaching a log or an error line; a redirect carrying a
key elsewhere; retries nobody sees. Does not stop: the service from reading all it is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.core.errors import BasculeError
from bascule.runtime.providers import faults
from bascule.runtime.providers.port import Ask, Fault, OnNote, OnText, Reply

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

SILENCE = 120.0
"""Seconds a service may be silent, before its first word or between two."""

LONGEST = 900.0
"""Seconds one response may take."""

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"

_KEYS = re.compile(r"\b(sk|key|pk)-[A-Za-z0-9_*.-]{6,}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Service:
    """Where a model is and how to be let in; never printed, for it holds the key.

    Attributes:
        name: ``provider:model``, shown and stored.
        kind: ``anthropic`` or ``openai``.
        model: the service's own name of the model.
        base_url: where the service is, without a trailing slash.
        key: the key itself, empty for none.
    """

    name: str
    kind: str
    model: str
    base_url: str
    key: str

    def __repr__(self) -> str:
        return f"Service({self.name!r}, {self.base_url!r})"


class LayeredProvider:
    """One model of one service."""

    def __init__(self, service: Service, connect: Callable[[Service], tuple[Model, httpx2.AsyncClient]]) -> None:
        self._service = service
        self._connect = connect
        self._opened: tuple[Model, httpx2.AsyncClient] | None = None

    @property
    def name(self) -> str:
        """``provider:model``."""
        return self._service.name

    @property
    def banner(self) -> str:
        """What it cannot do: nothing that we know of."""
        return ""

    async def ask(self, ask: Ask, on_text: OnText, on_note: OnNote) -> Reply | Fault:
        """Ask the service once, streaming its words."""
        del on_note
        try:
            if self._opened is None:
                # Importing a model SDK costs seconds of CPU; the gateway's loop must not stand still for it.
                self._opened = await asyncio.to_thread(self._connect, self._service)
            async with asyncio.timeout(LONGEST):
                return await self._stream(self._opened[0], ask, on_text)
        except BasculeError:
            # Raised by on_text: our own refusal to show words that could not be recorded.
            raise
        except Exception as error:  # noqa: BLE001 - whatever a service's bytes do to its SDK is that service's fault
            return self._fault(error)

    async def close(self) -> None:
        """Close the connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].aclose()

    async def _stream(self, model: Model, ask: Ask, on_text: OnText) -> Reply | Fault:
        # The model layer costs a second to import, and the command line never asks a model.
        from pydantic_ai.direct import model_request_stream  # noqa: PLC0415 - see above
        from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta  # noqa: PLC0415 - as above
        from pydantic_ai.models import ModelRequestParameters  # noqa: PLC0415 - as above
        from pydantic_ai.settings import ModelSettings  # noqa: PLC0415 - as above

        from bascule.runtime.providers import translate  # noqa: PLC0415 - as above

        parameters = ModelRequestParameters(function_tools=translate.definitions(ask.tools), native_tools=[])
        async with model_request_stream(
            model,
            translate.outgoing(ask, self.name),
            model_request_parameters=parameters,
            model_settings=ModelSettings(max_retries=0, timeout=SILENCE, cache=True),
            instrument=False,
        ) as stream:
            async for event in stream:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    await on_text(event.part.content)
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    await on_text(event.delta.content_delta)
            return translate.incoming(stream.get(), self.name)

    def _fault(self, error: Exception) -> Fault:
        from pydantic_ai import exceptions  # noqa: PLC0415 - imported long since, by the request that failed

        if isinstance(error, exceptions.ModelContextWindowExceededError):
            return faults.of_status(self.name, 413, "", None)
        if isinstance(error, exceptions.ModelHTTPError):
            detail = self._clean(_detail(error.body))
            return faults.of_status(self.name, error.status_code, detail, error.retry_after)
        if isinstance(error, exceptions.ModelConnectionError | TimeoutError | OSError):
            return faults.unreachable(self.name, self._clean(str(error)))
        if isinstance(error, exceptions.ModelAPIError):
            return faults.unreachable(self.name, self._clean(error.message))
        return Fault(
            "model_garbled",
            f"{self.name}: the model service answered something that is no answer ({type(error).__name__})",
            "check the provider's base URL",
            again=True,
        )

    def _clean(self, text: str) -> str:
        if self._service.key:
            text = text.replace(self._service.key, "[key]")
        return _KEYS.sub("[key]", text)


def _detail(body: object) -> str:
    """What the service itself said, out of the usual shapes of error bodies; empty if it is none of them."""
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict):
            inner = inner.get("message", "")
        return inner if isinstance(inner, str) else ""
    return ""
