from dataclasses import replace

import pytest
from tests.builders import CAT, EXEC, FACTS, FIT, GREP, LAYOUT, agent_policy, command, exec_call, file_call

from bascule.core.confinement import Confinement
from bascule.core.finding import Severity
from bascule.core.paths import Access, PathUse, locate
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import Backend, ExecAsk, ExecEntry, ExecSecurity, SandboxPolicy
from bascule.core.verdict import Effect
from bascule.layers import l6_exec_allowlist as l6

ID = Program("/usr/bin/id", "/usr/bin/id", ProgramKind.NATIVE, "c" * 64)
TOOL = Program(
    "tools/t.sh", f"{LAYOUT.agent_root}/tools/t.sh", ProgramKind.SCRIPT, "d" * 64, interpreter="/usr/bin/dash"
)


def rules(*entries: ExecEntry, **changes: object):
    return agent_policy(exec=replace(EXEC, entries=entries or EXEC.entries, **changes))


def entry(pattern: str, **fields: object) -> ExecEntry:
    return ExecEntry(pattern, pattern, where="exec-approvals.json:9", **fields)


def tool_entry(**fields: object) -> ExecEntry:
    return entry(f"{LAYOUT.agent_root}/tools/*.sh", **fields)


def said(call, policy, facts=FACTS):
    verdict = l6.judge(call, facts, policy)
    return verdict.effect, verdict.code


@pytest.mark.parametrize(
    ("programs", "policy", "expected"),
    [
        ([GREP], rules(), (Effect.ALLOW, "ok")),
        ([GREP, CAT], rules(), (Effect.ALLOW, "ok")),
        ([ID], rules(), (Effect.ASK, "program_not_listed")),
        ([GREP, ID], rules(), (Effect.ASK, "program_not_listed")),
        ([ID], rules(ask=ExecAsk.OFF), (Effect.DENY, "program_not_listed")),
        ([GREP], rules(ask=ExecAsk.ALWAYS), (Effect.ASK, "exec_always_asks")),
        ([ID], rules(ask=ExecAsk.ALWAYS), (Effect.ASK, "program_not_listed")),
        ([GREP], rules(security=ExecSecurity.DENY), (Effect.DENY, "exec_denied")),
        ([GREP], rules(broken="line 3"), (Effect.DENY, "approvals_file_broken")),
        ([None], rules(), (Effect.DENY, "program_unresolved")),
        ([Program("x", "", ProgramKind.MISSING)], rules(), (Effect.DENY, "program_missing")),
        (
            [Program("ls", "/usr/bin/busybox", ProgramKind.MULTICALL)],
            rules(entry("/usr/bin/busybox")),
            (Effect.DENY, "program_multicall"),
        ),
        ([TOOL], rules(tool_entry(needs=("/usr/bin/dash",))), (Effect.ALLOW, "ok")),
        ([TOOL], rules(tool_entry()), (Effect.DENY, "interpreter_not_listed")),
        ([TOOL], rules(), (Effect.ASK, "program_not_listed")),
        (
            [replace(TOOL, path=f"{LAYOUT.agent_root}/workspace/t.sh")],
            rules(entry(f"{LAYOUT.agent_root}/**", needs=("/usr/bin/dash",))),
            (Effect.DENY, "program_writable"),
        ),
    ],
)
def test_programs_are_held_to_the_list(programs, policy, expected):
    assert said(exec_call(*(command(program, "x") for program in programs)), policy) == expected


def test_tools_that_an_agent_could_have_planted_do_not_run():
    facts = replace(FACTS, tools_unsafe="t.sh belongs to the agent")
    policy = rules(tool_entry(needs=("/usr/bin/dash",)))
    assert said(exec_call(command(TOOL)), policy, facts) == (Effect.DENY, "tools_unsafe")


