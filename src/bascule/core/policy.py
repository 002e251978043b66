"""What is wanted: the compiled policy, read-only and complete.

Stops: a judge asking twice and getting two answers. Everything a judge needs is computed when the policy is compiled;
an absent key has already become its strictest meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bascule.core.confinement import Limits
from bascule.core.ids import AgentId
from bascule.core.outfit import PLAIN, Outfit
from bascule.core.paths import Layout
from bascule.core.reach import EgressPolicy
from bascule.core.surfaces import HttpPolicy, SignalPolicy
from bascule.core.toolspec import ActionClass


class ExecSecurity(StrEnum):
    """``full`` is read as ``allowlist`` and reported."""

    DENY = "deny"
    ALLOWLIST = "allowlist"


class ExecAsk(StrEnum):
    """When a program call becomes a question."""

    OFF = "off"
    ON_MISS = "on-miss"
    ALWAYS = "always"


class Backend(StrEnum):
    """What makes the boxes of an agent."""

    BUBBLEWRAP = "bubblewrap"
    DOCKER = "docker"
    UNSAFE_NONE = "unsafe_none"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an agent has a tool, and which scope says no.

    ``denied_by`` names the key whose deny list matched; ``dropped_by`` the key whose allow list, profile or ceiling
    does not name it. Both empty: the agent has the tool. ``removed_by`` is every key that says no, in the order in
    which scopes are asked; it decides nothing.
    """

    denied_by: str = ""
    dropped_by: str = ""
    removed_by: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ExecEntry:
    """One line of ``exec-approvals.json``.

    Attributes:
        pattern: OpenClaw pattern, literal directory prefix already resolved.
        written: the pattern as the file has it.
        args: linear-time regular expression for the shell-quoted arguments, None for any.
        writes: the box may write the agent's own directories.
        needs: programs the box also holds, absolute.
        action: action class, ``compute`` unless the entry says otherwise.
        reason: why the operator listed it.
        where: file, line and path of the entry.
    """

    pattern: str
    written: str
    args: str | None = None
    writes: bool = False
    needs: tuple[str, ...] = ()
    action: ActionClass = ActionClass.COMPUTE
    reason: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class ExecPolicy:
    """How an agent's commands are judged. ``askFallback`` is always deny and so is no field."""

    security: ExecSecurity = ExecSecurity.DENY
    ask: ExecAsk = ExecAsk.OFF
    entries: tuple[ExecEntry, ...] = ()
    broken: str = ""
    where: str = ""


DEFAULT_LIMITS = Limits(
    memory_bytes=512 << 20,
    pids=64,
    cpu_seconds=60,
    wall_seconds=120,
    output_bytes=1 << 20,
    file_bytes=64 << 20,
    open_files=1024,
    cpus=1000,
)
"""What a call may use where policy names no limit: half a gibibyte, two minutes, a mebibyte of output, a processor."""


DEFAULT_IMAGE = "bascule-box:bookworm"
"""What ``bascule sandbox build`` makes, and containers start from where policy names none."""

RAW_BRIDGE = "unsafe_bridge"
"""The network whose programs reach every public address, by no proxy."""


