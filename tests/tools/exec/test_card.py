from dataclasses import replace

import pytest
from tests.builders import CAT, EXEC, GREP, LAYOUT, agent_policy, exec_call

from bascule.core.policy import ExecEntry
from bascule.shell.command import read_command
from bascule.shell.expand import with_programs
from bascule.tools.exec.card import card
from bascule.tools.exec.spec import paths_of


def shown(command: str, rules=None) -> str:
    plan = with_programs(read_command(command), [GREP, CAT])
    call = exec_call(*plan.commands, paths=paths_of(plan, LAYOUT).paths)
    return "\n".join(card(replace(call, plan=plan), rules or agent_policy()))


@pytest.mark.parametrize(
    "part",
    [
        "runs: grep -r 'a b' /etc 2>/dev/null",
        "runs |: /bin/cat > output/o",
        "/usr/bin/grep (native), sha256 " + "a" * 64,
        "/usr/bin/cat (native), sha256 " + "b" * 64,
        "outside its directory: read /etc",
    ],
)
def test_every_program_word_and_outside_path_is_shown(part):
    assert part in shown("grep -r 'a b' /etc 2>/dev/null | /bin/cat > output/o")


def test_connectors_appends_inputs_and_merged_errors_are_shown():
    text = shown("grep x < memory/in 2>&1 && /bin/cat memory/y >> output/o")
    assert "runs: grep x < memory/in 2>&1" in text
    assert "runs &&: /bin/cat memory/y >> output/o" in text
    assert "outside" not in text


def test_what_an_entry_adds_to_the_box_is_shown():
    entry = ExecEntry("/usr/bin/grep", "/usr/bin/grep", writes=True, needs=("/usr/bin/dash",))
    text = shown("grep x a && /bin/cat b", agent_policy(exec=replace(EXEC, entries=(entry,))))
    assert "may also start: /usr/bin/dash" in text
    assert "may write workspace/, memory/ and output/" in text
