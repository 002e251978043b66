"""What the words of common programs are: options, option values, patterns, or paths to read or write.

Stops: a pattern or a number being judged as a path, and a path hidden in an option (``-fFILE``, ``--file=FILE``, any
GNU abbreviation of it) not being judged at all. Knows GNU coreutils 9, findutils 4, grep 3, diffutils 3, util-linux 2,
file 5, tree 2 and ripgrep 14; of a program or an option that is not here, every word counts as a path. Does not stop
a program that treats its words in another way than its manual says: the box does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Role(StrEnum):
    """What a word or an option's value is. The values are the marks used in the table."""

    FLAG = ""
    TEXT = ":"
    OPTIONAL = "?"
    READ = "<"
    WRITE = ">"
    PROGRAM = "!"


@dataclass(frozen=True, slots=True)
class Spec:
    """How one program reads its words.

    Attributes:
        short: role of each one-letter option.
        long: role of each long option, without its dashes.
        leading: roles of the first words that are no options.
        rest: role of every further word.
        no_leading: options after which ``leading`` does not apply (``grep -e``).
        destination: the last of several words is written, those before have the role of ``rest``.
        target: options that name the destination, so that all words have the role of ``rest`` (``cp -t``).
        here: files appear in the working directory if only one word is given (``ln``).
        numbers: ``-12`` is an option.
        abbreviates: a long option may be cut short, as GNU programs allow.
    """

    short: Mapping[str, Role]
    long: Mapping[str, Role]
    leading: tuple[Role, ...]
    rest: Role
    no_leading: frozenset[str]
    destination: bool = False
    target: frozenset[str] = frozenset()
    here: bool = False
    numbers: bool = False
    abbreviates: bool = True


_COMMON = "--help --version"
_SUMS = "-b -c -t -w -z --binary --check --ignore-missing --quiet --status --strict --tag --text --warn --zero"
_GREP = (
    "-E -F -G -P -i -y -v -w -x -c -l -L -o -q -s -b -H -h -n -T -Z -z -a -I -r -R -U -u -V -e: -f< -m: -A: -B: -C: "
    "-d: -D: --regexp: --file< --max-count: --after-context: --before-context: --context: --directories: --devices: "
    "--label: --include: --exclude: --exclude-dir: --exclude-from< --binary-files: --group-separator: --color? "
    "--colour? --extended-regexp --fixed-strings --basic-regexp --perl-regexp --ignore-case --no-ignore-case "
    "--invert-match --word-regexp --line-regexp --count --files-with-matches --files-without-match --only-matching "
    "--quiet --silent --no-messages --byte-offset --with-filename --no-filename --line-number --initial-tab --null "
    "--null-data --text --recursive --dereference-recursive --line-buffered --no-group-separator --binary "
    "--unix-byte-offsets"
)
_HEAD = "-c: -n: -q -v -z --bytes: --lines: --quiet --silent --verbose --zero-terminated"
_COPIES = (
    "-b -f -i -n -T -u -v -Z -S: -t> --backup? --force --interactive --no-clobber --no-target-directory --update? "
    "--verbose --context? --suffix: --target-directory> --strip-trailing-slashes --debug"
)

