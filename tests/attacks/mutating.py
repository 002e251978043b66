"""Honest messages to a warden made into others: every kind of damage, drawn by a seed; and what may become of each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Sequence

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.container_requests import Discharge
from bascule.sandboxes.warden.messages import LARGEST_MESSAGE, Kill, RunProgram, StartWorker, Stop, parse

STRANGE: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 1 << 31, 1 << 53, (1 << 63) - 1, 0.5, "", "/", ".", "..", "\u202e", "\0", "a" * 4097, [], [[]], {},
    "/proc/1/root", "/run/docker.sock", "0" * 32, "f" * 64, ["/"], {"path": "/etc", "writable": True, "target": "/x"}, "sha256:" + "0" * 64,
)  # fmt: skip


def flipped(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    body = bytearray(message)
    for _ in range(dice.randint(1, 8)):
        body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
    return bytes(body)


def cut(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    begin = dice.choice((0, dice.randrange(len(message))))
    return message[begin : dice.randint(begin + 1, len(message))]


def spliced(dice: random.Random, message: bytes, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others)
    return message[: dice.randint(1, len(message))] + other[dice.randrange(len(other)) :]


def grown(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    at = dice.randrange(len(message))
    filling = dice.choice((b"[", b"{", b" ", b"\0", b'"', b"\\u0000", b"\xf0\x9f\x92\xa9", b"9", dice.randbytes(3)))
    return message[:at] + filling * dice.choice((1, 7, 500, 20_000)) + message[at:]


def repeated(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    begin = dice.randrange(len(message))
    return message[:begin] + message[begin : begin + dice.randint(1, 60)] * dice.randint(2, 40) + message[begin:]


def crossed(dice: random.Random, message: bytes, others: Sequence[bytes]) -> bytes:
    """With values of another message, or strange ones, in some of its fields; they may be fields it has not got."""
    body, other = json.loads(message), json.loads(dice.choice(others))
    for name in dice.choices(sorted(body.keys() | other.keys()), k=dice.randint(1, 3)):
        body[name] = dice.choice(
            (other.get(name), body.get(name), dice.choice(STRANGE), dice.choice(list(other.values())))
        )
    return json.dumps(body).encode()


def deeper(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    """With something strange in the midst of one of its values."""
    body = json.loads(message)
    name = dice.choice(sorted(body))
    value = body[name]
    if isinstance(value, dict) and value:
        value[dice.choice(sorted(value))] = dice.choice(STRANGE)
    elif isinstance(value, list):
        value.insert(0, dice.choice(STRANGE))
    else:
        body[name] = [value, dice.choice(STRANGE)]
    return json.dumps(body).encode()


def renamed(dice: random.Random, message: bytes, _others: Sequence[bytes]) -> bytes:
    body = json.loads(message)
    name = dice.choice(sorted(body))
    body[dice.choice((name.upper(), f"{name} ", f"{name}\0", "privileged", "user", "binds", "target"))] = body.pop(name)
    return json.dumps(body).encode()


DAMAGES: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    flipped, cut, spliced, grown, repeated, crossed, deeper, renamed,
)  # fmt: skip


def mutated(dice: random.Random, honest: Sequence[bytes]) -> bytes:
    """One message that was honest, damaged once or more; never empty, for that would be a farewell."""
    message = dice.choice(DAMAGES)(dice, dice.choice(honest), honest)
    while dice.random() < 0.3:
        message = dice.choice((flipped, cut, spliced, grown, repeated))(dice, message, honest)
    return message[: LARGEST_MESSAGE + 100]


def refused(message: bytes) -> bool:
    """True if it is none of the warden's language."""
    try:
        parse(message)
    except Malformed:
        return True
    return False


def does_something(message: bytes, agents: Collection[AgentId]) -> bool:
    """True if it is in the language after all, and may do something that a test would see, to one of the agents."""
    try:
        request = parse(message)
    except Malformed:
        return False
    if isinstance(request, Kill):
        return True
    if isinstance(request, Stop | Discharge):
        return request.agent is None or request.agent in agents
    return isinstance(request, StartWorker | RunProgram) and request.agent in agents
