"""Images fetched from a registry, recorded by their digest, tried before they are used, and never replaced unseen."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.living import verb
from tests.ordinary import until
from tests.sandboxes.boxed import KEY, Boxed, grounded, within
from tests.sandboxes.containing import configure
from tests.sandboxes.registry import Registry, registry
from tests.sandboxes.second_engine import SecondEngine, small_root

from bascule.core.errors import BasculeError
from bascule.sandboxes.docker.record import FILE

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_root(tmp_path_factory.mktemp("root") / "root.tar").read_bytes()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    engine = SecondEngine(tmp_path_factory.mktemp("engine"))
    engine.start()
    try:
        yield engine
    finally:
        engine.end()


@pytest.fixture
def shop() -> Iterator[Registry]:
    with registry() as made:
        yield made


def build(home: Path, engine: SecondEngine, name: str) -> tuple[int, str, str]:
    home.mkdir(exist_ok=True)
    done = verb(home, "sandbox", "build", "--image", name, "--json", DOCKER_HOST=f"unix://{engine.socket}")
    return done.returncode, done.stdout, done.stderr


def program(text: str, at: str = "usr/bin/python3") -> bytes:
    """A root tree whose Python is a script that only says what it pretends to be."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tree:
        for name, body in ((at, text.encode()), ("usr/bin/keep", b"")):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(body), 0o755 | stat.S_IFREG
            tree.addfile(member, io.BytesIO(body))
    return content.getvalue()


def test_an_image_is_fetched_by_its_tag_alone_recorded_and_used(
    tmp_path: Path, second: SecondEngine, shop: Registry, root: bytes
) -> None:
    wanted, other = shop.put("1", root), shop.put("2", root, Labels={"other": "yes"})
    assert wanted != other
    name = f"{shop.name}:1"
    with grounded(tmp_path / "home", "docker", str(second.socket)) as ground:
        (ground.home / FILE).unlink()
        status, out, err = build(ground.home, second, name)
        assert status == 0, err
        assert json.loads(out)["id"] == wanted
        (recorded,) = json.loads((ground.home / FILE).read_text()).items()
        assert recorded[0] == name
        assert recorded[1]["source"].startswith(f"registry: {shop.name}@sha256:")
        assert not any("/manifests/2" in path for path in shop.asked)

        async def body(boxed: Boxed) -> str:
            configure(boxed, image=name)
            await boxed.boxes.files(KEY)
            (standing,) = await boxed.boxes.standing()
            return standing.image

        assert within(ground, body) == wanted
        # The name now means another image, to the registry and to the engine; not to the home.
        shop.tags["1"] = shop.tags["2"]
        assert second.engine.pull(name) == other
        assert within(ground, body) == wanted
        assert build(ground.home, second, name)[0] == 0
        assert within(ground, body) == other
        # And an image that is not there under its id is not found under its name either.
        gone = json.loads((ground.home / FILE).read_text())
        gone[name]["id"] = "sha256:" + "0" * 64
        (ground.home / FILE).write_text(json.dumps(gone))
        with pytest.raises(BasculeError) as refused:
            within(ground, body)
        assert refused.value.code == "image_missing"


def test_an_image_recorded_anew_replaces_the_container_before_its_next_call(
    tmp_path: Path, second: SecondEngine, shop: Registry, root: bytes
) -> None:
    first = shop.put("1", root, Labels={"first": "yes"})
    name = f"{shop.name}:1"
    with grounded(tmp_path / "home", "docker", str(second.socket)) as ground:
        assert build(ground.home, second, name)[0] == 0

        async def body(boxed: Boxed) -> list[str]:
            configure(boxed, image=name)
            await boxed.boxes.files(KEY)
            found = [box.image for box in await boxed.boxes.standing()]
            later = shop.put("1", root, Labels={"later": "yes"})
            assert build(ground.home, second, name)[0] == 0
            await boxed.boxes.files(KEY)
            return [*found, *(box.image for box in await boxed.boxes.standing()), later]

        before, after, later = within(ground, body)
    assert (before, after) == (first, later)


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (program("", "usr/bin/perl"), "has nothing to run at /usr/bin/python3"),
        (program("no program"), "or does not run here"),
    ],
)
def test_an_image_without_python_is_refused_with_the_reason(
    tmp_path: Path, second: SecondEngine, shop: Registry, tree: bytes, why: str
) -> None:
    identity = shop.put("1", tree)
    status, out, err = build(tmp_path / "home", second, f"{shop.name}:1")
    assert (status, out) == (1, "")
    error = json.loads(err)["error"]
    assert error["code"] == "image_python"
    assert why in error["message"]
    assert not (tmp_path / "home" / FILE).exists()
    assert until(lambda: second.engine.containers({}) == [])
    # One that somebody recorded by hand is refused when it is to be used.
    with grounded(tmp_path / "other", "docker", str(second.socket)) as ground:
        second.record(ground.home, identity)
        with pytest.raises(BasculeError) as refused:
            within(ground, lambda boxed: boxed.boxes.files(KEY))
    assert refused.value.code in {"docker_refused", "container_ended", "container_silent"}
    assert "ython" in refused.value.message
    assert until(lambda: second.engine.containers({}) == [])


def test_an_image_with_an_older_python_is_refused_with_its_version(
    tmp_path: Path, second: SecondEngine, shop: Registry, root: bytes
) -> None:
    older = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(root)) as whole, tarfile.open(fileobj=older, mode="w") as tree:
        for member in whole:
            if not member.name.startswith("usr/bin/python3"):
                tree.addfile(member, whole.extractfile(member) if member.isreg() else None)
        script = b"#!/bin/sh\nexit 109\n"
        member = tarfile.TarInfo("usr/bin/python3")
        member.size, member.mode = len(script), 0o755
        tree.addfile(member, io.BytesIO(script))
    shop.put("1", older.getvalue())
    status, _, err = build(tmp_path / "home", second, f"{shop.name}:1")
    assert status == 1
    assert "has Python 3.9; it needs Python 3.11" in json.loads(err)["error"]["message"]


@pytest.mark.parametrize("tag", ["none", "1@sha256:" + "0" * 64])
def test_what_the_registry_has_not_got(tmp_path: Path, second: SecondEngine, shop: Registry, tag: str) -> None:
    status, _, err = build(tmp_path / "home", second, f"{shop.name}:{tag}")
    assert (status, json.loads(err)["error"]["code"]) == (1, "docker_refused")
