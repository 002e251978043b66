"""Building an image from Debian's packages, or fetching one: what comes back is its id and what is in it.

Stops: an image whose content nobody wrote down: of every package its version and the SHA-256 Debian signs are kept.
``mmdebstrap`` checks the signatures. Does not stop what a package does; a container's walls do not rest on its image.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.sandboxes.docker.engine import Engine, split_name
from bascule.sandboxes.docker.record import Image

SUITE = "bookworm"
PACKAGES = ("python3-minimal", "libpython3.11-stdlib", "ca-certificates", "curl")
"""What a container needs besides Debian's smallest system: Python for the resident and the file worker; for programs
with a way out a client that knows the proxy, and the certificates to check servers by."""

REMARK = f"made of {SUITE} with {' '.join(PACKAGES)}"
"""What the engine keeps beside the image, so that one made of other packages is known."""

BUILDER = "mmdebstrap"
_BUILD_SECONDS = 900
_MIRROR = re.compile(r"https?://[A-Za-z0-9.:_/-]{1,200}")
_LIST = 'chroot "$1" sh -c \'dpkg-query -W -f="\\${Package}=\\${Version}\\n" | xargs apt-cache show\' > '
"""Run by the builder in the tree it has made; the shell is the builder's own way of being told."""


def debian_image(engine: Engine, name: str, mirror: str) -> Image:
    """Build an image from Debian's packages and return it.

    Args:
        engine: takes it.
        name: what to call it.
        mirror: where the packages are.

    Raises:
        Malformed: the mirror is no plain address.
        Unavailable: there is no builder, or it failed.
    """
    if not _MIRROR.fullmatch(mirror):
        raise Malformed("image_mirror", f"{mirror[:100]!r} is no address of a mirror")
    program = shutil.which(BUILDER, path="/usr/bin:/bin")
    if program is None:
        raise Unavailable("image_builder", f"there is no {BUILDER} here", f"apt-get install {BUILDER}")
    with tempfile.TemporaryDirectory(prefix="bascule-image-") as folder:
        archive, listed = Path(folder, "root.tar"), Path(folder, "packages")
        words = [
            program, "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            f"--customize-hook={_LIST}{listed}", SUITE, str(archive), mirror,
        ]  # fmt: skip
        _run(words)
        packages = read_packages(listed.read_text("utf-8", "replace"))
        with archive.open("rb") as content:
            return Image(engine.load(content, name, REMARK), f"{SUITE} from {mirror}", packages)


def fetched_image(engine: Engine, name: str) -> Image:
    """Fetch an image from its registry and return it.

    Raises:
        Unavailable: it cannot be had.
    """
    identity = engine.pull(name)
    found = engine.image(identity)
    digests = found.get("RepoDigests") if found is not None else None
    repository = split_name(name)[0].rpartition("/")[2]
    pinned = [str(one) for one in digests if f"{repository}@" in str(one)] if isinstance(digests, list) else []
    return Image(identity, f"registry: {pinned[0] if pinned else name}"[:300])


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 -- the words are a list built by us
            words, capture_output=True, check=False, timeout=_BUILD_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("image_build", f"{BUILDER} took longer than {_BUILD_SECONDS} s") from None
    except OSError as error:
        raise Unavailable("image_builder", f"{BUILDER} cannot be started: {error.strerror}") from None
    if done.returncode:
        raise Unavailable(
            "image_build", f"{BUILDER}: {_complaint(done.stderr)}", "is the mirror reachable? see --mirror"
        )


def _complaint(untrusted_said: bytes) -> str:
    """The first error a builder told of: those after it only say that this one was one."""
    lines = untrusted_said.decode("utf-8", "replace").strip().splitlines()
    del untrusted_said
    told = [line for line in lines if line.startswith(("E:", "Err:"))]
    return (told[:1] or lines[-1:] or ["it failed"])[0][:300]


def read_packages(text: str) -> tuple[tuple[str, str, str], ...]:
    """Return name, version and SHA-256 of every package in ``apt-cache show``'s text, by name, each once."""
    found: set[tuple[str, str, str]] = set()
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Za-z0-9-]+: ", line))
        if {"Package", "Version", "SHA256"} <= fields.keys():
            found.add((fields["Package"], fields["Version"], fields["SHA256"]))
    return tuple(sorted(found))
