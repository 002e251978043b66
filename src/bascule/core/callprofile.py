"""An operator's own filter of system calls, in the notation of OCI and Docker, read strictly.

Stops: a profile that would let through by default, that asks for somebody who answers for the kernel (a tracer, a
listener), that an engine reads otherwise than a person does, or that says two things of one call. Does not say what
stays refused whatever a profile allows: that is ``callfloor``.

The notation is Docker's ``profiles/seccomp``: rules that need a capability never apply, for no container has any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bascule.core.canonical import Json, read_arguments
from bascule.core.errors import Malformed

LARGEST_PROFILE = 256 * 1024
"""Bytes of a profile; Docker's own default has some thirteen thousand."""

REFUSING = frozenset(
    {"SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"}
)
"""Actions after which the call was not made."""

PASSING = frozenset({"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"})
"""Actions after which it was."""

MASKED = "SCMP_CMP_MASKED_EQ"
_COMPARISONS = frozenset({f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT")} | {MASKED})
_ARCHITECTURES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}
_TOP = frozenset({"defaultAction", "defaultErrnoRet", "architectures", "archMap", "syscalls", "flags", "comment"})
_RULE = frozenset({"names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes"})
_CONDITION = frozenset({"index", "value", "valueTwo", "op"})
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII)
_KERNEL = re.compile(r"[0-9]{1,3}\.[0-9]{1,4}", re.ASCII)
_MOST_ERRNO = 4095


