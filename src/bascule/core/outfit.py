"""What policy adds to every program of an agent: variables, and places where it may write what nobody keeps.

Stops: a variable by which a loader, an interpreter or a library would run or read something that was never judged, or
that would undo what a box is told by us. Does not stop a program heeding a harmless one in its own way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_LONGEST_VALUE = 4096
_GOVERNING = re.compile(
    r"(?i)PATH|HOME|PWD|OLDPWD|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PS4|CDPATH|GLOBIGNORE|FPATH|ZDOTDIR"
    r"|LD_.*|DYLD_.*|_RLD.*|GLIBC_.*|MALLOC_.*|GCONV_PATH|LOCPATH|NLSPATH|HOSTALIASES|RES_OPTIONS|RESOLV_.*|NIS_PATH"
    r"|PYTHON.*|PERL.*|RUBY.*|GEM_.*|NODE_.*|NPM_.*|LUA_.*|PHP.*|CLASSPATH|_?JAVA_.*|JDK_.*|TCL.*|GUILE_.*|GIT_.*"
    r"|SSH_.*|SSL_.*|CURL_.*|REQUESTS_.*|OPENSSL_.*|(?:HTTPS?|ALL|FTP|NO)_PROXY|TERMINFO.*|TERMCAP|TMPDIR|TMP|TEMP"
    r"|[A-Z]+_RSH|(?:TAR|GREP)_OPTIONS|AWK(?:LIB)?PATH|MAKEFILES|GNUMAKEFLAGS|WGETRC|EXINIT|VIMINIT|INPUTRC|POSIXLY_CORRECT"
    r"|ZIPOPT|UNZIP(?:OPT)?|XZ_.*|GZIP|BZIP2?|ZSTD_.*|EMACS.*|DOTNET_.*|MONO_.*|ERL_.*|R_.*|JULIA_.*|DENO_.*|SQLITE_.*"
    r"|EDITOR|VISUAL|PAGER|MANPAGER|LESS.*|BROWSER|SHELL|MAKEFLAGS|XDG_.*|DBUS_.*|DISPLAY|WAYLAND_.*|GTK_.*|QT_.*"
)
"""Names that decide what is loaded, started, found or connected to, or hold options that nobody judged."""

CERTIFICATES = "SSL_CERT_FILE"
"""The exception: by which certificates a program checks servers is the operator's to say. It is read and never run."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a program finds besides its own.

    Attributes:
        environment: further variables, in order.
        scratches: box paths of empty places that may be written, with their bytes; ``/tmp`` only to size it.
    """

    environment: tuple[tuple[str, str], ...] = ()
    scratches: tuple[tuple[str, int], ...] = ()


PLAIN = Outfit()
"""Nothing more."""


def variable_problem(name: str, value: str) -> str:
    """Return why a program is not given a variable, empty if it may be."""
    if not _NAME.fullmatch(name):
        return "is no name of a variable"
    if name == CERTIFICATES and not value.startswith("/"):
        return "is an absolute path in the box, such as /workspace/ca.pem"
    if _GOVERNING.fullmatch(name) and name != CERTIFICATES:
        return "decides what a program loads, starts or connects to"
    if "\0" in value or len(value) > _LONGEST_VALUE:
        return f"has a value with a NUL or of more than {_LONGEST_VALUE} characters"
    return ""
