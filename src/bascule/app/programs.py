"""What a program word means to an agent: on this machine, or in the image its containers are made from.

Stops: a program of the machine being judged and another one of the image being run under its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from bascule.core.errors import BasculeError
from bascule.core.ids import AgentId
from bascule.core.paths import BOX_ROOT, is_within, normal
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import AgentPolicy, Backend
from bascule.host.programs import SEARCH, HostPrograms, classify

Look = Callable[[AgentId, Sequence[str]], Awaitable[tuple[str, str, bytes]]]
"""Returns real path, SHA-256 and first bytes of the first executable file of some paths in an agent's image."""


class BoxPrograms:
    """Implements :class:`bascule.core.ports.Programs`."""

    def __init__(self, look: Look) -> None:
        """Use ``look`` for agents whose boxes are containers."""
        self._host = HostPrograms()
        self._look = look

    async def resolve(self, word: str, policy: AgentPolicy) -> Program:
        """Resolve a bare name, an absolute path, or a path in the agent's ``tools/``; hash the file. Never raises."""
        if policy.sandbox.backend is not Backend.DOCKER or _is_own(word, policy.layout.agent_root):
            return await self._host.resolve(word, policy)
        missing = Program(word, "", ProgramKind.MISSING)
        if not word or "\0" in word or len(word) > 4096 or word in {".", ".."}:
            return missing
        candidates = [normal(word)] if "/" in word else [f"{folder}/{word}" for folder in SEARCH]
        try:
            real, digest, head = await self._look(policy.id, candidates)
        except BasculeError:
            return missing
        return classify(word, real, digest, head) if real else missing


def _is_own(word: str, root: str) -> bool:
    """True for a path in the agent's own directory, which lies on this machine."""
    if "/" not in word:
        return False
    plain = normal(word)
    return not word.startswith("/") or is_within(plain, BOX_ROOT) or is_within(plain, root)
