from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import HOME, LAYOUT

from bascule.core.confinement import Mount
from bascule.core.paths import Zone, is_within, locate, normal, shown

ROOT = LAYOUT.agent_root


@pytest.mark.parametrize(
    ("path", "zone", "box"),
    [
        ("notes.md", Zone.HOME, "/workspace/notes.md"),
        (".", Zone.HOME, "/workspace"),
        ("", Zone.HOME, "/workspace"),
        ("MEMORY.md", Zone.HOME, "/workspace/MEMORY.md"),
        ("workspace/a.md", Zone.OWN, "/workspace/workspace/a.md"),
        ("workspace", Zone.HOME, "/workspace/workspace"),
        ("memory/docs/x", Zone.OWN, "/workspace/memory/docs/x"),
        ("output//./x", Zone.OWN, "/workspace/output/x"),
        ("workspace/../tools/t.sh", Zone.TOOLS, "/workspace/tools/t.sh"),
        ("tools", Zone.TOOLS, "/workspace/tools"),
        ("workspacex/y", Zone.HOME, "/workspace/workspacex/y"),
        ("/workspace/memory/x", Zone.OWN, "/workspace/memory/x"),
        (f"{ROOT}/memory/x", Zone.OWN, "/workspace/memory/x"),
        (f"{ROOT}/../bruba-web/memory/x", Zone.PROTECTED, f"{HOME}/agents/bruba-web/memory/x"),
        (f"{ROOT}x/memory", Zone.PROTECTED, f"{ROOT}x/memory"),
        ("../bruba-web/x", Zone.OUTSIDE, "/bruba-web/x"),
        ("../../etc/passwd", Zone.OUTSIDE, "/etc/passwd"),
        (f"{HOME}/bascule.json5", Zone.PROTECTED, f"{HOME}/bascule.json5"),
        (f"{HOME}/state/bascule.db", Zone.PROTECTED, f"{HOME}/state/bascule.db"),
        (f"{HOME}/agents", Zone.PROTECTED, f"{HOME}/agents"),
        (HOME, Zone.PROTECTED, HOME),
        ("/srv", Zone.PROTECTED, "/srv"),
        ("/", Zone.PROTECTED, "/"),
        ("/opt", Zone.PROTECTED, "/opt"),
        ("/opt/bascule/src/gate.py", Zone.PROTECTED, "/opt/bascule/src/gate.py"),
        ("/opt/other", Zone.OUTSIDE, "/opt/other"),
        (f"{HOME}/shared/packets/p", Zone.SHARED, "/workspaces/shared/packets/p"),
        ("/workspaces/shared/repo", Zone.SHARED, "/workspaces/shared/repo"),
        ("/etc", Zone.OUTSIDE, "/etc"),
        ("/etc/hosts", Zone.OUTSIDE, "/etc/hosts"),
        ("/etc/shadow", Zone.PROTECTED, "/etc/shadow"),
        ("/etc/./shadow", Zone.PROTECTED, "/etc/shadow"),
        ("/proc/self/environ", Zone.PROTECTED, "/proc/self/environ"),
        ("/dev/sda", Zone.PROTECTED, "/dev/sda"),
        ("/dev/null", Zone.DEVICE, "/dev/null"),
        ("-", Zone.DEVICE, "-"),
        ("/home/op/.ssh/id_ed25519", Zone.PROTECTED, "/home/op/.ssh/id_ed25519"),
        ("/home/op/notes", Zone.OUTSIDE, "/home/op/notes"),
        ("workspace/.ssh/x", Zone.OWN, "/workspace/workspace/.ssh/x"),
    ],
)
def test_every_path_has_its_zone(path, zone, box):
    place = locate(path, LAYOUT)
    assert (place.zone, place.box) == (zone, box)


BINDS = (
    Mount(f"{HOME}/shared/packets", writable=True, target="/workspaces/shared/packets"),
    Mount("/data/team/context", target="/workspaces/shared/context"),
    Mount("/data/team/context/inner", writable=True, target="/inner"),
    Mount(f"{HOME}/shared/repo", target="/code"),
)


@pytest.mark.parametrize(
    ("path", "zone", "box", "host"),
    [
        (f"{HOME}/shared/packets/p", Zone.BIND_WRITABLE, "/workspaces/shared/packets/p", f"{HOME}/shared/packets/p"),
        (
            "/workspaces/shared/packets/p",
            Zone.BIND_WRITABLE,
            "/workspaces/shared/packets/p",
            f"{HOME}/shared/packets/p",
        ),
        ("/workspaces/shared/context/c", Zone.BIND, "/workspaces/shared/context/c", "/data/team/context/c"),
        ("/data/team/context", Zone.BIND, "/workspaces/shared/context", "/data/team/context"),
        (f"{HOME}/shared/context/c", Zone.SHARED, "/workspaces/shared/context/c", f"{HOME}/shared/context/c"),
        ("/data/team/context/inner/x", Zone.BIND_WRITABLE, "/inner/x", "/data/team/context/inner/x"),
        ("/data/team/contexts", Zone.OUTSIDE, "/data/team/contexts", "/data/team/contexts"),
        ("/workspaces/shared/repo/a", Zone.BIND, "/code/a", f"{HOME}/shared/repo/a"),
        ("/code/../code/a", Zone.BIND, "/code/a", f"{HOME}/shared/repo/a"),
        ("/workspaces/shared", Zone.BIND, "/workspaces/shared", f"{HOME}/shared"),
        (f"{HOME}/shared", Zone.BIND, "/workspaces/shared", f"{HOME}/shared"),
        ("/workspaces/shared/other", Zone.SHARED, "/workspaces/shared/other", f"{HOME}/shared/other"),
        ("memory/x", Zone.OWN, "/workspace/memory/x", f"{ROOT}/memory/x"),
    ],
)
def test_a_bind_has_two_names_and_the_operators_is_shown(path, zone, box, host):
    place = locate(path, replace(LAYOUT, binds=BINDS))
    assert (place.zone, place.box, place.host) == (zone, box, host)
    if zone in {Zone.BIND, Zone.BIND_WRITABLE}:
        assert shown(place.box, replace(LAYOUT, binds=BINDS)) == host


def test_the_operator_is_shown_the_path_on_the_machine():
    assert locate("memory/x", LAYOUT).host == f"{ROOT}/memory/x"
    assert locate("/workspace", LAYOUT).host == ROOT


@given(st.lists(st.sampled_from(["a", "..", ".", "", "memory", "workspace", "etc"]), max_size=8))
def test_a_normal_path_has_one_spelling(parts):
    once = normal("/" + "/".join(parts))
    assert once.startswith("/")
    assert normal(once) == once
    assert not {"", ".", ".."} & set(once[1:].split("/")) or once == "/"


@given(st.text(st.sampled_from("ab/.")), st.text(st.sampled_from("ab/.")))
def test_within_goes_by_whole_components(one, other):
    path, root = normal("/" + one), normal("/" + other)
    assert is_within(path, root) == (path.split("/")[: len(root.split("/"))] == root.split("/") or root == "/")


@given(st.text(max_size=40))
def test_every_string_has_exactly_one_zone(path):
    assert locate(path, LAYOUT).zone in Zone
