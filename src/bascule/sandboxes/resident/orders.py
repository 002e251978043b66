"""What a container's resident is asked to do: a few orders, every field checked.

Stops: an order that does not parse being carried out in part. What comes here comes from the gateway, which is trusted
more than the resident; the checks keep a fault on one side from becoming a riddle on the other.
"""

from __future__ import annotations

from bascule.sandboxes.resident import text

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

LARGEST = 256 * 1024
"""Bytes of one order."""

_TEXTS = {"run": ("program", "sha256", "kind", "interpreter"), "worker": (), "look": (), "kill": (), "clear": ()}
_LISTS = {
    "run": ("argv", "needs", "readable", "bundles"),
    "worker": (),
    "look": ("paths",),
    "kill": (),
    "clear": ("scratches",),
}
_LIMITS = ("memory_bytes", "pids", "cpu_seconds", "wall_seconds", "output_bytes", "file_bytes", "open_files")


class OrderError(ValueError):
    """An order that does not parse."""


def parse(untrusted_message: bytes) -> dict[str, Any]:
    """Return an order: ``op``, ``id`` and what belongs to the op.

    Raises:
        OrderError: it does not parse.
    """
    try:
        order = text.read(untrusted_message)
    except text.TextError:
        raise OrderError("not JSON") from None
    del untrusted_message
    if not isinstance(order, dict):
        raise OrderError("no order")
    operation = order.get("op")
    if not isinstance(operation, str) or operation not in _TEXTS or not _is_number(order.get("id")):
        raise OrderError("no order")
    for name in _TEXTS[operation]:
        if not isinstance(order.get(name), str) or "\0" in order[name]:
            raise OrderError(name)
    for name in _LISTS[operation]:
        words = order.get(name)
        if not isinstance(words, list) or any(not isinstance(word, str) or "\0" in word for word in words):
            raise OrderError(name)
    if operation == "kill" and not _is_number(order.get("box")):
        raise OrderError("box")
    if operation == "run":
        _check_run(order)
    return order


def _check_run(order: dict[str, Any]) -> None:
    limits, environment, writable = order.get("limits"), order.get("environment"), order.get("writable")
    if not order["argv"] or not isinstance(writable, list) or any(not isinstance(path, str) for path in writable):
        raise OrderError("argv")
    if not isinstance(limits, dict) or any(not _is_number(limits.get(name)) for name in _LIMITS):
        raise OrderError("limits")
    if not isinstance(environment, dict) or any(not isinstance(value, str) for value in environment.values()):
        raise OrderError("environment")
    if not _is_number(order.get("port")) or order["port"] > 65_535:
        raise OrderError("port")
    if not isinstance(order.get("bridge"), bool) or (order["bridge"] and order["port"]):
        raise OrderError("bridge")
    try:
        bytes.fromhex(order.get("filter", "?"))
    except (ValueError, TypeError):
        raise OrderError("filter") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
