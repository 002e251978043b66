"""OpenAI's models, and every service that speaks its chat completions protocol.

Stops: the SDK taking a key or an address from anywhere but the policy's choice. Does not stop: the service from
reading all it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.runtime.providers.http import client
from bascule.runtime.providers.layered import OPENAI_URL, Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model


def connect(service: Service) -> tuple[Model, httpx2.AsyncClient]:
    """Return the model and the connections it uses."""
    # Each SDK costs more than a second to import, and only one of them is ever needed.
    from openai import AsyncOpenAI  # noqa: PLC0415 - see above
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - as above
    from pydantic_ai.profiles.openai import OpenAIModelProfile  # noqa: PLC0415 - as above
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - as above
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider  # noqa: PLC0415 - as above

    http = client()
    # Services without keys still want the header; the SDK refuses an empty one and would look for its own.
    sdk = AsyncOpenAI(
        api_key=service.key or "none",
        base_url=service.base_url,
        organization="",
        project="",
        http_client=http,
        max_retries=0,
    )
    # A stream that just ends was cut, by whatever stands between, and is no answer.
    whole = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    if service.base_url == OPENAI_URL:
        return OpenAIChatModel(service.model, provider=OpenAIProvider(openai_client=sdk), profile=whole), http
    own = OpenAICompatibleProvider(service.name.split(":", 1)[0], openai_client=sdk)
    return OpenAIChatModel(service.model, provider=own, profile=whole), http
