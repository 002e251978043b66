"""The templates' own examples come out as they say, judged by every judge there is on an imagined machine."""

from __future__ import annotations

import pytest

from bascule.core.call import Intent, Proposal, seal
from bascule.core.canonical import read_arguments
from bascule.core.facts import Facts
from bascule.core.ids import cli_session
from bascule.core.label import UNKNOWN
from bascule.core.plan import Program, ProgramKind
from bascule.core.verdict import Decision
from bascule.host.templates import TEAMS, team_template
from bascule.judge import judge
from bascule.policy.compile import compile_policy
from bascule.policy.examples import Example, judge_examples, read_examples
from bascule.policy.places import Places
from bascule.shell.command import read_command
from bascule.shell.expand import with_programs
from bascule.tools.edit import spec as edit
from bascule.tools.exec import spec as exec_
from bascule.tools.named.spec import SPECS
from bascule.tools.read import spec as read
from bascule.tools.write import spec as write

FILES = {"read": read, "write": write, "edit": edit}
NOTHING = Intent()
KNOWN = {spec.name: spec for spec in SPECS} | {"exec": exec_.SPEC} | {name: tool.SPEC for name, tool in FILES.items()}


def installed(word: str) -> Program:
    return Program(word, f"/usr/bin/{word.rpartition('/')[2]}", ProgramKind.NATIVE, "0" * 64)


@pytest.mark.parametrize("name", TEAMS)
def test_no_example_surprises(name: str) -> None:
    files = team_template(name).files
    config, approvals = files["bascule.json5"].encode(), files["exec-approvals.json"].encode()
    policy, _ = compile_policy(config, approvals, Places("/h", links={"/bin": "/usr/bin"}))

    def judged(example: Example) -> Decision:
        agent, spec = policy.agents[example.agent], KNOWN[example.tool]
        args = spec.parse(read_arguments(example.args))
        if example.tool == "exec":
            plan = read_command(str(args["command"]))
            found = [installed(command.argv[0]) for command in plan.commands]
            intent = exec_.paths_of(with_programs(plan, found), agent.layout)
        elif example.tool in FILES:
            intent = FILES[example.tool].intend(args, agent.layout)
        else:
            intent = NOTHING
        proposal = Proposal(example.agent, cli_session(example.agent), example.tool, example.args, UNKNOWN)
        return judge(seal(proposal, spec, args, intent, {}), Facts(0.0), agent)

    examples = read_examples(config, "bascule.json5")
    assert len(examples) >= 5
    assert [str(surprise) for surprise in judge_examples(examples, judged)] == []
