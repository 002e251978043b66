"""Signed heads: "record *n* had this link", in the database and copied out of it.

Stops, together with ``verify.py``: cutting the end off the ledger, putting an older copy of the database back, and
recomputing a chain without the key. Does not stop someone who holds the gateway's account from removing the copy too;
an operator who minds keeps ``heads.jsonl`` on another machine, for an old copy of it is enough to show the loss.
"""

from __future__ import annotations

import os
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.ledger.chain import Head, head_line, head_statement, parse_head
from bascule.ledger.keys import Signer
from bascule.state.connection import Database

HEADS_FILE = "heads.jsonl"

_INSERT = "INSERT INTO ledger_heads (number, seq, hash, at, key, signature) VALUES (?, ?, ?, ?, ?, ?)"


class Anchor:
    """Signs heads with one key and appends each to one copy, a file of JSON lines with mode 0600."""

    def __init__(self, signer: Signer, copy: Path) -> None:
        self.signer = signer
        self.copy = copy
        self._number = 0

    def catch_up(self, database: Database) -> int:
        """Continue after the newest head of database and copy; return the sequence number last signed in the database.

        A line torn by a power cut is cut off; heads that the database has and the copy lacks are copied out.

        Raises:
            Unavailable: the copy cannot be read or written.
        """
        rows = database.read("SELECT number, seq, hash, at, key, signature FROM ledger_heads ORDER BY number")
        kept = [Head(*row) for row in rows]
        copied = self._mend()
        newest = max((head.number for head in copied), default=0)
        for head in kept:
            if head.number > newest:
                self._copy_out(head)
        self._number = max([newest, *(head.number for head in kept)])
        return max((head.seq for head in kept), default=0)

    def sign(self, database: Database, seq: int, hash_hex: str, at: str) -> Head:
        """Sign one head, keep it and copy it out. The record it names must be on disk already.

        Raises:
            Unavailable: it could not be kept or copied out.
        """
        number, key = self._number + 1, self.signer.name
        signature = self.signer.sign(head_statement(number, seq, hash_hex, at, key))
        head = Head(number, seq, hash_hex, at, key, signature)
        database.write(_INSERT, (number, seq, hash_hex, at, key, signature))
        self._number = number
        self._copy_out(head)
        return head

    def _copy_out(self, head: Head) -> None:
        line = (head_line(head) + "\n").encode("ascii")
        try:
            fd = os.open(self.copy, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                if os.write(fd, line) != len(line):
                    os.ftruncate(fd, size)
                    raise Unavailable("heads_copy", f"no space is left for {self.copy}", "free some space")
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failed(error) from None

    def _mend(self) -> list[Head]:
        try:
            fd = os.open(self.copy, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(error) from None
        with os.fdopen(fd, "r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
        heads = []
        for line in content[:whole].decode("ascii", "replace").splitlines():
            try:
                heads.append(parse_head(line))
            except Malformed:
                # Not ours to mend: the verifier reports it.
                continue
        return heads

    def _failed(self, error: OSError) -> Unavailable:
        reason = os.strerror(error.errno or 0)
        return Unavailable("heads_copy", f"signed heads cannot be copied to {self.copy}: {reason}", "check the disk")
