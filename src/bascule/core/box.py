"""What is asked of a box, and what it gives back: the nouns between the gate's hands and the sandboxes."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.core.confinement import Limits, Mount, Network
from bascule.core.ids import AgentId, SessionKey
from bascule.core.outfit import PLAIN, Outfit
from bascule.core.plan import Program


@dataclass(frozen=True, slots=True)
class BoxKey:
    """Whose box: one agent, one session."""

    agent: AgentId
    session: SessionKey


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One program to run in a fresh box of its own.

    Attributes:
        argv: the words, ``argv[0]`` included, exactly as judged.
        program: the file, with the hash that was judged; another hash at start refuses.
        needs: absolute paths of programs that also exist in the box.
        writable: the agent's own directories are mounted writable.
        mounts: granted operator paths.
        merge_stderr: standard error goes where standard output goes (``2>&1``).
        drop_stdout: standard output goes to ``/dev/null``.
        drop_stderr: standard error goes to ``/dev/null``.
        network: what the box reaches: nothing, or the one address behind which the agent's proxy answers.
        bare: nothing of the agent's own directory is mounted.
        outfit: variables and scratch places that policy adds.
    """

    argv: tuple[str, ...]
    program: Program
    needs: tuple[str, ...] = ()
    writable: bool = False
    mounts: tuple[Mount, ...] = ()
    merge_stderr: bool = False
    drop_stdout: bool = False
    drop_stderr: bool = False
    network: Network = Network.NONE
    bare: bool = False
    outfit: Outfit = PLAIN


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a pipeline did.

    Attributes:
        exits: exit status of every program, in order; ``128 + signal`` if killed.
        stdout: of the last program, at most the limit.
        stderr: of all programs, at most the limit.
        truncated: something was cut.
        timed_out: the wall clock ended it.
    """

    exits: tuple[int, ...]
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A box that lasts from call to call.

    Attributes:
        id: what its backend calls it.
        agent: whose it is.
        backend: what made it.
        state: ``running`` or the backend's own word.
        since: when it was made, in seconds since the epoch; 0 if that is not known.
        image: what it was made from; empty for a box that is made from this machine.
        is_orphan: a gateway that is gone left it behind.
        session: whose it is alone; empty if every session of the agent uses it.
        idle: seconds since it was last used; None if that is not known.
    """

    id: str
    agent: str
    backend: str
    state: str
    since: float = 0.0
    image: str = ""
    is_orphan: bool = False
    session: str = ""
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class FileContent:
    """A regular file's bytes, at most the limit, with the identity that was opened."""

    content: bytes
    size: int
    sha256: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """A pipeline to run: its programs, what the first reads, and the limits of the whole."""

    key: BoxKey
    runs: tuple[ProgramRun, ...]
    stdin: bytes
    limits: Limits
