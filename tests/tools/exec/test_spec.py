import pytest
from tests.builders import LAYOUT

from bascule.core.errors import Malformed
from bascule.core.paths import Access, Zone
from bascule.core.plan import Connector
from bascule.shell.command import read_command
from bascule.tools.exec.spec import SPEC, paths_of


def test_a_command_touches_its_operands_and_its_redirects():
    intent = paths_of(read_command("grep -r x memory < AGENTS.md && cat /etc/hosts > output/o"), LAYOUT)
    assert [(use.place.box, use.place.zone, use.access, use.command) for use in intent.paths] == [
        ("/workspace/memory", Zone.HOME, Access.READ, 0),
        ("/workspace/AGENTS.md", Zone.HOME, Access.READ, -1),
        ("/etc/hosts", Zone.OUTSIDE, Access.READ, 1),
        ("/workspace/output/o", Zone.OWN, Access.WRITE, -1),
    ]
    assert [step.connector for step in intent.plan.steps] == [Connector.FIRST, Connector.AND]


@pytest.mark.parametrize("command", ["cat a 2>/dev/null | wc -l", "cat a >/dev/null | wc -l < /dev/null"])
def test_throwing_away_is_no_file(command):
    written = [use for use in paths_of(read_command(command), LAYOUT).paths if use.command < 0]
    assert written == []


@pytest.mark.parametrize(
    "args", [{"command": "x" * 16_385}, {"command": "ls", "env": "A=1"}, {"command": "ls", "timeout": 0}]
)
def test_arguments_beyond_command_and_timeout_are_refused(args):
    with pytest.raises(Malformed):
        SPEC.parse(args)