@dataclass(frozen=True, slots=True)
class DockerPolicy:
    """What containers are made from, where the backend is Docker.

    Attributes:
        image: name in the home's record of images.
        per_session: a container for every session, instead of one for the agent.
        idle_seconds: how long an unused one is kept; 0 for ever.
        age_seconds: how long one is used at most; 0 for ever.
        seccomp: absolute path of the operator's own filter of system calls, empty for none.
        seccomp_digest: hex SHA-256 of that file as it was read; empty if nobody read it.
        dns: name servers that programs on a bridge ask; none for those of the machine that are public.
    """

    image: str = DEFAULT_IMAGE
    per_session: bool = False
    idle_seconds: int = 24 * 3600
    age_seconds: int = 7 * 86_400
    seccomp: str = ""
    seccomp_digest: str = ""
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """Which box an agent gets. ``network``: ``none``, ``proxy``, :data:`RAW_BRIDGE`; a ``bridge`` is read as ``proxy``.

    ``unsafe_single_uid`` tolerates boxes under the gateway's own account, where the machine gives no other; ``warm``
    has a box made ready when the gateway starts, and kept so.
    """

    backend: Backend = Backend.BUBBLEWRAP
    network: str = "none"
    workspace_access: str = "rw"
    unsafe_single_uid: bool = False
    limits: Limits = DEFAULT_LIMITS
    docker: DockerPolicy = field(default_factory=DockerPolicy)
    outfit: Outfit = PLAIN
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an agent's model may ask for; zero means not at all, never "unlimited"."""

    calls_per_minute: int = 600
    calls_per_day: int = 20_000
    pending_approvals: int = 100


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """Everything policy says about one agent.

    Attributes:
        id: the agent.
        name: what the operator calls it.
        model: provider and model, ``provider:model``; empty for the default.
        tools: standing of every known tool.
        exec: program rules.
        sandbox: box rules.
        quota: how much.
        layout: where its files lie.
        prompts: absolute paths of its prompt files, in order.
        main_only: absolute paths (MEMORY.md) loaded in the operator's own sessions only.
        where: key of its section, for remedies.
        egress: where it may connect.
    """

    id: AgentId
    name: str
    model: str
    tools: Mapping[str, Standing]
    exec: ExecPolicy
    sandbox: SandboxPolicy
    quota: Quota
    layout: Layout
    prompts: tuple[str, ...] = ()
    main_only: tuple[str, ...] = ()
    where: str = ""
    egress: EgressPolicy = field(default_factory=EgressPolicy)


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """How to reach a model: ``kind`` is ``anthropic``, ``openai``, ``script`` or ``local``."""

    name: str
    kind: str
    base_url: str = ""
    key_env: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """A person named in policy. Chatting, approving and being trusted are separate; nothing is given by omission.

    Attributes:
        name: what policy calls them.
        users: operating-system accounts that are theirs.
        signal: Signal numbers and ids that are theirs, normalised.
        chats: may talk to agents over a channel, and then their typed words are trusted.
        approves: may answer questions.
    """

    name: str
    users: tuple[str, ...] = ()
    signal: tuple[str, ...] = ()
    chats: bool = False
    approves: bool = False


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One direction between two agents that policy speaks of.

    Attributes:
        sender: who writes.
        receiver: to whom.
        send: ``allow``, ``ask``, ``deny``, or empty where the row does not say.
        where: key of the row, for remedies.
    """

    sender: AgentId
    receiver: AgentId
    send: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy, identified by ``version``: the digest of both files' bytes.

    Attributes:
        version: hex SHA-256.
        agents: every agent by id.
        default_agent: who answers when nobody is named.
        approval_seconds: how long a question waits before silence is no.
        providers: model providers by name.
        operators: names of those who may answer questions.
        default_model: of agents that name none, ``provider:model``.
        people: every operator by name.
        http: where pages and interfaces are served.
        signal: the Signal account, None for none.
        passkey: which yes over HTTP needs a passkey: ``off``, ``risky`` or ``always``; see ``policy/passkeys.py``.
        peers: which agents may reach which others.
    """

    version: str
    agents: Mapping[AgentId, AgentPolicy]
    default_agent: AgentId
    approval_seconds: int = 1800
    providers: Mapping[str, ModelProvider] = field(default_factory=dict)
    operators: tuple[str, ...] = ()
    default_model: str = ""
    people: Mapping[str, Operator] = field(default_factory=dict)
    http: HttpPolicy = field(default_factory=HttpPolicy)
    signal: SignalPolicy | None = None
    passkey: str = "off"
    peers: tuple[PeerRow, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """The machine's accounts that its people have, by name."""
        return tuple(user for person in self.people.values() for user in person.users)
