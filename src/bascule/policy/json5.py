"""Our own JSON5 reader: plain values, and where each of them stands in the file.

Stops: a duplicate key of which the last silently wins, a number that cannot be kept exactly, nesting that ends in a
recursion error, and a mistake reported without its line. Stricter than JSON5 on purpose: no duplicate keys, no ``NaN``
or ``Infinity``, no integer beyond ±(2^53-1), no lone surrogate, at most 64 levels and one mebibyte. Does not stop a
well-formed file from meaning the wrong thing; that is the schema's part.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from bascule.core.canonical import MAX_SAFE_INTEGER
from bascule.core.errors import Malformed

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | dict[str, Value] | None"
Path: TypeAlias = "tuple[str | int, ...]"

MAX_BYTES = 1 << 20
"""Largest policy file read, in bytes."""

MAX_DEPTH = 64
"""Deepest nesting read."""

_SPACE = re.compile("[\t\n\v\f\r \u00a0\ufeff\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_LINE_COMMENT = re.compile("//[^\n\r\u2028\u2029]*")
_PLAIN = {quote: re.compile(f"[^{quote}\\\\\n\r]+") for quote in "'\""}
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_$.])"
)
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_HEX = re.compile("[0-9a-fA-F]+")
_NEWLINE = re.compile("\r\n|\n|\r")
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CONTINUATIONS = {"\n", "\r", "\u2028", "\u2029"}
_START = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"})
_PART = _START | {"Mn", "Mc", "Nd", "Pc"}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; both numbers begin at 1 and columns count characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read.

    Attributes:
        name: what the file is called in messages.
        value: its value; arrays are tuples.
        spans: for every path, first and last offset of its value, in characters.
        keys: for every path that ends in a key, the offset of that key.
        lines: offset of the beginning of every line.
    """

    name: str
    value: Value
    spans: Mapping[Path, tuple[int, int]]
    keys: Mapping[Path, int]
    lines: tuple[int, ...]

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Return where a value (or its key) stands; for a path that is not there, where its nearest parent does."""
        while path and path not in self.spans:
            path = path[:-1]
        offset = self.keys.get(path, self.spans[path][0]) if key else self.spans[path][0]
        return _position(self.lines, offset)

    def where(self, path: Path, *, key: bool = False) -> str:
        """Return ``file:line:column`` of a value or key."""
        found = self.position(path, key=key)
        return f"{self.name}:{found.line}:{found.column}"


def dotted(path: Path) -> str:
    """Return a path as people write it: ``agents.list[2].tools.deny``; what cannot be seen is escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() else part.encode("unicode_escape").decode("ascii")
            text += f".{shown}" if text else shown
    return text


def read(untrusted_text: bytes | str, name: str) -> Document:
    """Parse one JSON5 text.

    Args:
        untrusted_text: the file's content; bytes must be UTF-8.
        name: what to call the file in messages.

    Raises:
        Malformed: ``policy_syntax``; the message begins with ``file:line:column``.
    """
    text = _decode(untrusted_text, name)
    del untrusted_text
    reader = _Reader(text, name)
    value = reader.document()
    return Document(name, value, reader.spans, reader.keys, reader.lines)


def _decode(untrusted_text: bytes | str, name: str) -> str:
    if len(untrusted_text) > MAX_BYTES:
        raise Malformed("policy_syntax", f"{name}:1:1: the file exceeds {MAX_BYTES} bytes")
    if isinstance(untrusted_text, str):
        return untrusted_text
    try:
        return untrusted_text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = untrusted_text[: error.start].decode("utf-8")
        at = _position(_line_starts(before), len(before))
        raise Malformed("policy_syntax", f"{name}:{at.line}:{at.column}: this byte is not UTF-8") from None


def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in _NEWLINE.finditer(text)))


def _position(lines: tuple[int, ...], offset: int) -> Position:
    line = bisect_right(lines, offset)
    return Position(line, offset - lines[line - 1] + 1)


