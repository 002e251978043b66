import pytest

from bascule.core.interpreters import Source, text_of


@pytest.mark.parametrize(
    ("path", "line", "source", "word"),
    [
        ("/usr/bin/wc", "wc -l notes", Source.NONE, 0),
        ("/usr/bin/python3.11", "python3 run.py a b", Source.FILE, 1),
        ("/usr/bin/python3", "python3 -u -B run.py", Source.FILE, 3),
        ("/usr/bin/python3", "python3 -c print(1)", Source.WORD, 2),
        ("/usr/bin/python3", "python3 -c", Source.HIDDEN, 0),
        ("/usr/bin/python3", "python3 -m http.server", Source.HIDDEN, 0),
        ("/usr/bin/python3", "python3", Source.INPUT, 0),
        ("/usr/bin/python3", "python3 -", Source.INPUT, 0),
        ("/usr/bin/sh", "sh -s x", Source.HIDDEN, 0),
        ("/usr/bin/bash", "bash -e run.sh", Source.FILE, 2),
        ("/usr/bin/bash", "bash -ec code", Source.HIDDEN, 0),
        ("/usr/bin/perl", "perl -n -e code f", Source.WORD, 3),
        ("/usr/bin/node", "node -r hook.js x.js", Source.HIDDEN, 0),
        ("/usr/bin/php", "php -r code", Source.WORD, 2),
        ("/usr/bin/jq", "jq -r .a f", Source.WORD, 2),
        ("/usr/bin/jq", "jq", Source.HIDDEN, 0),
        ("/usr/bin/bash", "bash --rcfile x", Source.HIDDEN, 0),
        ("/usr/bin/node", "node --eval 1", Source.WORD, 2),
        ("/usr/bin/lua5.4", "lua5.4 a.lua", Source.FILE, 1),
        ("/usr/bin/php8.2", "php8.2 a.php", Source.FILE, 1),
        ("/usr/bin/awk", "awk {print} f", Source.WORD, 1),
        ("/usr/bin/gawk", "gawk -f prog f", Source.HIDDEN, 0),
        ("/usr/bin/sed", "sed -n p f", Source.WORD, 2),
        ("/usr/bin/sed", "sed -f prog f", Source.HIDDEN, 0),
        ("/usr/bin/env", "env python3 x.py", Source.HIDDEN, 0),
        ("/usr/bin/xargs", "xargs rm", Source.HIDDEN, 0),
        ("/usr/bin/timeout", "timeout 5 sh", Source.HIDDEN, 0),
        ("/usr/bin/vim.tiny", "vim.tiny x", Source.HIDDEN, 0),
        ("/usr/bin/sqlite3", "sqlite3 a.db .tables", Source.HIDDEN, 0),
        ("/usr/bin/m4", "m4 a", Source.HIDDEN, 0),
        ("/usr/bin/linux32", "linux32 cat", Source.HIDDEN, 0),
        ("/usr/bin/deno", "deno run x.ts", Source.HIDDEN, 0),
        ("/usr/bin/busybox", "busybox sh a.sh", Source.HIDDEN, 0),
        ("/usr/bin/perl5.36-x86_64-linux-gnu", "perl a.pl", Source.FILE, 1),
        ("/usr/bin/perl5.36.0", "perl5.36.0 a.pl", Source.FILE, 1),
        # What follows a text can be a text of its own.
        ("/usr/bin/bash", "bash -c -x code", Source.HIDDEN, 0),
        ("/usr/bin/bash", "bash -c code -x", Source.WORD, 2),
        ("/usr/bin/python3", "python3 -c code -c more", Source.WORD, 2),
        ("/usr/bin/perl", "perl -e one -e two", Source.HIDDEN, 0),
        ("/usr/bin/ruby", "ruby -e one -e two", Source.HIDDEN, 0),
        ("/usr/bin/node", "node -p one -p two", Source.HIDDEN, 0),
        ("/usr/bin/node", "node -e one -r ./hook.js", Source.HIDDEN, 0),
        ("/usr/bin/php", "php -r one -B two", Source.HIDDEN, 0),
        ("/usr/bin/lua5.4", "lua5.4 -e one a.lua", Source.HIDDEN, 0),
        ("/usr/bin/sed", "sed a -e p", Source.HIDDEN, 0),
        ("/usr/bin/sed", "sed p a -n", Source.WORD, 1),
        ("/usr/bin/sed", "sed a --file=prog", Source.HIDDEN, 0),
        ("/usr/bin/jq", "jq prog f -f", Source.HIDDEN, 0),
        ("/usr/bin/awk", "awk {print} -f prog", Source.WORD, 1),
        ("", "x", Source.NONE, 0),
    ],
)
def test_where_a_program_takes_its_text_from(path: str, line: str, source: Source, word: int) -> None:
    found = text_of(path, line.split())
    assert (found.source, found.word) == (source, word)
