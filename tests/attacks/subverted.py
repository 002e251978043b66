"""The code that runs inside boxes, taken over: the file worker, the reader of pages, a container's first process.

Tests have a box made with a copy of that code to which one of these texts is added. What it does is named by a word:
``mode-…`` in what a worker is asked for, or in a file that a container's first process looks at.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import bascule

PACKAGE = Path(bascule.__file__).resolve().parent

WORKER = r"""

def serve(channel, worker, maximum):
    while (fields := receive(channel, maximum)) is not None:
        asked = b" ".join(bytes(field) for field in fields)
        mode = asked.partition(b"mode-")[2][:4].decode()
        good = pack([b"ok", b"x", b"y", b"z"])
        if not mode:
            send(channel, worker.answer(fields))
        elif mode == "lies":
            text = fields[0] == b"text"
            send(channel, [b"ok", b"lied"] if text else [b"ok", b"4", LIED, b"lied"])
        elif mode == "junk":
            os.write(channel, b"\xff" * 64)
        elif mode == "half":
            os.write(channel, good[:-1])
        elif mode == "huge":
            os.write(channel, b"\x7f\xff\xff\xff" + good[4:])
        elif mode == "more":
            os.write(channel, good + good)
        elif mode == "many":
            send(channel, [b"ok"] * 9)
        elif mode == "code":
            send(channel, [b"no", b"nobody_knows"])
        elif mode == "gone":
            os._exit(0)
        elif mode == "talk":
            while True:
                os.write(channel, b"\0" * 4096)


from bascule.sandboxes.worker.digest import sha256 as _sha256
_hash = _sha256()
_hash.update(b"lied")
LIED = _hash.hexdigest().encode()
"""

RESIDENT = r"""

import _socket


def _mode():
    try:
        with open("/workspace/workspace/mode", "rb") as file:
            return file.read(4).decode()
    except OSError:
        return ""


_honest = Resident._carry_out


def _carry_out(self, order, files):
    mode, number, line = _mode(), order["id"], self._line
    fine = b'{"id":%d,"ok":true,"box":1,"clean":true,"worker":true,"path":"","sha256":"","head":""}'
    if not mode or (mode == "exit" and order["op"] != "run"):
        return _honest(self, order, files)
    if mode == "lies":
        return line.send(b'{"id":%d,"ok":false,"code":"program_changed","message":"lied"}' % number)
    if mode == "junk":
        line.send(b"\xff\x00 no")
    elif mode == "half":
        line.send((fine % number)[:-9])
    elif mode == "huge":
        line.send(b" " * 180000 + fine % number)
    elif mode == "othr":
        line.send(fine % (number + 1))
    elif mode == "twce":
        line.send(fine % number)
        line.send(fine % number)
    elif mode == "deep":
        line.send(b"[" * 100000)
    elif mode == "exit":
        line.send(b'{"id":%d,"ok":true,"box":1}' % number)
        line.send(b'{"event":"exit","box":1,"exit":"x","problem":"","timed_out":false}')
    elif mode == "gift":
        given = struct.pack("8i", *(os.open("/dev/null", 0) for _ in range(8)))
        line.sendmsg([b"junk"], [(SOL_SOCKET, SCM_RIGHTS, given)])
    elif mode == "talk":
        while True:
            line.send(b'{"event":"exit","box":7,"exit":0,"problem":"","timed_out":false}')
    elif mode == "shut":
        line.close()
        while True:
            time.sleep(60)
    elif mode == "quit":
        os._exit(0)


Resident._carry_out = _carry_out
"""


def subverted(folder: Path) -> str:
    """Copy what boxes are given of our code, taken over; return the place of the worker's, as a warden is told it."""
    code = folder / "bascule"
    for name in ("sandboxes/worker", "sandboxes/resident"):
        shutil.copytree(PACKAGE / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "core").mkdir()
    shutil.copy(PACKAGE / "core" / "errors.py", code / "core")
    for name, text in (("worker", WORKER), ("resident", RESIDENT)):
        with (code / "sandboxes" / name / "main.py").open("a") as file:
            file.write(text)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return str(code / "sandboxes" / "worker")
