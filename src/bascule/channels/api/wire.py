"""OpenAI's wire format, as much of it as Bascule speaks: requests in, answers, pieces and errors out.

Stops: anything in a request but the last user message reaching an agent, and anything but the agent's text reaching the
client. Does not stop a client from ignoring an error.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bascule.channels.web.answers import AsciiResponse, ascii_json
from bascule.channels.web.refusals import headers_of, status_of
from bascule.core.errors import BasculeError, Malformed

PREFIX: Final = "bascule:"
"""Before an agent's id where OpenAI has the name of a model."""

MAX_TEXT: Final = 1 << 20
"""Bytes of a message."""


class Loose(BaseModel):
    """A part of a request: unknown keys are passed over, known ones are not converted."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Message(Loose):
    """One message; only the last one whose role is ``user`` is read."""

    role: str = Field(max_length=64)
    content: Any = None


class Completing(Loose):
    """A chat request; whatever else a client sends (sampling, tools, formats) has no effect."""

    model: str = Field(max_length=256)
    messages: list[Message] = Field(min_length=1, max_length=10_000)
    stream: bool | None = None
    n: Literal[1] | None = None


class ModelRow(TypedDict):
    """An agent, as a client lists models."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    """The agents a token may speak to."""

    object: Literal["list"]
    data: list[ModelRow]


class Said(TypedDict):
    """What an agent said."""

    role: Literal["assistant"]
    content: str


class Choice(TypedDict):
    """The one answer there is."""

    index: int
    message: Said
    finish_reason: str


class Completion(TypedDict):
    """An answer that is not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]


class ProblemBody(TypedDict):
    """OpenAI's shape of an error."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(TypedDict):
    """What every refusal below ``/v1`` looks like."""

    error: ProblemBody


_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def problem(error: BasculeError) -> Problem:
    """Return a refusal in OpenAI's shape."""
    status = status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return Problem(error=ProblemBody(message=str(error), type=kind, param=None, code=error.code))


def face(request: Request, error: BasculeError) -> Response:
    """Show a refusal to a client of OpenAI's interface."""
    status = status_of(error)
    return AsciiResponse(problem(error), status, headers_of(request, status))


def last_user_text(asked: Completing) -> str:
    """Return the text of the last user message.

    Raises:
        Malformed: ``message_missing``, ``content_refused`` (an image, a file, or another part that is no text), or
            ``message_too_long``.
    """
    spoken = [message for message in asked.messages if message.role == "user"]
    if not spoken:
        raise Malformed("message_missing", "there is no user message")
    text = _text(spoken[-1].content)
    if not text.strip():
        raise Malformed("message_missing", "the last user message is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Malformed("content_refused", "the last user message is no text") from None
    if size > MAX_TEXT:
        raise Malformed("message_too_long", f"a message may have {MAX_TEXT} bytes")
    return text


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if not parts or len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise Malformed("content_refused", "only text can be said to an agent", "leave out images and files")
    return "\n".join(str(text) for text in texts)


def piece(name: str, created: int, model: str, delta: dict[str, str], finish: str | None) -> str:
    """Return one piece of a streamed answer, in ASCII."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": name, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [choice]}
    return ascii_json(body)


def whole(name: str, created: int, model: str, text: str) -> Completion:
    """Return a whole answer."""
    said = Choice(index=0, message=Said(role="assistant", content=text), finish_reason="stop")
    return Completion(id=name, object="chat.completion", created=created, model=model, choices=[said])
