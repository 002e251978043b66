"""``exec-approvals.json``: which programs an agent may run, with which arguments.

Stops: the file failing open. Text that does not parse, another version, an invalid word or an unknown key makes every
agent's rules ``deny`` with the reason in ``broken``; nothing is dropped, filled in or coerced. Where the configuration
and the file both speak, the stricter word counts. What OpenClaw writes into the file at run time (last use, ids, its
socket) is ignored and never written. Does not stop an entry that is too broad; that is a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Self

import re2
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from bascule.core.errors import Malformed
from bascule.core.ids import parse_agent_id
from bascule.core.patterns import WILDCARDS, is_bare
from bascule.core.policy import ExecEntry
from bascule.core.toolspec import ActionClass
from bascule.policy.json5 import Document, Path, dotted, read
from bascule.policy.paths import PathNames, resolve_pattern, resolve_program
from bascule.policy.schema.base import Name, Opaque, Section, Text, plain_words
from bascule.policy.schema.ours import ClassName

_QUIET = re2.Options()
_QUIET.log_errors = False
_QUIET.max_mem = 1 << 22

MAX_ARGS_PATTERN = 4096
"""Longest ``args`` expression, in characters."""


class FileEntry(Section):
    """One entry as the file has it."""

    pattern: Name
    args: Text | None = None
    arg_pattern: Text | None = None
    writes: bool | None = None
    needs: tuple[Name, ...] | None = None
    class_: ClassName | None = Field(None, alias="class")
    reason: Text | None = None
    id: Name | None = None
    source: Name | None = None
    command_text: Text | None = None
    last_used_at: int | float | None = None
    last_used_command: Text | None = None
    last_resolved_path: Text | None = None

    @field_validator("args", "arg_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        problem = regex_problem(pattern) if pattern is not None else ""
        if problem:
            raise ValueError(problem)
        return pattern

    @field_validator("pattern")
    @classmethod
    def _plain_pattern(cls, pattern: str) -> str:
        return _checked_path(pattern)

    @field_validator("needs")
    @classmethod
    def _whole_programs(cls, needs: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for need in needs or ():
            if WILDCARDS & set(need) or is_bare(need):
                raise ValueError(f"needs names programs by whole path, not {need[:60]!r}")
            _checked_path(need)
        return needs

    @model_validator(mode="after")
    def _one_expression(self) -> Self:
        if self.args is not None and self.arg_pattern is not None:
            raise ValueError("give args or argPattern, not both")
        return self


def _checked_path(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(f"{path[:60]!r} holds a .. component; write the path it means")
    if not path.isprintable():
        raise ValueError(f"{path[:60]!r} holds a character that cannot be seen")
    return path


class FileRules(Section):
    """One agent's rules, or the defaults, as the file has them."""

    security: Literal["deny", "allowlist", "full"] | None = None
    ask: Literal["off", "on-miss", "always"] | None = None
    ask_fallback: Literal["deny", "allowlist", "full"] | None = None
    auto_allow_skills: bool | None = None


class FileAgent(FileRules):
    """Rules with a list. A plain string is an entry with only a pattern."""

    allowlist: tuple[FileEntry, ...] | None = None

    @field_validator("allowlist", mode="before")
    @classmethod
    def _short_form(cls, written: Any) -> Any:
        if not isinstance(written, tuple):
            return written
        return tuple({"pattern": entry} if isinstance(entry, str) else entry for entry in written)


class File(Section):
    """The whole file."""

    version: int = Field(ge=1, le=1)
    socket: Opaque | None = None
    defaults: FileRules | None = None
    agents: dict[str, FileAgent] | None = None