@pytest.mark.parametrize(
    ("args", "words", "listed"),
    [
        ("-r needle \\.", ("-r", "needle", "."), True),
        ("-r needle \\.", ("-r", "needle", ".", "x"), False),
        ("-r needle \\.", ("-r", "needle", ".\n"), False),
        ("a", ("a", ""), False),
        ("'a b'", ("a b",), True),
        ("a b", ("a b",), False),
        ("", (), True),
        ("", ("",), False),
        ("(\\w+\\s?)*x", ("a" * 40,), False),
    ],
)
def test_args_match_the_whole_quoted_rendering(args, words, listed):
    policy = rules(entry("/usr/bin/grep", args=args))
    assert (said(exec_call(command(GREP, *words)), policy)[0] is Effect.ALLOW) is listed


@pytest.mark.parametrize(
    ("path", "access", "effect"),
    [
        ("/workspace", Access.READ, Effect.ALLOW),
        ("/etc", Access.READ, Effect.ASK),
        ("/etc/shadow", Access.READ, Effect.DENY),
        ("/srv/bots/state", Access.READ, Effect.DENY),
        ("memory/x", Access.WRITE, Effect.DENY),
    ],
)
def test_operands_are_held_to_scope(path, access, effect):
    use = PathUse(locate(path, LAYOUT), access, "operand", 0)
    assert said(exec_call(command(GREP), paths=(use,)), rules())[0] is effect


def test_writes_belong_to_the_entry_of_the_very_command():
    use = PathUse(locate("memory/x", LAYOUT), Access.WRITE, "operand", 1)
    writer, reader = entry("/usr/bin/cat", writes=True), entry("/usr/bin/grep")
    both = (command(GREP), command(CAT))
    assert said(exec_call(*both, paths=(use,)), rules(writer, reader))[0] is Effect.ALLOW
    assert said(exec_call(*both, paths=(replace(use, command=0),)), rules(writer, reader))[0] is Effect.DENY


def test_a_redirect_is_the_calls_write_not_the_programs():
    use = PathUse(locate("memory/x", LAYOUT), Access.WRITE, "redirect > memory/x")
    assert said(exec_call(command(GREP), paths=(use,)), rules())[0] is Effect.ALLOW


def test_a_box_holds_the_plans_programs_and_what_their_entries_need():
    policy = rules(tool_entry(needs=("/usr/bin/dash",)), *EXEC.entries)
    call = exec_call(command(GREP, "x"), command(TOOL))
    assert l6.confine(call, policy).programs == {GREP.path, TOOL.path, "/usr/bin/dash"}
    assert l6.confine(file_call("x"), policy) == Confinement(programs=frozenset())


def test_an_approved_script_gets_its_interpreter_and_nothing_else():
    assert l6.needs_of(command(TOOL), EXEC) == ("/usr/bin/dash",)
    assert l6.needs_of(command(ID), EXEC) == ()
    assert l6.writes_of(command(ID), EXEC) is False


def test_what_can_change_files_is_what_names_one_to_write_or_gets_a_box_that_writes():
    writing = replace(EXEC, entries=(replace(EXEC.entries[0], writes=True),))
    assert l6.changes_files(file_call("a", Access.WRITE), agent_policy())
    assert not l6.changes_files(file_call("a"), agent_policy())
    assert not l6.changes_files(exec_call(command(GREP)), agent_policy())
    assert l6.changes_files(exec_call(command(CAT), command(GREP)), agent_policy(exec=writing))


def test_file_tools_are_none_of_its_business():
    assert said(file_call("/etc/shadow"), rules(security=ExecSecurity.DENY)) == (Effect.ALLOW, "ok")


def test_tools_that_are_not_mounted_are_found_although_the_box_is_fit():
    assert l6.check(FIT, agent_policy()) == ()
    [found] = l6.check(replace(FIT, tools_unsafe="t.sh belongs to the agent"), agent_policy())
    assert (found.check, found.severity) == ("exec.tools", Severity.WARN)


def test_the_bare_host_is_found_although_it_is_no_reason_to_stop():
    [found] = l6.check(FIT, agent_policy(sandbox=SandboxPolicy(Backend.UNSAFE_NONE)))
    assert (found.check, found.severity) == ("exec.bare_host", Severity.WARN)
