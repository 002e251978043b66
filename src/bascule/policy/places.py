"""Where things lie and what this version carries out: all that compiling a policy needs besides the two files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONFIG_NAME = "bascule.json5"
APPROVALS_NAME = "exec-approvals.json"

CARRIED = frozenset(
    {
        "$schema", "agents", "tools", "operators", "models", "approvals", "quota", "examples", "security", "session",
        "channels", "bindings", "gateway", "peers", "egress",
    }
)  # fmt: skip
"""Sections a compiled policy carries by itself; others need a part of the program that says it reads them."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where one home lies on this machine.

    Attributes:
        home: absolute path of the Bascule home, links resolved.
        config: absolute path of the directory with the policy files and prompts, empty if that is the home.
        user_home: what ``~`` means in patterns; empty if nothing.
        links: directories that are symbolic links, with where they lead (``{"/bin": "/usr/bin"}``).
        protected: absolute paths no agent may name besides the home: code, keys.
        config_name: what to call the configuration in messages.
        approvals_name: what to call the approvals file in messages.
        carried: further sections that this version acts on; a section nobody acts on is reported.
        built_tools: tools this version carries out; empty to say nothing about it.
    """

    home: str
    user_home: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    config_name: str = CONFIG_NAME
    approvals_name: str = APPROVALS_NAME
    carried: frozenset[str] = frozenset()
    built_tools: frozenset[str] = frozenset()
    config: str = ""

    def agent_root(self, agent: str) -> str:
        """Return the agent's directory."""
        return f"{self.home}/agents/{agent}"

    def prompt_root(self, agent: str) -> str:
        """Return the directory of the agent's prompt files."""
        return f"{self.config if self.config else self.home}/prompts/{agent}"