# One line a program: "options | roles of the words". A mark after an option says what its value is: ':' text, '?'
# text that must be attached, '<' a path read, '>' a path written, '!' a program. Among the words, '*' ends the list.
TABLE: Mapping[str, str] = {
    "ls": (
        "-a -A -b -B -c -C -d -D -f -F -g -G -h -H -i -I: -k -l -L -m -n -N -o -p -q -Q -r -R -s -S -t -T: -u -U -v "
        "-w: -x -X -Z -1 --all --almost-all --author --escape --block-size: --ignore-backups --color? --directory "
        "--dired --classify? --file-type --format: --full-time --group-directories-first --no-group --human-readable "
        "--si --dereference-command-line --dereference-command-line-symlink-to-dir --hide: --hyperlink? "
        "--indicator-style: --inode --ignore: --kibibytes --dereference --numeric-uid-gid --literal "
        "--hide-control-chars --show-control-chars --quote-name --quoting-style: --reverse --recursive --size --sort: "
        "--time: --time-style: --tabsize: --width: --context --zero | <*"
    ),
    "cat": (
        "-A -b -e -E -n -s -t -T -u -v --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs "
        "--show-nonprinting | <*"
    ),
    "head": f"{_HEAD} | <*",
    "tail": f"{_HEAD} -f -F -s: --follow? --max-unchanged-stats: --pid: --retry --sleep-interval: | <*",
    "grep": f"{_GREP} | : <*",
    "egrep": f"{_GREP} | : <*",
    "fgrep": f"{_GREP} | : <*",
    "rg": (
        "-e: -f< -g: -t: -T: -A: -B: -C: -m: -d: -j: -M: -E: -r: -a -c -F -h -H -i -I -l -L -n -N -o -p -P -q -s -S -u "
        "-U -v -V -w -x -z -0 -. --regexp: --file< --glob: --iglob: --type: --type-not: --after-context: "
        "--before-context: --context: --max-count: --max-depth: --threads: --max-columns: --encoding: --replace: "
        "--ignore-file< --pre! --pre-glob: --color: --colors: --sort: --sortr: --files --hidden --no-ignore "
        "--ignore-case --smart-case --case-sensitive --fixed-strings --line-number --no-line-number --count "
        "--count-matches --files-with-matches --files-without-match --only-matching --invert-match --word-regexp "
        "--line-regexp --multiline --json --no-heading --heading --with-filename --no-filename --no-messages --quiet "
        "--text --null --stats --trim --vimgrep --follow --unrestricted --pcre2 --pretty --type-list --column | : <*"
    ),
    "wc": "-c -m -l -L -w --bytes --chars --lines --max-line-length --words --files0-from< --total: | <*",
    "du": (
        "-0 -a -b -c -D -H -h -k -L -l -m -P -S -s -x -B: -d: -t: -X< --null --all --apparent-size --block-size: "
        "--bytes --total --dereference-args --max-depth: --files0-from< --human-readable --inodes --dereference "
        "--count-links --no-dereference --separate-dirs --si --summarize --threshold: --time? --time-style: "
        "--exclude-from< --exclude: --one-file-system | <*"
    ),
    "uname": (
        "-a -s -n -r -v -m -p -i -o --all --kernel-name --nodename --kernel-release --kernel-version --machine "
        "--processor --hardware-platform --operating-system | :*"
    ),
    "whoami": "| :*",
    "sort": (
        "-b -d -f -g -i -M -h -n -R -r -V -c -C -m -s -u -z -k: -t: -T> -o> -S: --ignore-leading-blanks "
        "--dictionary-order --ignore-case --general-numeric-sort --ignore-nonprinting --month-sort "
        "--human-numeric-sort --numeric-sort --random-sort --random-source< --reverse --sort: --version-sort "
        "--batch-size: --check? --compress-program! --debug --files0-from< --key: --merge --output> --stable "
        "--buffer-size: --field-separator: --temporary-directory> --parallel: --unique --zero-terminated | <*"
    ),
    "uniq": (
        "-c -d -D -i -u -z -f: -s: -w: --count --repeated --all-repeated? --skip-fields: --group? --ignore-case "
        "--skip-chars: --unique --zero-terminated --check-chars: | < >*"
    ),
    "cut": (
        "-n -s -z -b: -c: -d: -f: --bytes: --characters: --delimiter: --fields: --complement --only-delimited "
        "--output-delimiter: --zero-terminated | <*"
    ),
    "tr": "-c -C -d -s -t --complement --delete --squeeze-repeats --truncate-set1 | :*",
    "nl": (
        "-p -b: -d: -f: -h: -i: -l: -n: -s: -v: -w: --no-renumber --body-numbering: --section-delimiter: "
        "--footer-numbering: --header-numbering: --line-increment: --join-blank-lines: --number-format: "
        "--number-separator: --starting-line-number: --number-width: | <*"
    ),
    "tac": "-b -r -s: --before --regex --separator: | <*",
    "rev": "-V -h | <*",
    "od": (
        "-a -b -c -d -f -i -l -o -s -x -v -A: -j: -N: -S: -t: -w? --address-radix: --skip-bytes: --read-bytes: "
        "--endian: --strings? --format: --output-duplicates --width? --traditional | <*"
    ),
    "stat": "-L -f -t -c: --dereference --file-system --cached: --format: --printf: --terse | <*",
    "file": (
        "-b -c -d -E -h -i -I -k -l -L -n -N -p -r -s -S -v -z -Z -0 -e: -f< -F: -m< -P: --brief --checking-printout "
        "--debug --exclude: --exclude-quiet: --files-from< --magic-file< --separator: --parameter: --mime "
        "--mime-type --mime-encoding --keep-going --no-dereference --dereference --no-buffer --no-pad --print0 --raw "
        "--special-files --uncompress --uncompress-noreport --preserve-date --extension --apple --list --no-sandbox "
        "| <*"
    ),
    "diff": (
        "-q -s -c -u -e -n -y -p -t -T -l -r -N -i -E -Z -b -w -B -a -d -H -C: -U: -W: -F: -L: -x: -X< -S: -I: -D: "
        "--normal --brief --report-identical-files --context? --unified? --ed --rcs --side-by-side --width: "
        "--left-column --suppress-common-lines --show-c-function --show-function-line: --label: --expand-tabs "
        "--initial-tab --tabsize: --suppress-blank-empty --paginate --recursive --no-dereference --new-file "
        "--unidirectional-new-file --ignore-file-name-case --no-ignore-file-name-case --exclude: --exclude-from< "
        "--starting-file: --from-file< --to-file< --ignore-case --ignore-tab-expansion --ignore-trailing-space "
        "--ignore-space-change --ignore-all-space --ignore-blank-lines --ignore-matching-lines: --text "
        "--strip-trailing-cr --ifdef: --line-format: --minimal --horizon-lines: --speed-large-files --color? "
        "--palette: --old-group-format: --new-group-format: --unchanged-group-format: --changed-group-format: "
        "--old-line-format: --new-line-format: --unchanged-line-format: | <*"
    ),
    "cmp": "-b -l -s -i: -n: --print-bytes --ignore-initial: --bytes: --verbose --quiet --silent | <*",
    "comm": "-1 -2 -3 -z --check-order --nocheck-order --output-delimiter: --total --zero-terminated | <*",
    "join": (
        "-i -z -a: -e: -j: -o: -t: -v: -1: -2: --ignore-case --check-order --nocheck-order --header "
        "--zero-terminated | <*"
    ),
    "paste": "-s -z -d: --delimiters: --serial --zero-terminated | <*",
    "date": (
        "-R -u -d: -f< -I? -r< -s: --date: --debug --file< --iso-8601? --rfc-email --rfc-2822 --rfc-822 --rfc-3339: "
        "--reference< --resolution --set: --utc --universal --uct | :*"
    ),
    "basename": "-a -z -s: --multiple --suffix: --zero | :*",
    "dirname": "-z --zero | :*",
    "realpath": (
        "-e -m -L -P -q -s -z --canonicalize-existing --canonicalize-missing --logical --physical --quiet "
        "--relative-to< --relative-base< --strip --no-symlinks --zero | <*"
    ),
    "readlink": (
        "-f -e -m -n -q -s -v -z --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --quiet "
        "--silent --verbose --zero | <*"
    ),
    "sha256sum": f"{_SUMS} | <*",
    "md5sum": f"{_SUMS} | <*",
    "which": "-a -s | <*",
    "tree": (
        "-a -d -l -f -x -q -N -Q -p -u -g -s -h -D -F -v -t -c -U -r -A -S -n -C -X -J -i -L: -P: -I: -o> -H: -T: "
        "--dirsfirst --filesfirst --noreport --du --si --inodes --device --prune --matchdirs --metafirst --ignore-case "
        "--gitignore --fromfile | <*"
    ),
    "touch": "-a -c -f -h -m -d: -r< -t: --no-create --date: --no-dereference --reference< --time: | >*",
    "mkdir": "-p -v -Z -m: --mode: --parents --verbose --context? | >*",
    "cp": (
        f"{_COPIES} -a -d -H -l -L -P -p -R -r -s -x --archive --attributes-only --copy-contents --link --dereference "
        "--no-dereference --preserve? --no-preserve: --parents --recursive --reflink? --remove-destination --sparse: "
        "--symbolic-link --one-file-system | <*"
    ),
    "mv": f"{_COPIES} --no-copy | >*",
    "rm": (
        "-f -i -I -r -R -d -v --force --interactive? --one-file-system --no-preserve-root --preserve-root? "
        "--recursive --dir --verbose | >*"
    ),
    "ln": (
        "-b -d -F -f -i -L -n -P -r -s -T -v -S: -t> --backup? --directory --force --interactive --logical "
        "--no-dereference --physical --relative --symbolic --suffix: --target-directory> --no-target-directory "
        "--verbose | <*"
    ),
    "tee": "-a -i -p --append --ignore-interrupts --output-error? | >*",
}

