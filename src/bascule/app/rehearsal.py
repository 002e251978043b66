"""A policy's own examples, judged by every judge there is on an imagined machine, and never run.

Stops: a gateway starting on a policy that does not mean what its author wrote down. Facts are fixed: everything is in
force but what no part of this version provides, nothing is used up, every named program is installed. Does not stop:
what this machine really lacks; self-tests say that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bascule.core.call import Intent, Proposal, seal
from bascule.core.canonical import Json, read_arguments
from bascule.core.errors import Malformed
from bascule.core.facts import Facts
from bascule.core.ids import cli_session, parse_session_key
from bascule.core.label import UNKNOWN
from bascule.core.paths import locate
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.verdict import Decision
from bascule.host.policy_files import Loaded
from bascule.host.posture import NOT_BUILT
from bascule.judge import judge
from bascule.policy.examples import Example, Surprise, judge_examples, read_examples
from bascule.policy.places import CONFIG_NAME
from bascule.shell.command import read_command
from bascule.shell.expand import with_programs
from bascule.tools.edit import spec as edit
from bascule.tools.exec import spec as exec_
from bascule.tools.named.spec import SPECS
from bascule.tools.read import spec as read
from bascule.tools.web_fetch import spec as web_fetch
from bascule.tools.web_search import spec as web_search
from bascule.tools.write import spec as write

_INTENDS: Mapping[str, Callable[[Mapping[str, Json], AgentPolicy], Intent]] = {
    "read": lambda args, rules: read.intend(args, rules.layout),
    "write": lambda args, rules: write.intend(args, rules.layout),
    "edit": lambda args, rules: edit.intend(args, rules.layout),
    "web_fetch": web_fetch.intend,
    "web_search": lambda args, _rules: web_search.intend(args),
}
_BUILT = (exec_.SPEC, read.SPEC, write.SPEC, edit.SPEC, web_fetch.SPEC, web_search.SPEC)
_SPECS = {spec.name: spec for spec in (*SPECS, *_BUILT)}
_FACTS = Facts(0.0, missing=NOT_BUILT)


def surprises(loaded: Loaded) -> tuple[Surprise, ...]:
    """Return the examples that do not come out as their author wants.

    Raises:
        Malformed: an example does not read.
    """
    return judge_examples(read_examples(loaded.config, CONFIG_NAME), _judge(loaded.policy))


def refuse_surprises(loaded: Loaded) -> None:
    """Do nothing if every example comes out as wanted, or is denied because ``exec-approvals.json`` is broken.

    A broken allowlist stops programs, not agents: every ``exec`` is denied with the reason, and the status names it.

    Raises:
        Malformed: ``policy_surprise``, with the first one that does not.
    """
    found = [surprise for surprise in surprises(loaded) if surprise.code != "approvals_file_broken"]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Malformed("policy_surprise", f"{found[0]}{more}", "run: bascule config check")


def _judge(policy: Policy) -> Callable[[Example], Decision]:
    def judged(example: Example) -> Decision:
        rules = policy.agents[example.agent]
        spec = _SPECS.get(example.tool)
        if spec is None:
            raise Malformed("tool_unknown", f"there is no tool {example.tool[:60]!r}")
        args = spec.parse(read_arguments(example.args))
        intent = _intent(example.tool, args, rules)
        session = parse_session_key(example.session, rules.id) if example.session else cli_session(rules.id)
        proposal = Proposal(rules.id, session, example.tool, example.args, UNKNOWN, "example")
        return judge(seal(proposal, spec, args, intent, {}), _FACTS, rules)

    return judged


def _intent(tool: str, args: Mapping[str, Json], rules: AgentPolicy) -> Intent:
    if tool == "exec":
        plan = read_command(str(args["command"]))
        found = [_installed(command.argv[0], rules) for command in plan.commands]
        return exec_.paths_of(with_programs(plan, found), rules.layout)
    intend = _INTENDS.get(tool)
    return intend(args, rules) if intend is not None else Intent()


def _installed(word: str, rules: AgentPolicy) -> Program:
    """A program as it would be found: a bare name or one of ``/bin`` in ``/usr/bin``, any other path where it says."""
    directory, _, name = word.rpartition("/")
    path = f"/usr/bin/{name}" if directory in {"", "/bin", "/usr/bin"} else locate(word, rules.layout).host
    return Program(word, path, ProgramKind.NATIVE, "0" * 64)