@dataclass(frozen=True, slots=True)
class Approvals:
    """The file, read: either ``broken`` says why it counts for nothing, or ``file`` is what it says."""

    name: str
    file: File | None = None
    document: Document | None = None
    broken: str = ""
    agents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the file says of one agent; None where it says nothing.

    ``sources`` names the key each word was found at, such as ``agents.*.ask``.
    """

    security: str | None = None
    ask: str | None = None
    ask_fallback: str | None = None
    auto_allow_skills: bool | None = None
    entries: tuple[ExecEntry, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def regex_problem(pattern: str) -> str:
    """Return why an ``args`` expression may not be used, empty if it may. RE2 promises linear time."""
    if len(pattern) > MAX_ARGS_PATTERN:
        return f"an args expression has at most {MAX_ARGS_PATTERN} characters"
    if "\0" in pattern:
        return "an args expression matches the quoted command line, which holds no NUL"
    return _compile_problem(pattern)


@lru_cache(maxsize=1024)
def _compile_problem(pattern: str) -> str:
    try:
        re2.compile(pattern, _QUIET)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0] if error.args else ""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return f"the expression {pattern[:60]!r} does not compile: {text[:120]}"
    return ""


def read_approvals(untrusted_text: bytes | str | None, name: str) -> Approvals:
    """Parse the file; never raises, for a broken file has a meaning: nothing runs.

    Args:
        untrusted_text: the content; None if there is no such file, which allows nothing by itself.
        name: what to call it in messages.
    """
    if untrusted_text is None:
        return Approvals(name)
    try:
        document = read(untrusted_text, name)
    except Malformed as refused:
        return Approvals(name, broken=refused.message)
    del untrusted_text
    try:
        file = File.model_validate(document.value)
    except ValidationError as error:
        return Approvals(name, broken=_why(error, document))
    return _by_agent(file, document)


def _why(error: ValidationError, document: Document) -> str:
    first = min(error.errors(include_url=False), key=lambda one: document.spans[_known(one["loc"], document)])
    path = _known(first["loc"], document)
    named = dotted(path) if len(path) == len(first["loc"]) else dotted((*path, str(first["loc"][-1])))
    if first["loc"] == ("version",):
        return f"{document.where(path)}: version must be 1"
    words = str(first["ctx"]["error"]) if first["type"] == "value_error" else plain_words(first["msg"])
    words = "there is no such key" if first["type"] == "extra_forbidden" else words
    return f"{document.where(path)}: {named or 'the file'}: {words[:200]}"


def _known(loc: tuple[int | str, ...], document: Document) -> Path:
    path: Path = ()
    for part in loc:
        if (*path, part) in document.spans:
            path = (*path, part)
    return path


def _by_agent(file: File, document: Document) -> Approvals:
    """Sort sections by agent: two spellings of one id are refused, OpenClaw's old ``default`` belongs to ``main``."""
    found: dict[str, tuple[str, ...]] = {}
    for key in file.agents or {}:
        try:
            agent = key if key == "*" else parse_agent_id(key)
        except Malformed as refused:
            return Approvals(document.name, broken=f"{document.where(('agents', key))}: {refused.message}")
        if agent in found:
            where = document.where(("agents", key))
            return Approvals(document.name, broken=f"{where}: the agent {agent} has two sections")
        found[agent] = (key,)
    if "default" in found:
        found["main"] = (*found.get("main", ()), *found.pop("default"))
    return Approvals(document.name, file, document, "", found)


def rules_for(approvals: Approvals, agent: str, names: PathNames) -> Rules:
    """Return what an unbroken file says of one agent: its own word, else that of ``*``, else the defaults.

    Entries of ``*`` come first, then the agent's; entries with ``args`` are put before those without, so that the
    narrower of two that both match is the one that counts.
    """
    if approvals.file is None or approvals.document is None:
        return Rules()
    sections = approvals.file.agents or {}
    own, everybody = approvals.agents.get(agent, ()), approvals.agents.get("*", ())
    levels: list[tuple[str, FileRules]] = [(f"agents.{key}", sections[key]) for key in (*own, *everybody)]
    if approvals.file.defaults is not None:
        levels.append(("defaults", approvals.file.defaults))
    entries = [
        entry
        for key in (*everybody, *own)
        for entry in _entries(sections[key], ("agents", key, "allowlist"), approvals.document, names)
    ]
    entries.sort(key=lambda entry: entry.args is None)
    said: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in FileRules.model_fields:
        for key, level in levels:
            if (word := getattr(level, name)) is not None:
                said[name], sources[name] = word, f"{key}.{to_camel(name)}"
                break
    return Rules(**said, entries=tuple(entries), sources=sources)


def _entries(section: FileAgent, path: Path, document: Document, names: PathNames) -> list[ExecEntry]:
    found: list[ExecEntry] = []
    for index, entry in enumerate(section.allowlist or ()):
        where = f"{document.where((*path, index))} {dotted((*path, index))}"
        args = entry.args if entry.args is not None else entry.arg_pattern
        needs = dict.fromkeys(path for need in entry.needs or () for path in resolve_program(need, names))
        found.append(
            ExecEntry(
                resolve_pattern(entry.pattern, names),
                entry.pattern,
                args,
                bool(entry.writes),
                tuple(needs),
                ActionClass(entry.class_) if entry.class_ is not None else ActionClass.COMPUTE,
                entry.reason if entry.reason is not None else "",
                where,
            )
        )
    return found
