"""What a child made ahead is told once, as it goes over its socket: everything, so that it decides nothing.

Stops: nothing by itself. Both ends are ours; nothing here is an agent's word but what was parsed before.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass

from bascule.core.confinement import Limits
from bascule.sandboxes.warden.cgroups import Group
from bascule.sandboxes.warden.channel import receive
from bascule.sandboxes.warden.sources import OpenMount
from bascule.sandboxes.warden.stage import Stage

_LARGEST_ORDER = 1 << 18

MOST_MOUNTS = 240
"""Mounts of one box; the kernel passes at most 253 descriptors at once (``SCM_MAX_FD``)."""


@dataclass(frozen=True, slots=True)
class Order:
    """Everything a child needs; no decision is left to it.

    Attributes:
        stage: what the box contains.
        mounts: its sources, opened.
        command: bubblewrap and its words.
        bubblewrap: the program.
        uid: the agent's, as this user namespace counts; also its group.
        single: instead, what the one account there is will be called in the box.
        limits: resource maxima.
        processes: agent's processes that may be running already, for the per-account limit.
        streams: standard input, output, error.
        block: descriptor bubblewrap waits at.
        way: socket over which the listener of the box's own network goes out; None for bubblewrap to make the network.
        status: where it reports to.
    """

    stage: Stage
    mounts: list[OpenMount]
    command: tuple[str, ...]
    bubblewrap: str
    uid: int
    single: bool
    limits: Limits
    processes: int
    streams: tuple[int, int, int]
    block: int | None
    way: int | None
    status: int


@dataclass(frozen=True, slots=True)
class Spare:
    """A child that waits for an order: its own namespaces, its control group, an empty root.

    Made ahead, for joining a control group takes the kernel several milliseconds.
    """

    pid: int
    orders: socket.socket
    group: Group


def give_order(spare: Spare, order: Order) -> None:
    """Hand a spare its order; what goes wrong in it is reported on ``order.status``. The spare is used up.

    Raises:
        OSError: the order cannot be sent.
    """
    waits = [descriptor for descriptor in (order.block, order.way) if descriptor is not None]
    files = [order.status, *order.streams, *waits]
    body = {
        "mounts": [[mount.target, mount.is_directory, mount.whole] for mount in order.mounts],
        "hidden": list(order.stage.hidden),
        "links": dict(order.stage.links),
        "files": dict(order.stage.files),
        "scratch": order.stage.scratch_bytes,
        "scratches": dict(order.stage.scratches),
        "covers": {place: list(identity) for place, identity in order.stage.covers.items()},
        "command": list(order.command),
        "bubblewrap": order.bubblewrap,
        "uid": order.uid,
        "single": order.single,
        "limits": {name: getattr(order.limits, name) for name in Limits.__slots__},
        "processes": order.processes,
        "block": order.block is not None,
        "way": order.way is not None,
    }
    with spare.orders:
        socket.send_fds(spare.orders, [json.dumps(body).encode()], [*files, *(mount.tree for mount in order.mounts)])


def take_order(orders: socket.socket) -> Order:
    """Return the order of :func:`give_order`; ends this process if whoever would give it is gone.

    Raises:
        OSError: it cannot be received.
    """
    received = receive(orders, _LARGEST_ORDER, MOST_MOUNTS + 6)
    if not received.untrusted_message:
        os._exit(0)  # the warden is gone
    if received.cut:
        os._exit(125)
    body, files = json.loads(received.untrusted_message), received.files
    rest = list(files[4:])
    block = rest.pop(0) if body["block"] else None
    way = rest.pop(0) if body["way"] else None
    mounts = [OpenMount(tree, *said) for tree, said in zip(rest, body["mounts"], strict=True)]
    covers = {place: (device, inode) for place, (device, inode) in body["covers"].items()}
    hidden = tuple(body["hidden"])
    stage = Stage((), hidden, body["links"], body["files"], body["scratch"], body["scratches"], covers)
    limits = Limits(**body["limits"])
    streams = (files[1], files[2], files[3])
    words = tuple(body["command"])
    return Order(
        stage,
        mounts,
        words,
        body["bubblewrap"],
        body["uid"],
        body["single"],
        limits,
        body["processes"],
        streams,
        block,
        way,
        files[0],
    )