@dataclass(frozen=True, slots=True)
class Condition:
    """One argument compared; for ``SCMP_CMP_MASKED_EQ`` ``value`` is the mask and ``other`` what must be left."""

    index: int
    op: str
    value: int
    other: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to some calls.

    Attributes:
        names: of the calls.
        action: one of :data:`REFUSING` or :data:`PASSING`.
        errno: what ``SCMP_ACT_ERRNO`` answers, None for the engine's usual.
        conditions: all of which must hold; none is "always".
        kernel: oldest kernel it holds for, such as ``4.8``; empty for every one.
    """

    names: tuple[str, ...]
    action: str
    errno: int | None = None
    conditions: tuple[Condition, ...] = ()
    kernel: str = ""

    @property
    def passes(self) -> bool:
        """The calls are made."""
        return self.action in PASSING


@dataclass(frozen=True, slots=True)
class Profile:
    """A filter: every call meets the default unless a rule speaks of it.

    Attributes:
        architecture: the one it is for, as profiles name it.
        default: an action of :data:`REFUSING`.
        errno: of the default, None for the engine's usual.
        rules: those that apply on this machine to a process without capabilities.
    """

    architecture: str
    default: str
    errno: int | None
    rules: tuple[Rule, ...]


def parse_profile(untrusted_content: bytes, machine: str, where: str) -> Profile:
    """Return a profile.

    Args:
        untrusted_content: the file.
        machine: as ``uname -m`` says.
        where: what to call the file in messages.

    Raises:
        Malformed: ``seccomp_profile``, with the place.
    """
    reader = _Reader(where, machine)
    if len(untrusted_content) > LARGEST_PROFILE:
        raise reader.refusal(f"it has more than {LARGEST_PROFILE} bytes")
    try:
        body = read_arguments(untrusted_content.decode("utf-8"))
    except UnicodeDecodeError:
        raise reader.refusal("it is not UTF-8") from None
    except Malformed as error:
        raise reader.refusal(error.message) from None
    del untrusted_content
    return reader.profile(body)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Knows which file is read, for messages, and for which machine."""

    where: str
    machine: str

    def refusal(self, problem: str) -> Malformed:
        remedy = "start from Docker's own default profile and take calls away"
        return Malformed("seccomp_profile", f"{self.where}: {problem}", remedy)

    def profile(self, body: Mapping[str, Json]) -> Profile:
        self._known(body, _TOP, "a profile")
        if self.machine not in _ARCHITECTURES:
            raise self.refusal(f"profiles are not carried out on {self.machine}")
        native = _ARCHITECTURES[self.machine][1]
        named = self._architectures(body)
        if named and native not in named:
            raise self.refusal(f"it is for other machines than this one, {native}")
        if body.get("flags"):
            raise self.refusal("flags are not carried out; SECCOMP_FILTER_FLAG_SPEC_ALLOW would weaken the machine")
        default = self._action(body.get("defaultAction"), "defaultAction")
        if default not in REFUSING:
            raise self.refusal(f"defaultAction {default} lets through what no rule names; it must refuse")
        errno = self._errno(body, "defaultErrnoRet", default)
        rules = tuple(rule for item in self._list(body, "syscalls") if (rule := self._rule(item)) is not None)
        self._one_word_each(rules)
        return Profile(native, default, errno, rules)

    def _architectures(self, body: Mapping[str, Json]) -> set[str]:
        found = {self._text(item, "architectures") for item in self._list(body, "architectures")}
        for item in self._list(body, "archMap"):
            row = self._object(item, "archMap")
            self._known(row, frozenset({"architecture", "subArchitectures"}), "archMap")
            found.add(self._text(row.get("architecture"), "archMap"))
        return found

    def _rule(self, item: Json) -> Rule | None:
        """Return a rule, None if it never applies here."""
        body = self._object(item, "syscalls")
        self._known(body, _RULE, "a rule")
        names = self._names(body)
        label = names[0]
        action = self._action(body.get("action"), label)
        errno = self._errno(body, "errnoRet", action)
        conditions = tuple(self._condition(each, label) for each in self._list(body, "args"))
        if len({condition.index for condition in conditions}) != len(conditions):
            raise self.refusal(f"{label}: two conditions on one argument in one rule, which engines join by 'or'")
        included, kernel = self._filter(body, "includes", label)
        excluded, unless = self._filter(body, "excludes", label)
        if unless:
            raise self.refusal(f"{label}: excludes.minKernel is not carried out")
        own = _ARCHITECTURES[self.machine][0]
        away = included["caps"] or (included["arches"] and own not in included["arches"]) or own in excluded["arches"]
        return None if away else Rule(names, action, errno, conditions, kernel)

    def _names(self, body: Mapping[str, Json]) -> tuple[str, ...]:
        given = [*self._list(body, "names"), *([body["name"]] if body.get("name") else [])]
        names = tuple(self._text(item, "names") for item in given)
        odd = next((name for name in names if not _NAME.fullmatch(name)), None)
        if not names or odd is not None:
            raise self.refusal("a rule names no call" if odd is None else f"{odd[:80]!r} is no name of a system call")
        return names

    def _filter(self, body: Mapping[str, Json], key: str, label: str) -> tuple[dict[str, tuple[str, ...]], str]:
        value = body.get(key)
        given = {} if value is None else self._object(value, key)
        self._known(given, frozenset({"caps", "arches", "minKernel"}), f"{label}: {key}")
        lists = {name: tuple(self._text(item, name) for item in self._list(given, name)) for name in ("caps", "arches")}
        kernel = given.get("minKernel")
        if kernel is not None and (not isinstance(kernel, str) or not _KERNEL.fullmatch(kernel)):
            raise self.refusal(f"{label}: minKernel is a version such as 4.8")
        return lists, "" if kernel is None else str(kernel)

    def _condition(self, item: Json, label: str) -> Condition:
        body = self._object(item, "args")
        self._known(body, _CONDITION, f"{label}: args")
        index, value, other = (self._number(body.get(name, 0), label) for name in ("index", "value", "valueTwo"))
        op = body.get("op")
        if not isinstance(op, str) or op not in _COMPARISONS:
            raise self.refusal(f"{label}: {str(op)[:80]} is no comparison")
        if index > 5 or "index" not in body:
            raise self.refusal(f"{label}: a call has the arguments 0 to 5")
        return Condition(index, op, value, other)

    def _one_word_each(self, rules: Sequence[Rule]) -> None:
        """Refuse a call that is both let through and refused: of such rules engines silently heed one."""
        passed = {name for rule in rules if rule.passes for name in rule.names}
        both = sorted(passed & {name for rule in rules if not rule.passes for name in rule.names})
        if both:
            raise self.refusal(f"{both[0]} stands in a rule that lets it through and in one that refuses it")

    def _action(self, value: Json, label: str) -> str:
        if isinstance(value, str) and value in REFUSING | PASSING:
            return value
        raise self.refusal(f"{label}: {'no action' if value is None else f'{str(value)[:80]} is not carried out'}")

    def _errno(self, body: Mapping[str, Json], key: str, action: str) -> int | None:
        value = body.get(key)
        if value is None:
            return None
        number = self._number(value, key)
        # An "error" of 0 would tell a program that the call was made.
        if action == "SCMP_ACT_ERRNO" and not 1 <= number <= _MOST_ERRNO:
            raise self.refusal(f"{key} is a number from 1 to {_MOST_ERRNO}")
        return number if action == "SCMP_ACT_ERRNO" else None

    def _number(self, value: Json, label: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.refusal(f"{label}: {str(value)[:80]} is no number")
        return value

    def _text(self, value: Json, label: str) -> str:
        if not isinstance(value, str):
            raise self.refusal(f"{label}: {str(value)[:80]} is no word")
        return value

    def _object(self, value: Json, label: str) -> Mapping[str, Json]:
        if not isinstance(value, Mapping):
            raise self.refusal(f"{label}: not an object")
        return value

    def _list(self, body: Mapping[str, Json], key: str) -> Iterator[Json]:
        value = body.get(key)
        if value is not None and (isinstance(value, str) or not isinstance(value, Sequence)):
            raise self.refusal(f"{key} is a list")
        yield from value if value is not None else ()

    def _known(self, body: Mapping[str, Json], names: frozenset[str], label: str) -> None:
        odd = sorted(body.keys() - names)
        if odd:
            raise self.refusal(f"{label} has no {odd[0][:80]!r}")
