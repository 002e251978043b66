"""What every model provider is to the turn loop.

Stops: a provider's library deciding anything: it turns a conversation into one response or one fault, both values.
Does not stop: the service behind it from reading what it is sent; the model is a reader.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bascule.core.ids import SessionKey
from bascule.core.toolspec import ToolSpec
from bascule.runtime.messages import Message, ToolRequest

OnText: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with each piece of text, in order, before the response is complete."""

OnNote: TypeAlias = Callable[[str], None]
"""Called with one line for the operator."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a model.

    Attributes:
        session: whose conversation.
        system: the agent's prompts as one text.
        messages: the conversation, oldest first; every call in it is answered.
        tools: what is offered; denied tools are not in it.
        number: how many responses and faults this provider has given in this session before.
    """

    session: SessionKey
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A response. ``cut`` means the service's length limit ended it; ``layer`` as in ``ModelSaid``."""

    text: str
    calls: tuple[ToolRequest, ...] = ()
    layer: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no response: stable code, one line, one remedy.

    ``again`` says whether asking once more can help; ``wait`` is how many seconds the service wants between, None if
    it did not say.
    """

    code: str
    message: str
    remedy: str = ""
    again: bool = False
    wait: float | None = None


class Provider(Protocol):
    """A model that can be asked."""

    @property
    def name(self) -> str:
        """``provider:model``, shown to the operator and stored with each response."""

    @property
    def banner(self) -> str:
        """One line on what this model cannot do, empty if there is nothing to say."""

    async def ask(self, ask: Ask, on_text: OnText, on_note: OnNote) -> Reply | Fault:
        """Return one response or one fault; never raises for what the service does."""

    async def close(self) -> None:
        """Let go of connections and children; safe to call twice."""
