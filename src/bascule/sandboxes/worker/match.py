"""File name patterns as bash matches them: ``*``, ``?``, ``[...]`` and backslash, one path component at a time.

Stops: a pattern meaning something else here than in the shell it imitates (LANG=C.UTF-8, no option set), and patterns
that take exponential time: matching is linear in name times pattern. A leading dot must be matched literally. Does not
know: ``**`` as recursion (it is ``*`` twice, as in bash without ``globstar``), extended patterns, and character classes
such as ``[:alpha:]``, which are refused.
"""

from __future__ import annotations

STAR = "*"
ANY = "?"
_RANGES = tuple[tuple[tuple[str, str], ...], bool]
_Token = str | _RANGES


class PatternError(ValueError):
    """A pattern that is refused."""


class Component:
    """One component of a pattern; ``literal`` is its text if it holds no wildcard, else None."""

    __slots__ = ("_tokens", "literal")

    def __init__(self, text: str) -> None:
        """Parse one component.

        Raises:
            PatternError: a trailing backslash or a character class.
        """
        self._tokens = _parse(text)
        plain = [token[1] for token in self._tokens if isinstance(token, str) and token[0] == "="]
        self.literal = "".join(plain) if len(plain) == len(self._tokens) else None

    def matches(self, name: str) -> bool:
        """True if the whole name fits; a name with a leading dot needs a pattern that begins with one."""
        if name.startswith(".") and self._tokens[0] != "=.":
            return False
        return _fits(self._tokens, name)


class Pattern:
    """A pattern: its components, whether it is absolute, and whether it wants directories only (a trailing slash)."""

    __slots__ = ("absolute", "components", "only_directories")

    def __init__(self, untrusted_text: str) -> None:
        """Parse a pattern.

        Raises:
            PatternError: empty, ``..``, NUL, more than 64 components, or a component that is refused.
        """
        pieces = [piece for piece in untrusted_text.split("/") if piece not in {"", "."}]
        if not pieces or len(pieces) > 64 or len(untrusted_text) > 4095 or "\0" in untrusted_text:
            raise PatternError("a pattern has 1 to 64 components and at most 4095 characters")
        self.absolute = untrusted_text.startswith("/")
        self.only_directories = untrusted_text.endswith("/")
        self.components = tuple(Component(piece) for piece in pieces)
        if any(component.literal in {".", ".."} for component in self.components):
            raise PatternError("a pattern may not climb with ..")

    def matches(self, untrusted_path: str) -> bool:
        """True if a result (``./a/b`` or ``/a/b``, with a slash at the end for directories only) fits the pattern."""
        head = "/" if self.absolute else "./"
        tail = "/" if self.only_directories else ""
        if not untrusted_path.startswith(head) or not untrusted_path.endswith(tail):
            return False
        names = untrusted_path[len(head) : len(untrusted_path) - len(tail)].split("/")
        return len(names) == len(self.components) and all(
            name not in {"", ".", ".."} and component.matches(name)
            for name, component in zip(names, self.components, strict=True)
        )


def _parse(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if letter == "\\":
            if at == len(text):
                raise PatternError("a pattern ends in a lone backslash")
            tokens.append("=" + text[at])
            at += 1
        elif letter == STAR:
            if not tokens or tokens[-1] != STAR:
                tokens.append(STAR)
        elif letter == ANY:
            tokens.append(ANY)
        elif letter == "[" and (found := _bracket(text, at)) is not None:
            tokens.append(found[0])
            at = found[1]
        else:
            tokens.append("=" + letter)
    return tokens


def _bracket(text: str, at: int) -> tuple[_RANGES, int] | None:
    """Return the set that begins after ``[`` and where it ends; None if it never closes, then ``[`` is literal."""
    negated = text[at : at + 1] in {"!", "^"}
    at += negated
    letters: list[tuple[str, bool]] = []  # (letter, was escaped)
    first = True
    while at < len(text):
        letter = text[at]
        if letter == "]" and not first:
            return (_ranges(letters), negated), at + 1
        if letter == "[" and text[at + 1 : at + 2] in {":", ".", "="}:
            raise PatternError("character classes such as [:alpha:] are not supported; write the range")
        escaped = letter == "\\" and at + 1 < len(text)
        at += escaped
        letters.append((text[at], escaped))
        at += 1
        first = False
    return None


def _ranges(letters: list[tuple[str, bool]]) -> tuple[tuple[str, str], ...]:
    found = []
    at = 0
    while at < len(letters):
        low = letters[at][0]
        if at + 2 < len(letters) and letters[at + 1] == ("-", False):
            found.append((low, letters[at + 2][0]))
            at += 3
        else:
            found.append((low, low))
            at += 1
    return tuple(found)


def _fits(tokens: list[_Token], name: str) -> bool:
    """Greedy matching with one point of return: the last star."""
    token = letter = 0
    star = retry = -1
    while letter < len(name):
        if token < len(tokens) and tokens[token] == STAR:
            star, retry = token, letter
            token += 1
        elif token < len(tokens) and _one(tokens[token], name[letter]):
            token += 1
            letter += 1
        elif star >= 0:
            retry += 1
            token, letter = star + 1, retry
        else:
            return False
    return all(rest == STAR for rest in tokens[token:])


def _one(token: _Token, letter: str) -> bool:
    if isinstance(token, str):
        return token == ANY or token == "=" + letter
    ranges, negated = token
    return any(low <= letter <= high for low, high in ranges) != negated
