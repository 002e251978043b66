"""The hands of ``exec``: a plan, step by step, each program in a fresh box, files by redirect through the file worker.

Stops: a shell, an environment, a descriptor or a leftover carrying anything from one program to the next but the pipe
that was judged. Does not stop: a program from using its whole output limit; what is over is cut and said.
"""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, ProgramRun
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement, Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.interpreters import Source, text_of
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.core.outcome import Outcome
from bascule.core.paths import BOX_ROOT, Place, Zone, is_within, locate, respelled
from bascule.core.plan import Command, Connector, Plan, Step
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes, Programs
from bascule.core.toolspec import ToolSpec
from bascule.layers.l6_exec_allowlist import needs_of, writes_of
from bascule.shell.command import read_command
from bascule.shell.expand import glob_words, with_globs, with_programs
from bascule.tools.exec.card import card
from bascule.tools.exec.spec import SPEC, paths_of

MAX_MATCHES = 1000
"""Most file names one glob may expand to; more is refused rather than cut."""


_REACHED = frozenset({Zone.OWN, Zone.HOME, Zone.TOOLS, Zone.BIND, Zone.BIND_WRITABLE})
"""Where the session's own file worker can look."""


class Exec:
    """See :class:`bascule.core.ports.Tool`."""

    spec: ToolSpec = SPEC

    def __init__(self, boxes: Boxes, programs: Programs, policies: Mapping[str, AgentPolicy]) -> None:
        self._boxes = boxes
        self._programs = programs
        self._policies = policies

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """The plan, and every path in it, globs still unexpanded."""
        return paths_of(read_command(str(args["command"])), policy.layout)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, policy: AgentPolicy, key: BoxKey) -> Bound:
        """Expand globs in the agent's own directory, resolve and hash every program."""
        if intent.plan is None:
            return Bound(intent, {})
        plan = intent.plan
        patterns = glob_words(plan)
        if patterns:
            plan = with_globs(plan, await self._matches(patterns, policy, key))
        found = [await self._programs.resolve(command.argv[0], policy) for command in plan.commands]
        plan = with_programs(plan, found)
        return Bound(paths_of(plan, policy.layout), await self._identities(plan, policy, key))

    async def _identities(self, plan: Plan, policy: AgentPolicy, key: BoxKey) -> dict[str, str]:
        """What else a yes to this line is about: the other programs in its boxes, and the scripts they are given."""
        identities: dict[str, str] = {}
        for index, command in enumerate(plan.commands):
            for path in needs_of(command, policy.exec):
                identities[f"program:{path}"] = (await self._programs.resolve(path, policy)).sha256
            script = _script(command)
            place = locate(script, policy.layout) if script else None
            if place is not None and place.zone in _REACHED:
                _refuse_lent(command, place, policy)
                found = await (await self._boxes.files(key)).identify(place.box)
                if not found:
                    # Some look for it under other names then (node x runs x.js), which nobody would have looked at.
                    detail = f"{command.argv[0]} is to run {script}, and there is no such file"
                    raise Malformed("exec_script_missing", detail, "write it first, and name it in full")
                identities[f"script:{index}"] = found
        return identities

    async def _matches(self, patterns: tuple[str, ...], policy: AgentPolicy, key: BoxKey) -> dict[str, tuple[str, ...]]:
        files = await self._boxes.files(key)
        matches = {}
        for pattern in patterns:
            if locate(pattern, policy.layout).zone not in _REACHED:
                raise Malformed("glob_outside", f"the pattern {pattern} leaves the agent's directory", "name the file")
            inside, box, host = respelled(pattern, policy.layout)
            found = await files.glob(inside, limit=MAX_MATCHES)
            matches[pattern] = tuple(host + name[len(box) :] for name in found)
        return matches

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Run the steps as their connectors say; the last pipeline that ran gives the exit status."""
        if call.plan is None:
            raise Malformed("shell_empty", "there is no command")
        timeout = call.args.get("timeout")
        limits = confinement.limits
        if isinstance(timeout, int):
            limits = limits.meet(Limits(wall_seconds=timeout))
        running = _Running(call, confinement, limits, self._boxes, self._policies[call.agent])
        exit_status = 0
        for step in call.plan.steps:
            if _skipped(step.connector, exit_status):
                continue
            exit_status = await running.step(step)
            if running.ended:
                break
        return running.outcome(exit_status)

    def card(self, call: Call, policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call, policy)


def _refuse_lent(command: Command, place: Place, policy: AgentPolicy) -> None:
    """Refuse a script that another agent, whom nothing holds still, may change between the last look and the run.

    Raises:
        Malformed: ``exec_script_lent``; but what lies in the home's ``shared/repo`` no agent writes.
    """
    if place.zone in {Zone.BIND, Zone.BIND_WRITABLE} and not is_within(place.host, f"{policy.layout.home}/shared/repo"):
        detail = f"{command.argv[0]} is to run {place.host}, which lies where another agent may write"
        raise Malformed("exec_script_lent", detail, "copy it below workspace/ first, or keep it in shared/repo")


def _script(command: Command) -> str:
    """The file that holds what an interpreter is to run, empty if there is none that the line names."""
    text = text_of(command.program.path if command.program else "", command.argv)
    if text.source is Source.FILE:
        return command.argv[text.word]
    if text.source is Source.INPUT and command.streams.stdin is not None:
        return command.streams.stdin
    return ""


def _skipped(connector: Connector, exit_status: int) -> bool:
    if connector is Connector.AND:
        return exit_status != 0
    if connector is Connector.OR:
        return exit_status == 0
    return False


class _Running:
    """One command line under way: what it printed so far."""

    def __init__(self, call: Call, confinement: Confinement, limits: Limits, boxes: Boxes, policy: AgentPolicy) -> None:
        self._call = call
        self._confinement = confinement
        self._limits = limits
        self._boxes = boxes
        self._policy = policy
        self._key = BoxKey(call.agent, call.session)
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._truncated = False
        self._programs: set[str] = set()
        self.ended = False
        """True once a time-out ended the line: nothing after it runs."""

    async def step(self, step: Step) -> int:
        """Run one pipeline and return its exit status."""
        target = step.pipeline[-1].streams
        stdin = await self._read(step.pipeline[0].streams.stdin)
        runs = tuple(self._program(command) for command in step.pipeline)
        self._programs |= {run.program.path for run in runs}
        result = await self._boxes.run(PipelineRequest(self._key, runs, stdin, self._limits))
        await self._keep(result, target.stdout, append=target.append)
        self.ended = result.timed_out
        return result.exits[-1]

    def _program(self, command: Command) -> ProgramRun:
        program = command.program
        if program is None or program.path not in (self._confinement.programs or frozenset()):
            raise Malformed("program_unresolved", f"{command.argv[0]} is not a program of this call")
        streams = command.streams
        return ProgramRun(
            argv=command.argv,
            program=program,
            needs=needs_of(command, self._policy.exec),
            writable=writes_of(command, self._policy.exec) and bool(self._confinement.writable),
            mounts=tuple(self._read_only_mounts()),
            merge_stderr=streams.stderr == "out",
            drop_stdout=streams.stdout == "/dev/null",
            drop_stderr=streams.stderr == "null",
            network=self._confinement.network,
        )

    def _read_only_mounts(self) -> list[Mount]:
        return sorted(self._confinement.mounts or (), key=lambda mount: mount.path)

    async def _read(self, stdin: str | None) -> bytes:
        if stdin is None or stdin == "/dev/null":
            return b""
        path, mounts = self._file(stdin)
        files = await self._boxes.files(self._key, mounts)
        found = await files.read(path, offset=0, limit=self._limits.file_bytes)
        if found.truncated:
            raise Malformed("redirect_too_large", f"{stdin} is larger than {self._limits.file_bytes} bytes")
        return found.content

    async def _keep(self, result: PipelineResult, target: str | None, *, append: bool) -> None:
        self._truncated = self._truncated or result.truncated
        self._stderr += result.stderr
        if result.timed_out:
            self._stderr += f"ended after {self._limits.wall_seconds} seconds\n".encode()
        if target is None or target == "/dev/null":
            self._stdout += result.stdout
            return
        if result.truncated:
            raise Malformed("redirect_too_large", f"the output for {target} is over the limit; the file is unchanged")
        path, mounts = self._file(target)
        files = await self._boxes.files(self._key, mounts)
        await files.write(path, result.stdout, append=append)

    def _file(self, written: str) -> tuple[str, tuple[Mount, ...]]:
        place = locate(written, self._policy.layout)
        mounts = tuple(mount for mount in self._confinement.mounts or () if mount.path == place.host)
        return place.box, mounts

    def outcome(self, exit_status: int) -> Outcome:
        """What the model is told: standard output, then standard error if there was any."""
        content = bytes(self._stdout)
        if self._stderr:
            gap = b"" if not content or content.endswith(b"\n") else b"\n"
            content += gap + bytes(self._stderr)
        sources = {f"program:{path}" for path in self._programs} | {f"files:{BOX_ROOT}"}
        label = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE, frozenset(sources))
        # A pipeline that was ended may have a last program that took the end of its input for success.
        code = "timed_out" if self.ended else "exit_status" if exit_status else ""
        return Outcome(not code, content, exit_status, self._truncated, label, code)
