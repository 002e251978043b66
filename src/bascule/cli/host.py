"""``bascule host``: install on this machine as a service, with accounts of its own, and undo that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bascule.cli import host_check, launch
from bascule.cli.options import AsJson, example
from bascule.cli.sink import Sink
from bascule.core.errors import Malformed, NotPermitted
from bascule.host import site

if TYPE_CHECKING:
    from bascule.host.installer import Left
    from bascule.host.standing import Standing

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

SAID: Final = {
    "make": "make    ",
    "replace": "replace ",
    "same": "have    ",
    "keep": "leave   ",
    "refuse": "REFUSE  ",
}


def install(  # noqa: PLR0913 (each is an option)
    context: typer.Context,
    *,
    operator: Annotated[
        list[str] | None, typer.Option("--operator", metavar="USER", help="Who may speak to the gateway; repeatable.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="DIR", help="Take policy and prompts from this home.")
    ] = None,
    team: Annotated[
        str | None, typer.Option(metavar="NAME", help="Else begin with this team: bruba or solo (which is usual).")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Install as a service, as root: accounts, /etc/bascule, /var/lib/bascule, a systemd unit. All is said first."""
    from bascule.host import install_here  # noqa: PLC0415 (brings the policy compiler, for this verb only)
    from bascule.host.install_plan import plan  # noqa: PLC0415 (as above)
    from bascule.host.installer import Installer, refuse, refuse_unsafe_code  # noqa: PLC0415 (as above)
    from bascule.host.machine import Machine  # noqa: PLC0415 (as above)
    from bascule.host.templates import TEAMS, team_template  # noqa: PLC0415 (as above)

    sink = _sink(context, as_json)
    install_here.refuse_here()
    machine = Machine()
    if source is not None and team is not None:
        raise Malformed("usage", "policy comes from --from or from --team", "say one of them")
    if source is not None:
        texts = install_here.texts_of_home(Path(source))
    elif team is None and install_here.has_policy(machine):
        texts = {}
    else:
        texts = team_template(team if team is not None else TEAMS[-1]).files
    wanted = plan(install_here.wish_here(machine, texts, tuple(operator or ())))
    installer = Installer(machine)
    found = installer.survey(wanted)
    if sink.as_json and (dry_run or yes):
        if dry_run:
            sink.json(_plan_json(found))
    else:
        _say_plan(sink, found)
    refuse(found)
    refuse_unsafe_code(install_here.code_paths())
    if dry_run:
        return
    if all(one.state in {"same", "keep"} for one in found) and site.is_installed():
        _done(sink, found, "nothing to do: it is installed already")
        return
    _agree(sink, yes=yes)
    _done(sink, installer.install(wanted), _next(machine.path("/run/systemd/system").is_dir()))


