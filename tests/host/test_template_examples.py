"""The templates' own examples come out as they say, judged by every judge there is on an imagined machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.app.rehearsal import refuse_surprises, surprises
from bascule.core.errors import Malformed
from bascule.host.policy_files import load
from bascule.host.templates import TEAMS, team_template
from bascule.policy.examples import read_examples


def written(home: Path, name: str, old: str = "", new: str = "") -> Path:
    for path, text in team_template(name).files.items():
        if "/" not in path:
            (home / path).write_text(text.replace(old, new) if old else text)
            (home / path).chmod(0o644)
    return home


@pytest.mark.parametrize("name", TEAMS)
def test_no_example_surprises(tmp_path: Path, name: str) -> None:
    loaded = load(written(tmp_path, name))
    assert len(read_examples(loaded.config, "bascule.json5")) >= 5
    assert [str(surprise) for surprise in surprises(loaded)] == []


@pytest.mark.parametrize("name", TEAMS)
def test_an_example_that_comes_out_otherwise_keeps_the_gateway_from_starting(tmp_path: Path, name: str) -> None:
    loaded = load(written(tmp_path, name, 'want: "deny"', 'want: "allow"'))
    with pytest.raises(Malformed) as refused:
        refuse_surprises(loaded)
    assert refused.value.code == "policy_surprise"
