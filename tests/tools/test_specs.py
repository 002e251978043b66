"""What each tool's parser makes of its arguments; cards tell the whole call."""

from dataclasses import replace

import pytest
from tests.builders import CAT, GREP, LAYOUT, agent_policy, exec_call, file_call

from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement
from bascule.core.paths import Access, Zone
from bascule.core.plan import Connector
from bascule.shell.command import read_command
from bascule.shell.expand import with_programs
from bascule.tools.edit import card as edit_card
from bascule.tools.edit import spec as edit
from bascule.tools.exec import card as exec_card
from bascule.tools.exec import spec as exec_spec
from bascule.tools.named.spec import SPECS
from bascule.tools.read import card as read_card
from bascule.tools.read import spec as read
from bascule.tools.write import card as write_card
from bascule.tools.write import spec as write


def uses(intent):
    return [(use.place.box, use.place.zone, use.access, use.command) for use in intent.paths]


@pytest.mark.parametrize(
    ("module", "args", "access"),
    [
        (read, {"path": "memory/x"}, Access.READ),
        (write, {"path": "memory/x", "content": ""}, Access.WRITE),
        (edit, {"path": "memory/x", "oldText": "a", "newText": "b"}, Access.WRITE),
    ],
)
def test_a_file_tool_touches_the_one_file_it_names(module, args, access):
    assert uses(module.intend(args, LAYOUT)) == [("/workspace/memory/x", Zone.OWN, access, -1)]
    assert module.SPEC.parse(args) == args


@pytest.mark.parametrize(("old", "new", "code"), [("", "x", "edit_empty"), ("x", "x", "edit_same")])
def test_an_edit_of_nothing_is_refused(old, new, code):
    with pytest.raises(Malformed) as refused:
        edit.intend({"path": "memory/x", "oldText": old, "newText": new}, LAYOUT)
    assert refused.value.code == code


def test_a_command_touches_its_operands_and_its_redirects():
    intent = exec_spec.paths_of(read_command("grep -r x memory < AGENTS.md && cat /etc/hosts > output/o"), LAYOUT)
    assert uses(intent) == [
        ("/workspace/memory", Zone.HOME, Access.READ, 0),
        ("/workspace/AGENTS.md", Zone.HOME, Access.READ, -1),
        ("/etc/hosts", Zone.OUTSIDE, Access.READ, 1),
        ("/workspace/output/o", Zone.OWN, Access.WRITE, -1),
    ]
    assert [step.connector for step in intent.plan.steps] == [Connector.FIRST, Connector.AND]


@pytest.mark.parametrize("command", ["cat a > output/o | wc -l", "cat a | wc -l < memory/x"])
def test_a_file_redirect_inside_a_pipeline_is_refused(command):
    with pytest.raises(Malformed):
        exec_spec.paths_of(read_command(command), LAYOUT)


def test_named_tools_all_lack_something():
    assert all(spec.needs and spec.open_args for spec in SPECS)
    assert len({spec.name for spec in SPECS}) == len(SPECS)
    needs = {spec.name: next(iter(spec.needs)) for spec in SPECS}
    assert needs["web_fetch"] is Enforcement.PROXY
    assert needs["browser"] is Enforcement.NOT_CARRIED


def test_cards_leave_nothing_out():
    content = "one\n" + "x" * 9000
    call = file_call("/etc/hosts", Access.WRITE, "write")
    written = "\n".join(write_card.card(_with(call, content=content)))
    assert "/etc/hosts" in written
    assert "x" * 9000 in written
    edited = "\n".join(edit_card.card(_with(call, oldText="a\nb", newText="c", replaceAll=True)))
    assert "- a\n- b\n+ c" in edited
    assert "every place" in edited
    assert "/etc/hosts" in "\n".join(read_card.card(file_call("/etc/hosts")))


def _with(call, **args):
    return replace(call, args={**call.args, **args})


def test_a_commands_card_shows_every_program_as_it_lies_on_disk():
    plan = with_programs(read_command("grep -r 'a b' /etc 2>/dev/null | /bin/cat > output/o"), [GREP, CAT])
    intent = exec_spec.paths_of(plan, LAYOUT)
    call = exec_call(*plan.commands, paths=intent.paths)
    shown = "\n".join(exec_card.card(call, agent_policy()))
    for part in (
        "grep -r 'a b' /etc 2>/dev/null",
        "/usr/bin/grep",
        "a" * 64,
        "b" * 64,
        "> output/o",
        "read /etc (word 4 of grep)",
    ):
        assert part in shown, part
