"""``bascule sandbox``: which box an agent gets, and what that box says of itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from bascule.cli import launch
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column
from bascule.core.errors import Malformed
from bascule.core.policy import DEFAULT_IMAGE

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Which agent.")]

MaybeAgent = Annotated[str | None, typer.Argument(metavar="AGENT", help="Which agent.")]
Named = Annotated[str | None, typer.Option("--agent", metavar="ID", help="The same as AGENT.")]
Every = Annotated[bool, typer.Option("--all", help="Every agent.")]
Session = Annotated[str | None, typer.Option("--session", metavar="KEY", help="One session's boxes only.")]

DEBIAN = "http://deb.debian.org/debian"
"""Debian signs its packages, so that they may come unencrypted."""

BOXES = (
    Column("ID", "id"),
    Column("AGENT", "agent"),
    Column("BACKEND", "backend"),
    Column("STATE", "state"),
    Column("AGE", "age"),
    Column("UNUSED", "idle"),
    Column("IMAGE", "image"),
)

CHECKS = (Column("CHECK", "id"), Column("RESULT", "result"), Column("FOUND", "detail"), Column("REMEDY", "remedy"))
FACTS = (Column("WHAT", "id"), Column("IS", "value"), Column("BY", "by"))
MOUNTS = (Column("IN THE BOX", "target"), Column("MAY", "access"), Column("OF THIS MACHINE", "source"))
TOOLS = (Column("IT LACKS", "id"), Column("TAKEN BY", "by"))

ACCESS = {"ro": "read", "rw": "read, write", "run": "read, run", "host": "as its account may"}


def explain(
    context: typer.Context,
    agent: Agent,
    tool: Annotated[str | None, typer.Argument(metavar="TOOL", help="Why it has this tool, or not.")] = None,
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what box an agent gets and which tools it lacks, each with the key that says so. Starts nothing."""
    run = settle(context, home, as_json)
    client = launch.running(run.home)
    if client is None:
        # The files as they are; a gateway need not be started to read them.
        from bascule.app import explaining, wiring  # noqa: PLC0415 (for this verb only)

        found: Any = explaining.explain_files(run.home, agent, wiring.BUILT_TOOLS)
    else:
        with client:
            found = client.request("sandbox_explain", agent=agent)
    if tool is not None:
        _explain_tool(run, found, tool)
    elif run.sink.as_json:
        run.sink.json(found)
    else:
        _explain_box(run, found)


def _explain_box(run: Run, found: Mapping[str, Any]) -> None:
    sink = run.sink
    own = next((fact["key"] for fact in found["facts"]), "").rpartition(".sandbox.")[0]
    sink.line(f"The box of {found['agent']}: (agent) is {own}.sandbox, (all) is agents.defaults.sandbox")
    sink.table(FACTS, [{**fact, "by": _briefly(fact, own)} for fact in found["facts"]], "nothing")
    sink.line()
    rows = [{**place, "access": ACCESS.get(place["access"], "?")} for place in found["mounts"]]
    sink.table(MOUNTS, [{**row, "source": row["source"] or "nothing, empty at every call"} for row in rows], "nothing")
    sink.line()
    by_state = {
        state: [row["id"] for row in found["tools"] if row["state"] == state] for state in ("given", "not built")
    }
    sink.pairs([("it has", by_state["given"] or ["no tool"]), ("not built", by_state["not built"])])
    sink.line()
    sink.table(TOOLS, _lacking(found["tools"]), "it lacks nothing")
    keys = {_name(key): _place(key) for row in found["tools"] for key in row["keys"]}
    sink.pairs(sorted(keys.items()))
    sink.line(f"more on one tool: bascule sandbox explain {found['agent']} TOOL")


def _lacking(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tools that are missing, those together that the same keys take away."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in tools:
        if row["state"] == "missing":
            groups.setdefault(tuple(_name(key) for key in row["keys"]), []).append(row["id"])
    return [{"id": names, "by": list(keys)} for keys, names in groups.items()]


def _name(key: Mapping[str, Any]) -> str:
    """A key that takes a tool away, by its scope and its last word."""
    return f"{key['scope']} {str(key['key']).rpartition('.')[2]}"


def _briefly(fact: Mapping[str, Any], own: str) -> str:
    key = str(fact["key"])
    for prefix, name in ((f"{own}.sandbox.", "(agent) "), ("agents.defaults.sandbox.", "(all) ")):
        if key.startswith(prefix):
            key = name + key.removeprefix(prefix)
    line = str(fact["where"]).split(":")[1:2]
    return f"{key}, line {line[0]}" if line else f"built in; {key}"


def _explain_tool(run: Run, found: Mapping[str, Any], untrusted_tool: str) -> None:
    from bascule.policy.catalog import normalise  # noqa: PLC0415 (for this verb only)

    name = normalise(untrusted_tool)
    row = next((row for row in found["tools"] if row["id"] == name), None)
    if row is None:
        near = difflib.get_close_matches(name, [row["id"] for row in found["tools"]], n=1)
        remedy = f"did you mean {near[0]}?" if near else f"see: bascule sandbox explain {found['agent']}"
        raise Malformed("tool_unknown", f"there is no tool {untrusted_tool[:60]!r}", remedy)
    if run.sink.as_json:
        run.sink.json({"agent": found["agent"], **row})
        return
    run.sink.line(f"{found['agent']} and {row['id']}: {row['state']}")
    for key in row["keys"]:
        how = "denies it" if key["key"].endswith(".deny") else "does not name it"
        run.sink.line(f"  {key['scope']}: {_place(key)} {how}")
    if not row["keys"]:
        run.sink.line(f"  {row['reason']}")
    for line in str(row["remedy"]).split("; ") if row["remedy"] else ():
        run.sink.line(f"  to have it: {line}")
    if any(key["scope"] == "sandbox ceiling" for key in row["keys"]):
        said = next((fact for fact in found["facts"] if fact["id"] == "mode"), None)
        if said is not None:
            run.sink.line(f"  that ceiling holds for it because its mode is not off: {_by(said)}")


def _by(fact: Mapping[str, Any]) -> str:
    if fact["where"]:
        return _place(fact)
    return f"built in; {fact['key']}" if fact["key"] else ""


def _place(key: Mapping[str, Any]) -> str:
    """A key and the line where it stands; columns are for programs."""
    where = str(key["where"])
    line = where.rpartition(":")[0] if where.count(":") > 1 else where
    return f"{key['key']} ({line})" if line else str(key["key"])


def probe(context: typer.Context, agent: Agent, *, home: Home = None, as_json: AsJson = False) -> int:
    """Start an agent's box and report its self-test: status 0 if it holds, 1 if not."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sandbox_probe", agent=agent, session=None)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        rows = [{**check, "result": "ok" if check["ok"] else "failed"} for check in found["checks"]]
        run.sink.table(CHECKS, rows, "the box reported nothing")
    return 0 if found["ok"] else 1


def list_(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """List the boxes that last from call to call: warm file workers and containers."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sandbox_list")
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.table(BOXES, [_box(box) for box in found], "no box is standing")