class _Reader:
    """One pass over one text. Holds where it is; every method leaves it after what it read."""

    __slots__ = ("at", "keys", "lines", "name", "spans", "text")

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at = 0
        self.lines = _line_starts(text)
        self.spans: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, int] = {}

    def refuse(self, problem: str, offset: int | None = None, remedy: str = "") -> NoReturn:
        found = _position(self.lines, self.at if offset is None else offset)
        raise Malformed("policy_syntax", f"{self.name}:{found.line}:{found.column}: {problem}", remedy)

    def document(self) -> Value:
        self.skip()
        value = self.value(())
        self.skip()
        if self.at < len(self.text):
            self.refuse("something stands after the end of the document")
        return value

    def skip(self) -> None:
        """Pass over white space and comments."""
        while True:
            start = self.at
            for pattern in (_SPACE, _LINE_COMMENT):
                if match := pattern.match(self.text, self.at):
                    self.at = match.end()
            if self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    self.refuse("this comment is never closed", remedy="close it with */")
                self.at = end + 2
            if self.at == start:
                return

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def value(self, path: Path) -> Value:
        if len(path) > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels")
        start, first = self.at, self.peek()
        result: Value
        if first == "{":
            result = self.object(path)
        elif first == "[":
            result = self.array(path)
        elif first and first in "'\"":
            result = self.string()
        elif first and (first in "+-." or (first.isascii() and first.isdigit())):
            result = self.number()
        else:
            result = self.constant()
        self.spans[path] = (start, self.at)
        return result

    def object(self, path: Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        opened = self.at
        self.at += 1
        self.skip()
        while self.peek() != "}":
            start = self.at
            key = self.key(opened)
            if key in found:
                first = _position(self.lines, self.keys[(*path, key)])
                self.refuse(f"the key {dotted((*path, key))[-120:]!r} already stands in line {first.line}", start)
            self.keys[(*path, key)] = start
            self.skip()
            if self.peek() != ":":
                self.refuse(f"a colon is missing after the key {key[:60]!r}")
            self.at += 1
            self.skip()
            found[key] = self.value((*path, key))
            self.separator("}", opened)
        self.at += 1
        return found

    def array(self, path: Path) -> tuple[Value, ...]:
        found: list[Value] = []
        opened = self.at
        self.at += 1
        self.skip()
        while self.peek() != "]":
            if not self.peek():
                self.refuse("this bracket is never closed", opened)
            found.append(self.value((*path, len(found))))
            self.separator("]", opened)
        self.at += 1
        return tuple(found)

    def separator(self, end: str, opened: int) -> None:
        self.skip()
        if self.peek() == ",":
            self.at += 1
            self.skip()
        elif not self.peek():
            self.refuse("this bracket is never closed", opened)
        elif self.peek() != end:
            self.refuse(f"expected a comma or {end!r} here")

    def key(self, opened: int) -> str:
        first = self.peek()
        if not first:
            self.refuse("this bracket is never closed", opened)
        return self.string() if first in "'\"" else self.identifier()

    def identifier(self) -> str:
        found: list[str] = []
        while self.at < len(self.text):
            start, character = self.at, self.text[self.at]
            if character == "\\":
                if self.text[self.at + 1 : self.at + 2] != "u":
                    self.refuse("only \\u escapes may stand in a bare key")
                self.at += 2
                character = chr(self.hexadecimal(4))
            else:
                self.at += 1
            allowed = _PART if found else _START
            joiner = bool(found) and character in "\u200c\u200d"
            if character not in "$_" and not joiner and unicodedata.category(character) not in allowed:
                self.at = start
                if self.text[start] == "\\":
                    self.refuse("this escape may not stand in a bare key")
                break
            found.append(character)
        if not found:
            self.refuse("a key is expected here", remedy="keys are words or quoted strings")
        return "".join(found)

    def string(self) -> str:
        quote, start = self.peek(), self.at
        self.at += 1
        found: list[str] = []
        while True:
            if match := _PLAIN[quote].match(self.text, self.at):
                found.append(match.group())
                self.at = match.end()
            character = self.peek()
            if character == quote:
                self.at += 1
                break
            if character != "\\":
                self.refuse("this string is never closed", start, "strings end on the line they begin")
            found.append(self.escape())
        return self.joined(found, start)

    def joined(self, found: list[str], start: int) -> str:
        """Join escapes into text, pairing surrogates; a lone one is no character."""
        text = "".join(found)
        if any("\ud800" <= character <= "\udfff" for character in text):
            try:
                text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError:
                self.refuse("this string holds a lone surrogate, which is not text", start)
        return text

    def escape(self) -> str:
        self.at += 1
        character = self.peek()
        self.at += 1
        if not character:
            self.refuse("the text ends within an escape", self.at - 2)
        if character in _CONTINUATIONS:
            if character == "\r" and self.peek() == "\n":
                self.at += 1
            return ""
        if character in "xu":
            return chr(self.hexadecimal(2 if character == "x" else 4))
        following = self.peek()
        if character == "0" and not (following.isascii() and following.isdigit()):
            return "\0"
        if character.isascii() and character.isdigit():
            self.refuse("an octal escape is not JSON5", self.at - 2)
        return _SIMPLE.get(character, character)

    def hexadecimal(self, digits: int) -> int:
        text = self.text[self.at : self.at + digits]
        if len(text) < digits or not _HEX.fullmatch(text):
            self.refuse(f"{digits} hexadecimal digits are expected here")
        self.at += digits
        return int(text, 16)

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            self.refuse("this is not a number that can be kept exactly")
        text = match.group()
        found: int | float
        if "x" in text or "X" in text:
            found = int(text, 16)
        elif any(character in text for character in ".eE"):
            found = float(text)
        else:
            found = int(text) if len(text) < 20 else MAX_SAFE_INTEGER + 1
        if (isinstance(found, int) and abs(found) > MAX_SAFE_INTEGER) or not math.isfinite(found):
            self.refuse("this number is too large to be kept exactly")
        self.at = match.end()
        return found

    def constant(self) -> bool | None:
        match = _WORD.match(self.text, self.at)
        word = match.group() if match else self.peek()
        constants: dict[str, bool | None] = {"true": True, "false": False, "null": None}
        if word not in constants:
            if word in {"NaN", "Infinity"}:
                self.refuse(f"{word} has no meaning in a policy")
            problem = f"{word[:40]!r} is no value" if word else "a value is expected here"
            self.refuse(problem, remedy="quote strings")
        self.at += len(word)
        return constants[word]
