import os

import pytest
from tests.policy.making import compiled

from bascule.host.sources import lent_sources


def found(source):
    agents = {"list": [{"id": "a", "sandbox": {"docker": {"binds": [f"{source}:/data:ro"]}}}]}
    return [(finding.check, str(finding.severity)) for finding in lent_sources(compiled({"agents": agents})[0])]


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("there", []),
        ("file", []),
        ("gone", [("sandbox.bind_absent", "warn")]),
        ("file/below", [("sandbox.bind_absent", "warn")]),
        ("link", [("sandbox.bind_link", "critical")]),
        ("link/inner", [("sandbox.bind_link", "critical")]),
        ("dangling", [("sandbox.bind_link", "critical")]),
        ("pipe", [("sandbox.bind_kind", "critical")]),
    ],
)
def test_what_would_be_lent_is_looked_at(tmp_path, name, checks):
    place = tmp_path.resolve()
    (place / "there" / "inner").mkdir(parents=True)
    (place / "file").write_text("x")
    (place / "link").symlink_to(place / "there")
    (place / "dangling").symlink_to(place / "nowhere")
    os.mkfifo(place / "pipe")
    assert found(place / name) == checks