PLAIN_TEXT = frozenset({"echo", "printf", "true", "false", "pwd"})
"""Programs that open no file, whatever their words."""

_PATTERN_OPTIONS = frozenset({"e", "f", "regexp", "file"})
_NO_LEADING: Mapping[str, frozenset[str]] = {
    "grep": _PATTERN_OPTIONS,
    "egrep": _PATTERN_OPTIONS,
    "fgrep": _PATTERN_OPTIONS,
    "rg": _PATTERN_OPTIONS | {"files", "type-list"},
}
_TO_DESTINATION = frozenset({"cp", "mv", "ln"})
_TAKES_NUMBERS = frozenset({"grep", "egrep", "fgrep", "head", "tail", "uniq", "diff"})
_EXACT_OPTIONS = frozenset({"rg", "tree"})


@cache
def spec_of(name: str) -> Spec | None:
    """Return how a program reads its words, None for one that is not in the table."""
    line = TABLE.get(name)
    if line is None:
        return None
    options, _, words = f"{line} ".partition("|")
    roles = {option.rstrip(":?<>!"): _role(option) for option in f"{options} {_COMMON}".split()}
    positions = words.split()
    destined = name in _TO_DESTINATION
    return Spec(
        short={option[1:]: role for option, role in roles.items() if not option.startswith("--")},
        long={option[2:]: role for option, role in roles.items() if option.startswith("--")},
        leading=tuple(Role(mark) for mark in positions[:-1]),
        rest=Role(positions[-1].removesuffix("*")),
        no_leading=_NO_LEADING.get(name, frozenset()),
        destination=destined,
        target=frozenset({"t", "target-directory"}) if destined else frozenset(),
        here=name == "ln",
        numbers=name in _TAKES_NUMBERS,
        abbreviates=name not in _EXACT_OPTIONS,
    )


def _role(option: str) -> Role:
    return Role(option[-1]) if option[-1] in ":?<>!" else Role.FLAG


def option_role(spec: Spec, name: str) -> tuple[str, Role] | None:
    """Return the full name and role of a long option, given in full or cut short; None if unknown or ambiguous."""
    if name in spec.long:
        return name, spec.long[name]
    if not spec.abbreviates:
        return None
    longer = [known for known in spec.long if known.startswith(name)]
    return (longer[0], spec.long[longer[0]]) if len(longer) == 1 else None