def uninstall(
    context: typer.Context,
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help=f"Remove {site.HOME} too: agents' files, ledger and keys.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Undo what install did, and nothing else. What agents and gateway wrote stays unless you say --purge."""
    from bascule.host import install_here  # noqa: PLC0415 (for this verb only)
    from bascule.host.installer import Installer  # noqa: PLC0415 (as above)
    from bascule.host.machine import Machine  # noqa: PLC0415 (as above)

    sink = _sink(context, as_json)
    install_here.refuse_here()
    _refuse_running()
    installer = Installer(Machine())
    left = installer.leftovers(purge=purge)
    if dry_run and sink.as_json:
        sink.json(_left_json(left))
        return
    if not sink.as_json:
        _say_left(sink, left, "remove  ")
    if dry_run:
        if not left:
            sink.line("nothing is installed here")
        return
    if left:
        _agree(sink, yes=yes)
    undone = installer.uninstall(purge=purge)
    if sink.as_json:
        sink.json(_left_json(undone))
        return
    for one in undone:
        if one.why and one not in left:
            _say_left(sink, [one], "removed ")
    sink.line("nothing is installed here" if not undone else "uninstalled")


def unit(
    context: typer.Context,
    *,
    docker: Annotated[bool, typer.Option("--docker", help="As for a policy that puts agents into Docker.")] = False,
    proxy: Annotated[bool, typer.Option("--proxy", help="As for a policy that lets agents out by proxy.")] = False,
    macos: Annotated[bool, typer.Option("--macos", help="For launchd and newsyslog; untested.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what would start the service and rotate its log; nothing is written."""
    from bascule.host import launchd, units  # noqa: PLC0415 (for this verb only)
    from bascule.host.install_here import program  # noqa: PLC0415 (as above)
    from bascule.host.install_plan import ROTATION, UNIT  # noqa: PLC0415 (as above)

    sink = _sink(context, as_json)
    if macos:
        files = {launchd.PLIST: launchd.property_list(program()), launchd.NEWSYSLOG: launchd.newsyslog()}
    else:
        files = {UNIT: units.service_unit(program(), docker=docker, proxy=proxy), ROTATION: units.rotation()}
    if sink.as_json:
        sink.json([{"id": name, "text": text} for name, text in files.items()])
        return
    for name, text in files.items():
        sink.note(f"-- {name}")
        for line in text.splitlines():
            sink.line(line)


def _sink(context: typer.Context, as_json: object) -> Sink:
    return Sink(as_json=bool(as_json) or bool(context.find_root().params.get("as_json")))


def _refuse_running() -> None:
    if site.is_installed() and (client := launch.running(Path(site.HOME))) is not None:
        client.close()
        remedy = "as root: systemctl disable --now bascule, or: bascule gateway stop"
        raise NotPermitted("gateway_running", f"the gateway of {site.HOME} runs", remedy)


def _agree(sink: Sink, *, yes: bool) -> None:
    if yes:
        return
    if not sink.interactive:
        raise Malformed("usage", "there is no terminal to ask at", "read what --dry-run says, then add --yes")
    try:
        answer = sink.prompt("do this? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        raise NotPermitted("not_agreed", "nothing was changed", "answer y, or say --yes")


def _say_plan(sink: Sink, found: Sequence[Standing]) -> None:
    from bascule.host.install_plan import describe  # noqa: PLC0415 (for this group only)

    for one in found:
        why = f" [{one.why}]" if one.why else " [already so]" if one.state == "same" else ""
        sink.line(f"{SAID[one.state]}{describe(one.action)}{why}")


def _say_left(sink: Sink, left: Sequence[Left], word: str) -> None:
    from bascule.host.install_plan import describe  # noqa: PLC0415 (for this group only)

    for one in left:
        sink.line(f"{'leave   ' if one.why else word}{describe(one.action)}{f' [{one.why}]' if one.why else ''}")


def _plan_json(found: Sequence[Standing]) -> list[dict[str, str]]:
    from bascule.host.install_plan import describe  # noqa: PLC0415 (for this group only)

    return [{"id": describe(one.action), "state": str(one.state), "why": one.why} for one in found]


def _left_json(left: Sequence[Left]) -> list[dict[str, str]]:
    from bascule.host.install_plan import describe  # noqa: PLC0415 (for this group only)

    return [{"id": describe(one.action), "state": "leave" if one.why else "remove", "why": one.why} for one in left]


def _done(sink: Sink, found: Sequence[Standing], sentence: str) -> None:
    if sink.as_json:
        sink.json(_plan_json(found))
    else:
        sink.line(sentence)


def _next(systemd: object) -> str:
    start = "systemctl enable --now bascule" if systemd else f"bascule --home {site.HOME} gateway start"
    return f"installed; next: name your model in {site.CONFIG}/bascule.json5, then as root: {start}"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Bascule as a service of this machine.")
    group.command(epilog=example("bascule host install --operator pat --dry-run"))(install)
    group.command(epilog=example("bascule host uninstall --dry-run"))(uninstall)
    group.command(epilog=example("bascule host unit"))(unit)
    host_check.add(group)
    app.add_typer(group, name="host")
