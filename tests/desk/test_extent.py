"""What a yes may reach, and that it reaches nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import AGENT, LAYOUT, command, exec_call, file_call, proposal, spec

from bascule.core.call import Call, Intent, seal
from bascule.core.errors import Tampered
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.core.paths import Access, PathUse, Zone, locate
from bascule.core.plan import Connector, Plan, Program, ProgramKind, Step, Streams
from bascule.core.toolspec import ActionClass
from bascule.desk.extent import GRANTABLE, Kind, Reach, Token, covers, extent_of, from_json, refusal, to_json

WC = Program("wc", "/usr/bin/wc", ProgramKind.NATIVE, "c" * 64)
PYTHON = Program("python3", "/usr/bin/python3.11", ProgramKind.NATIVE, "d" * 64)
SH = Program("sh", "/usr/bin/dash", ProgramKind.NATIVE, "e" * 64)


def use(path: str, access: Access = Access.READ) -> PathUse:
    return PathUse(locate(path, LAYOUT), access, "word")


def line(program: Program, *words: str, paths: tuple[str, ...] = (), **bindings: str) -> Call:
    made = exec_call(command(program, *words), paths=tuple(use(path) for path in paths))
    return replace(made, bindings={name.replace("_", ":"): value for name, value in bindings.items()})


COUNT = line(WC, "-l", "workspace/a.txt", paths=("workspace/a.txt",))


@pytest.mark.parametrize(
    "other",
    [
        line(WC, "-c", "workspace/a.txt", paths=("workspace/a.txt",)),
        line(WC, "-l", "workspace/b.txt", paths=("workspace/b.txt",)),
        line(WC, "-l", paths=("workspace/a.txt",)),
        line(WC, "-l", "workspace/a.txt", "--x", paths=("workspace/a.txt",)),
        line(replace(WC, sha256="f" * 64), "-l", "workspace/a.txt", paths=("workspace/a.txt",)),
        line(replace(WC, path="/usr/local/bin/wc"), "-l", "workspace/a.txt", paths=("workspace/a.txt",)),
        line(WC, "-l", "workspace/a.txt", paths=("workspace/a.txt", "/etc/passwd")),
        line(WC, "-l", "workspace/a.txt", paths=("workspace/a.txt",), script_0="a"),
        exec_call(command(WC, "-l", "workspace/a.txt"), command(WC), paths=(use("workspace/a.txt"),)),
        exec_call(
            replace(command(WC, "-l", "workspace/a.txt"), streams=Streams(stdout="workspace/o")),
            paths=(use("workspace/a.txt"),),
        ),
        exec_call(
            replace(command(WC, "-l", "workspace/a.txt"), streams=Streams(stderr="null")),
            paths=(use("workspace/a.txt"),),
        ),
        exec_call(command(WC, "-l", "workspace/a.txt"), paths=(use("workspace/a.txt", Access.WRITE),)),
        file_call("workspace/a.txt"),
    ],
)
def test_an_exact_extent_covers_its_call_and_no_other(other: Call) -> None:
    assert covers(extent_of(COUNT), extent_of(COUNT))
    assert not covers(extent_of(COUNT), extent_of(other))


def test_another_connector_is_another_call() -> None:
    def joined(connector: Connector) -> Call:
        steps = (Step(Connector.FIRST, (command(WC),)), Step(connector, (command(WC),)))
        return replace(exec_call(command(WC)), plan=Plan(steps))

    assert covers(extent_of(joined(Connector.AND)), extent_of(joined(Connector.AND)))
    assert not covers(extent_of(joined(Connector.AND)), extent_of(joined(Connector.OR)))
    piped = exec_call(command(WC), command(WC))
    assert not covers(extent_of(joined(Connector.THEN)), extent_of(piped))


def wide(*tokens: Token, below: str = "") -> object:
    exact = extent_of(COUNT)
    reaches = (Reach(Access.READ, Zone.OWN, below, below=True),) if below else exact.reaches
    return replace(exact, tokens=(*exact.tokens[:2], *tokens), reaches=reaches)


@pytest.mark.parametrize(
    ("words", "path", "covered"),
    [
        (("-l", "workspace/b.txt"), "workspace/b.txt", True),
        (("-l", "workspace/deep/b.txt"), "workspace/deep/b.txt", True),
        (("-l", "--files0-from=x"), "workspace/b.txt", False),
        (("-l", "-"), "workspace/b.txt", False),
        (("-l", "memory/b.txt"), "memory/b.txt", False),
        (("-l", "workspace-2/b.txt"), "workspace-2/b.txt", False),
        (("-l", "/etc/hosts"), "/etc/hosts", False),
        (("-l", "workspace/../../other"), "workspace/../../other", False),
    ],
)
def test_any_word_is_no_option_and_stays_below(words: tuple[str, ...], path: str, covered: bool) -> None:
    extent = wide(Token(Kind.WORD, "-l"), Token(Kind.ANY), below=f"{LAYOUT.agent_root}/workspace")
    assert covers(extent, extent_of(line(WC, *words, paths=(path,)))) is covered


def test_an_option_with_any_value_is_that_option() -> None:
    extent = wide(Token(Kind.OPTION, "--max="), Token(Kind.WORD, "workspace/a.txt"))
    paths = ("workspace/a.txt",)
    assert covers(extent, extent_of(line(WC, "--max=5", "workspace/a.txt", paths=paths)))
    for other in ("--maximum=5", "--max", "x--max=5"):
        assert not covers(extent, extent_of(line(WC, other, "workspace/a.txt", paths=paths)))


def test_arguments_of_other_tools_count_but_how_much_is_read_does_not() -> None:
    def reads(**args: object) -> Call:
        return file_call("a", args={"path": "a", **args})

    def writes(content: str) -> Call:
        return file_call("a", Access.WRITE, "write", args={"path": "a", "content": content})

    assert covers(extent_of(reads()), extent_of(reads(limit=5, offset=3)))
    assert not covers(extent_of(writes("x")), extent_of(writes("y")))


TRUSTED_PUBLIC = Label(Integrity.TRUSTED, Confidentiality.PUBLIC)


@pytest.mark.parametrize("action", ActionClass)
def test_what_leaves_acts_later_or_changes_bascule_is_never_granted(action: ActionClass) -> None:
    public = replace(COUNT, label=TRUSTED_PUBLIC)
    assert (refusal(public, action) == "") is (action in GRANTABLE)
    assert not GRANTABLE & {ActionClass.EXTERNAL, ActionClass.ADMIN, ActionClass.SCHEDULE, ActionClass.PEER}


def test_private_data_never_leaves_by_a_grant() -> None:
    assert refusal(replace(COUNT, label=TRUSTED_PUBLIC), ActionClass.WEB) == ""
    private = replace(TRUSTED_PUBLIC, confidentiality=Confidentiality.PRIVATE)
    assert "private" in refusal(replace(COUNT, label=private), ActionClass.WEB)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (line(PYTHON, "workspace/x.py"), "content"),
        (line(PYTHON, "workspace/x.py", script_0="ab"), ""),
        (line(PYTHON, "-c", "print(1)"), ""),
        (line(PYTHON, "-m", "mod"), "does not show"),
        (line(SH), "whatever comes in"),
        (exec_call(command(WC, "a"), command(SH)), "whatever comes in"),
        (line(Program("env", "/usr/bin/env", ProgramKind.NATIVE, "a"), "python3", "x"), "does not show"),
    ],
)
def test_what_an_interpreter_runs_must_be_known(call: Call, why: str) -> None:
    found = refusal(call, ActionClass.COMPUTE)
    assert (why in found) if why else found == ""


@given(
    st.lists(st.text(max_size=5), max_size=4),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    st.sampled_from([None, "o", "/etc/x"]),
)
def test_extents_come_back_from_the_database_as_they_were(
    words: list[str], bindings: dict[str, str], out: str | None
) -> None:
    made = replace(command(WC, *words), streams=Streams(stdout=out, append=True))
    call = seal(
        proposal("exec"), spec("exec"), {}, Intent((use("a"),), Plan((Step(Connector.FIRST, (made,)),))), bindings
    )
    extent = extent_of(call)
    assert from_json(to_json(extent)) == extent
    assert covers(from_json(to_json(extent)), extent)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"tool":1}', "null", to_json(extent_of(COUNT)).replace("program", "pro")]
)
def test_a_damaged_extent_covers_nothing(text: str) -> None:
    with pytest.raises(Tampered):
        from_json(text)


def test_an_agents_extent_does_not_name_it() -> None:
    """Whose calls are covered stands in the grant, not here; see ``test_grants.py``."""
    assert AGENT not in to_json(replace(extent_of(COUNT), reaches=()))