def _box(box: Mapping[str, Any]) -> dict[str, Any]:
    """A box for people: how long it has been there, and an image by the beginning of its id."""
    state = "orphan" if box["orphan"] else box["state"]
    times = {name: "" if box[name] is None else _ago(int(box[name])) for name in ("age", "idle")}
    return {**box, **times, "state": state, "image": str(box["image"]).removeprefix("sha256:")[:12]}


def _ago(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def stop(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    agent: MaybeAgent = None,
    *,
    named: Named = None,
    every: Every = False,
    session: Session = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End an agent's boxes, one session's, or everybody's; the next call makes new ones."""
    run, chosen = settle(context, home, as_json), _chosen("stop", (agent, named), session, every=every)
    with run.connect() as gateway:
        stopped = gateway.request("sandbox_stop", agent=chosen[0], session=chosen[1])
    if run.sink.as_json:
        run.sink.json({"stopped": stopped})
    else:
        run.sink.line(f"stopped the boxes of {chosen[1] or ', '.join(stopped)}")


def recreate(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    agent: MaybeAgent = None,
    *,
    named: Named = None,
    every: Every = False,
    session: Session = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """End boxes as stop does, and make them anew: status 0 if each holds, 1 if not."""
    run, chosen = settle(context, home, as_json), _chosen("recreate", (agent, named), session, every=every)
    with run.connect() as gateway:
        stopped = gateway.request("sandbox_stop", agent=chosen[0], session=chosen[1])
        made = [gateway.request("sandbox_probe", agent=name, session=chosen[1]) for name in stopped]
    if run.sink.as_json:
        run.sink.json(made)
    else:
        for probed in made:
            short = next((_short(check) for check in probed["checks"] if not check["ok"]), "as it must be")
            run.sink.line(f"{probed['agent']} ({probed['backend']}): {short}")
    return 0 if all(probed["ok"] for probed in made) else 1


def _short(check: Mapping[str, Any]) -> str:
    """What failed, and what to do about it where that is known."""
    return f"{check['detail']} ({check['remedy']})" if check["remedy"] else str(check["detail"])


def build(
    context: typer.Context,
    *,
    image: Annotated[str, typer.Option(metavar="NAME", help="Which image; other names are fetched.")] = DEFAULT_IMAGE,
    mirror: Annotated[str, typer.Option(metavar="URL", help="Where Debian's packages are.")] = DEBIAN,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the image containers start from, out of Debian's packages, or fetch the one named; its id is recorded."""
    from bascule.app.images import make  # noqa: PLC0415 (brings the engine's client, for this verb only)

    run = settle(context, home, as_json)
    made = make(run.home, image, mirror)
    if run.sink.as_json:
        run.sink.json({"image": image, "id": made.id, "source": made.source, "packages": len(made.packages)})
    else:
        run.sink.line(f"{image} is {made.id} ({made.source}, {len(made.packages)} packages)")


def _chosen(
    verb: str, agents: tuple[str | None, ...], session: str | None, *, every: bool
) -> tuple[str | None, str | None]:
    """Return which agent and which of its sessions; a session's key begins with its agent's name."""
    agent = next((one for one in agents if one is not None), None)
    if sum(one is not None for one in (*agents, session)) + every != 1:
        raise Malformed("usage", "name one agent, or one session, or say --all", f"see: bascule sandbox {verb} --help")
    if session is None:
        return agent, None
    parts = session.split(":")
    if len(parts) < 3 or parts[0].lower() != "agent":
        raise Malformed("session_key", f"{session[:100]!r} is no session key", "see: bascule sessions list")
    return parts[1], session


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The boxes agents' programs run in.")
    group.command(epilog=example("bascule sandbox explain bruba-main", "bascule sandbox explain bruba-web message"))(
        explain
    )
    group.command(epilog=example("bascule sandbox probe bruba-main"))(probe)
    group.command("list", epilog=example("bascule sandbox list"))(list_)
    group.command(epilog=example("bascule sandbox stop bruba-web", "bascule sandbox stop --all"))(stop)
    group.command(
        epilog=example("bascule sandbox recreate bruba-web", "bascule sandbox recreate --session agent:bruba-web:main")
    )(recreate)
    group.command(epilog=example("bascule sandbox build"))(build)
    app.add_typer(group, name="sandbox")
