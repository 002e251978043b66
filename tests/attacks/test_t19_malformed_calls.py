"""T19: malformed calls slip past the parser or crash it.

Hundreds of lines go through ``bascule call --batch``: each gets one well-formed object in its place, none has an effect,
and the gateway still stands. A reader that repairs (Python's own, taken as it comes) would have let many of them pass.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.living import MAIN, Living, codes, content, effect, living, verb

pytestmark = pytest.mark.live

GOOD = {"agent": MAIN, "tool": "read", "args": {"path": "workspace/notes.md"}}
REPORT = {"call", "decision", "approval", "outcome", "ledger"}
VERDICT = {"judge", "effect", "code", "reason", "remedy"}

WRITE = {"path": "workspace/made", "content": "x"}
"""What a repaired line would do: make a file."""


def line(tool: str = "write", **changes: Any) -> str:
    return json.dumps({"agent": MAIN, "tool": tool, "args": WRITE, **changes})


def raw(args: str, tool: str = "write") -> str:
    return f'{{"agent": "{MAIN}", "tool": "{tool}", "args": {args}}}'


FIELDS = '"path": "workspace/made", "content": "x"'

BAD_LINES = [
    "null", "true", "0", "[]", '""', "{", "}", "{}", "[{}]", "nonsense", "{'agent': 1}", '{"agent"}', line()[:-1],
    line() + line(), line() + "}", line() + " x", "\ufeff" + line(), line(agent=1), line(agent=None), line(tool=None),
    line(args=None), line(args=[]), line(args="{}"), line(args=1), line(session=1), line(session=[]), line(extra=1),
    line(wait=10), line(as_operator=True), line(dry_run=False), line(origin="operator"), line(label="trusted"),
    line().replace('"tool"', '"Tool"'), line()[:-1] + ', "tool": "write"}', line()[:-1] + ', "agent": "bruba-rex"}',
    raw("{" + FIELDS + ', "n": NaN}'), raw("{" + FIELDS + ', "n": Infinity}'), raw("{" + FIELDS + ",}"),
    raw("{" + FIELDS + "} // remark"), raw("{path: 'workspace/made', content: 'x'}"), raw("{" + FIELDS + ', "n": 01}'),
    "{" * 5000, "[" * 5000, raw("[" * 3000 + "]" * 3000), "\x00", "\x1b[2J" + line(), line(agent="../bruba-main"),
    line(agent="BRUBA-MAIN "), line(agent="nobody"), line(agent=""), line(agent="*"), line(session="agent:bruba-rex:cli"),
    line(session=""), line(session="agent:bruba-main:a b"), line(session="x" * 10_000), line(tool="x" * 10_000),
]  # fmt: skip
"""Lines that are no calls: an error object stands in their place."""

BAD_ARGS = [
    "{}", '{"path": "workspace/made"}', '{"content": "x"}', "{" + FIELDS + ', "path": "workspace/made2"}',
    "{" + FIELDS + ', "mode": "0777"}', "{" + FIELDS + ', "append": 1}', "{" + FIELDS + ', "append": "true"}',
    "{" + FIELDS + ', "append": null}', '{"path": null, "content": "x"}', '{"path": 1, "content": "x"}',
    '{"path": ["workspace/made"], "content": "x"}', '{"path": {"a": 1}, "content": "x"}', '{"path": "", "content": "x"}',
    '{"path": "workspace/made\\u0000", "content": "x"}', '{"path": "workspace/made", "content": 1}',
    '{"path": "workspace/made", "content": null}', '{"path": "workspace/made", "content": true}',
    '{"path": "workspace/made", "content": "\\ud800"}', '{"path": "workspace/\\udfff", "content": "x"}',
    '{"PATH": "workspace/made", "content": "x"}', '{"path ": "workspace/made", "content": "x"}',
    '{"\\u0070ath": "workspace/made", "path": "workspace/made", "content": "x"}', "{" + FIELDS + ', "n": 1e400}',
    "{" + FIELDS + ', "n": 9007199254740993}', "{" + FIELDS + ', "n": -0.0}', "{" + FIELDS + ', "n": 1.5}',
    "{" + FIELDS + ', "__proto__": {}}', "{" + FIELDS + ', "": 1}', "{" + FIELDS + ', "a": ' + "[" * 200 + "]" * 200 + "}",
    '{"path": "' + "a/" * 4000 + '", "content": "x"}',
]  # fmt: skip
"""Arguments that are no ``write``: refused by the gate, recorded."""

BAD_EXEC = [
    {}, {"command": 1}, {"command": None}, {"command": ["cat", "workspace/notes.md"]}, {"command": ""}, {"command": " "},
    {"command": "x" * 20_000}, {"command": "cat\0workspace/notes.md"}, {"command": "cat workspace/notes.md\0"},
    {"command": "cat \ud800"}, {"command": "cat 'workspace"}, {"command": 'cat "'}, {"command": "cat \\"},
    {"command": "| cat"}, {"command": "cat |"}, {"command": "&& cat"}, {"command": "cat ;; cat"}, {"command": "cat >"},
    {"command": "cat workspace/notes.md", "timeout": 0}, {"command": "cat workspace/notes.md", "timeout": -1},
    {"command": "cat workspace/notes.md", "timeout": 1 << 60}, {"command": "cat workspace/notes.md", "timeout": "9"},
    {"command": "cat workspace/notes.md", "timeout": True}, {"command": "cat workspace/notes.md", "cwd": "/"},
    {"command": "cat workspace/notes.md", "env": {"LD_PRELOAD": "x"}}, {"command": "cat workspace/notes.md", "host": "gateway"},
    {"command": "cat workspace/notes.md", "security": "full"}, {"command": "cat workspace/notes.md", "cmd": "ls"},
    {"command": "cat workspace/notes.md", "elevated": True}, {"command": "cat\u00a0workspace/notes.md"},
    {"command": "cat\rworkspace/notes.md"}, {"command": "cat\x1b workspace/notes.md"}, {"command": "a|" * 100 + "a"},
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        (made.root() / "workspace" / "notes.md").write_text("notes\n")
        made.change("bascule.json5", lambda text: text.replace("callsPerMinute: 600", "callsPerMinute: 100000"))

    with living(tmp_path_factory.mktemp("t19") / "home", prepare) as made:
        yield made


def batch(house: Living, lines: list[str]) -> tuple[list[dict[str, Any]], int]:
    path = house.home.parent / "batch.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n")
    done = verb(house.home, "call", "--batch", str(path), "--json")
    assert done.stdout.isascii()
    return [json.loads(text) for text in done.stdout.splitlines()], done.returncode


def well_formed(found: dict[str, Any]) -> bool:
    if "error" in found:
        return set(found) == {"error"} and set(found["error"]) == {"code", "message", "remedy"}
    verdicts = found["decision"]["verdicts"]
    return set(found) == REPORT and all(set(verdict) == VERDICT for verdict in verdicts)


@pytest.fixture(autouse=True)
def _nothing_was_made_and_all_still_works(house: Living) -> Iterator[None]:
    yield
    assert [path.name for path in (house.root() / "workspace").iterdir()] == ["notes.md"]
    assert content(house.call("read", {"path": "workspace/notes.md"})) == "notes\n"


def test_without_the_parser_many_of_them_would_be_calls() -> None:
    lenient = 0
    for args in BAD_ARGS:
        found = json.loads(args)
        lenient += str(found.get("path", "")).startswith("workspace/made") and "content" in found
    assert lenient >= 10


def test_a_line_that_is_no_call_gets_an_error_in_its_place(house: Living) -> None:
    lines = [text for bad in BAD_LINES for text in (bad, json.dumps(GOOD))]
    results, status = batch(house, lines)
    assert len(results) == len(lines)
    assert all(map(well_formed, results))
    for text, result in zip(lines[::2], results[::2], strict=True):
        assert "error" in result or (effect(result) == "deny" and result["outcome"] is None), text[:100]
    assert all(content(result) == "notes\n" for result in results[1::2])
    assert status == 2


def test_arguments_that_fit_no_tool_are_denied_and_on_record(house: Living) -> None:
    last = house.records(1)[0]["seq"]
    calls = [raw(args) for args in BAD_ARGS] + [line("exec", args=args) for args in BAD_EXEC]
    results, status = batch(house, calls)
    assert len(results) == len(calls)
    assert all(map(well_formed, results))
    for text, result in zip(calls, results, strict=True):
        if "error" not in result:
            assert (effect(result), result["outcome"]) in {("deny", None), ("allow", "failed")}, text[:200]
            assert codes(result)
    denied = [result["ledger"]["seq"] for result in results if "error" not in result]
    assert len(denied) >= len(calls) - 8
    recorded = [record["seq"] for record in house.records(len(calls) + 10) if record["seq"] > last]
    assert set(denied) <= set(recorded)
    assert status in {2, 4}


@pytest.mark.parametrize("seed", range(3))
def test_lines_broken_at_random_give_well_formed_answers(house: Living, seed: int) -> None:
    chance = random.Random(seed)
    calls = [raw(args) for args in BAD_ARGS] + [line("exec", args=args) for args in BAD_EXEC] + [line()]
    lines = [_broken(chance.choice(calls), chance) for _ in range(300)]
    results, status = batch(house, lines)
    assert len(results) == len([text for text in lines if text.strip()])
    assert all(map(well_formed, results))
    assert status in {1, 2, 4}
    for path in (house.root() / "workspace").glob("m*"):
        path.unlink()  # a line may still be a call after all


def _broken(text: str, chance: random.Random) -> str:
    letters = list(text[:3000])
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(letters))
        action = chance.randrange(3)
        if action == 0:
            del letters[at]
        elif action == 1:
            letters.insert(at, chance.choice('{}[]",:\\0\x00\x1b\u202e\ufeffé'))
        else:
            letters[at] = chance.choice('{}[]",:\\ nul1e.-x')
    return "".join(letters).replace("\n", " ").replace("\r", " ") or "x"


STATUSES = [
    ([json.dumps(GOOD)], 0),
    ([line("read", args={"path": "workspace/none"})], 1),
    ([line("exec", args={"command": "git status"})], 3),
    ([line("exec", args={"command": "cat /etc/shadow"})], 4),
    ([line("nosuch")], 4),
    (["{"], 2),
    ([json.dumps(GOOD), line("read", args={"path": "workspace/none"})], 1),
    ([line("read", args={"path": "workspace/none"}), line("exec", args={"command": "git status"})], 3),
    ([line("exec", args={"command": "git status"}), line("nosuch")], 4),
    ([line("nosuch"), "{", json.dumps(GOOD)], 2),
    ([], 0),
]


@pytest.mark.parametrize(("lines", "status"), STATUSES)
def test_the_status_of_a_batch_is_the_worst_that_is_worth_saying(house: Living, lines: list[str], status: int) -> None:
    results, found = batch(house, lines) if lines else ([], batch(house, [""])[1])
    assert len(results) == len(lines)
    assert found == status


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a":1,"a":1}', "NaN", '{"path": "\\ud800"}', "{" * 9000])
def test_malformed_arguments_of_one_call_are_a_usage_error_or_a_denial(house: Living, text: str) -> None:
    done = verb(house.home, "call", MAIN, "write", text, "--json")
    assert done.returncode in {2, 4}
    found = json.loads((done.stdout or done.stderr).splitlines()[0])
    assert well_formed(found)
