"""Which model an agent talks to: policy first, then the keys in the environment, then the small one on this machine.

Stops: a model that policy names being replaced by another without a word (a missing key is an error, never a reason to
fall back), and a key travelling unencrypted. Keys are named in policy and read from the environment; no policy file
holds one. Does not stop: an operator from naming a service that is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from bascule.core.errors import Malformed, Unavailable
from bascule.core.policy import AgentPolicy, ModelProvider, Policy
from bascule.runtime.providers.layered import ANTHROPIC_URL, OPENAI_URL, LayeredProvider, Service
from bascule.runtime.providers.port import Provider

BUILT_IN: Mapping[str, ModelProvider] = {
    "anthropic": ModelProvider("anthropic", "anthropic", ANTHROPIC_URL, "ANTHROPIC_API_KEY"),
    "openai": ModelProvider("openai", "openai", OPENAI_URL, "OPENAI_API_KEY"),
    "script": ModelProvider("script", "script"),
    "local": ModelProvider("local", "local"),
}
"""Providers that every policy has; one of the same name in policy takes its place."""

DEFAULT_MODELS: Mapping[str, str] = {"anthropic": "claude-sonnet-5-5", "openai": "gpt-5.6-terra", "local": "smollm2"}
"""What is meant when only the provider is known: the middle model of each, as pydantic-ai 2.68 names them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider and one of its models; ``why`` is the key or variable that says so."""

    provider: ModelProvider
    model: str
    why: str

    @property
    def name(self) -> str:
        """``provider:model``."""
        return f"{self.provider.name}:{self.model}"


def choose(policy: Policy, agent: AgentPolicy, environment: Mapping[str, str]) -> Choice:
    """Return what an agent's words go to.

    Args:
        policy: its ``default_model`` and ``providers``.
        agent: its ``model`` wins over the default.
        environment: the gateway's.

    Raises:
        Malformed: ``model_provider_unknown``, ``model_unnamed``.
        Unavailable: ``model_key_missing``.
    """
    for named, why in ((agent.model, f"{agent.where or 'agents'}.model"), (policy.default_model, "models.default")):
        if named:
            return _named(policy, named, why, environment)
    for name in ("anthropic", "openai"):
        provider = policy.providers.get(name, BUILT_IN[name])
        if environment.get(provider.key_env):
            return Choice(provider, DEFAULT_MODELS[name], provider.key_env)
    return Choice(policy.providers.get("local", BUILT_IN["local"]), DEFAULT_MODELS["local"], "no key is set")


def _named(policy: Policy, named: str, why: str, environment: Mapping[str, str]) -> Choice:
    name, _, model = named.partition(":")
    provider = policy.providers.get(name) or BUILT_IN.get(name)
    if provider is None:
        known = ", ".join(sorted({*policy.providers, *BUILT_IN}))
        raise Malformed(
            "model_provider_unknown", f"{why}: no model provider is called {name[:60]!r}", f"known: {known}"
        )
    chosen = model or DEFAULT_MODELS.get(name, "")
    if not chosen:
        raise Malformed("model_unnamed", f"{why}: {named[:60]!r} names no model", "write provider:model")
    if _key_env(provider) and not environment.get(provider.key_env):
        raise Unavailable(
            "model_key_missing",
            f"{why} names {named[:80]}, and the gateway's environment has no {provider.key_env}",
            f"set {provider.key_env}, or name another model",
        )
    return Choice(provider, chosen, why)


def build(choice: Choice, environment: Mapping[str, str], home: Path, cache: Path) -> Provider:
    """Return a provider; nothing is connected, imported or downloaded before it is first asked.

    Args:
        choice: from :func:`choose`.
        environment: where keys are.
        home: where a relative script path starts.
        cache: where the small local model is kept.

    Raises:
        Malformed: ``script_malformed``, ``model_url`` or ``model_kind``.
        Unavailable: ``script_missing``.
    """
    kind = choice.provider.kind
    if kind == "script":
        from bascule.runtime.providers.scripted import load  # noqa: PLC0415 - siblings meet only when chosen

        return load(home / choice.model)
    if kind == "local":
        from bascule.runtime.providers.local import LocalProvider  # noqa: PLC0415 - siblings meet only when chosen

        return LocalProvider(cache)
    if kind == "anthropic":
        from bascule.runtime.providers.anthropic import connect  # noqa: PLC0415 - siblings meet only when chosen
    elif kind == "openai":
        from bascule.runtime.providers.openai import connect  # noqa: PLC0415 - siblings meet only when chosen
    else:
        raise Malformed("model_kind", f"the provider {choice.provider.name!r} is of an unknown kind {kind[:60]!r}")
    return LayeredProvider(_service(choice, environment), connect)


def _service(choice: Choice, environment: Mapping[str, str]) -> Service:
    provider = choice.provider
    key = environment.get(_key_env(provider), "")
    url = (provider.base_url or BUILT_IN[provider.kind].base_url).rstrip("/")
    _check_url(provider.name, url, key)
    return Service(choice.name, provider.kind, choice.model, url, key)


def _key_env(provider: ModelProvider) -> str:
    """The variable that holds a provider's key, empty for none.

    A service at an address of its own never gets the key of the company whose protocol it speaks: it needs a variable
    of its own, or none (a server on this machine).
    """
    usual = BUILT_IN.get(provider.kind)
    elsewhere = provider.base_url and usual and provider.base_url.rstrip("/") != usual.base_url
    return "" if elsewhere and usual and provider.key_env == usual.key_env else provider.key_env


def _check_url(name: str, url: str, key: str) -> None:
    where = f"models.providers.{name}.baseUrl"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Malformed("model_url", f"{where} is no URL") from None
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        raise Malformed("model_url", f"{where} must be http(s)://host[:port][/path] and nothing more")
    if parts.scheme == "http" and key and not _is_here(host):
        raise Malformed("model_url", f"{where} would send a key unencrypted to {host[:80]}", "use https")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
