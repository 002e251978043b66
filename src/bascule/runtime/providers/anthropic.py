"""Anthropic's models.

Stops: the SDK taking a key, an address or a proxy's word for it from anywhere but the policy's choice. Does not stop:
the service from reading all it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.runtime.providers.http import client
from bascule.runtime.providers.layered import Service

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model


def connect(service: Service) -> tuple[Model, httpx2.AsyncClient]:
    """Return the model and the connections it uses."""
    # Each SDK costs more than a second to import, and only one of them is ever needed.
    from anthropic import AsyncAnthropic  # noqa: PLC0415 - see above
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415 - as above
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415 - as above

    http = client()
    sdk = AsyncAnthropic(api_key=service.key, base_url=service.base_url, http_client=http, max_retries=0)
    return AnthropicModel(service.model, provider=AnthropicProvider(anthropic_client=sdk)), http
