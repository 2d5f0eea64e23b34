"""`lrctl runs`: what lies in a store."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrctl.analysis.printable import printable_lines
from lrctl.analysis.units import size
from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, AsJson, Where, print_json
from lrctl.cli.say import say
from lrctl.errors import UsageError, unknown

if TYPE_CHECKING:
    from lrctl.storage.store import Store

Inner = Annotated[Path | None, typer.Option("--store", file_okay=False, help="Where results are kept.")]

look_at_runs = typer.Typer(
    invoke_without_command=True,
    help="List the runs in the store; or show one, or remove some.",
    rich_markup_mode="rich",
    add_completion=False,
)


@look_at_runs.callback()
@reported()
def runs(context: typer.Context, as_json: AsJson = False, store: Where = STORE) -> None:
    """List the runs in the store; or show one, or remove some."""
    context.obj = (store, as_json)
    if not context.invoked_subcommand:
        list_runs(context, as_json)


@look_at_runs.command("list")
@reported()
def list_runs(context: typer.Context, as_json: AsJson = False, store: Inner = None) -> None:
    """List the runs in the store, as `lrctl runs` alone does."""
    from lrctl.report import console
    from lrctl.storage import listing
    from lrctl.storage.runs import MEND

    place = store_of(context, store)
    rows = listing.runs(place)
    for row in rows:
        if row["defects"]:
            warn(f"run {row['run']}: missing or damaged: {', '.join(row['defects'])}; {MEND}")
    for name in place.links():
        warn(f"run {name}: left out, it is a link; `lrctl runs remove {name}` deletes the link")
    if as_json or context.obj[1]:
        print_json({"runs": rows})
    elif rows:
        console.stdout().print(console.drawn(table(rows)))
    else:
        say(f"no runs in {place.shown}", err=True)


def warn(text: str) -> None:
    say(f"warning: {text}", err=True)


@look_at_runs.command()
@reported()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, finished or not.")],
    as_json: AsJson = False,
    store: Inner = None,
) -> None:
    """Print what a finished run found, or what an unfinished one is."""
    from lrctl.report import terminal
    from lrctl.storage import listing
    from lrctl.storage.runs import command_of, finished

    place = store_of(context, store)
    check_known(place, [name], place.runs())
    result = place.run_result(name)
    if result:
        finished(place.path, name)  # warns of what is damaged
        result = replace(result, run=name)  # a folder that was moved has a result with its old name
        shown = place.document(result)
    else:
        (shown,) = (row for row in listing.runs(place) if row["run"] == name)
        shown["recipe"] = place.recipe(name)
    if as_json or context.obj[1]:
        print_json(shown)
    elif result:
        terminal.print_summary(result, place.files(result))
    else:
        again = command_of(place, name)
        say(f"{name} is not finished; its command continues it: {again}")
        typer.echo(printable_lines(f"\n{shown['recipe'] or ''}"))


@look_at_runs.command()
@reported()
def remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of runs, finished or not.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Inner = None,
) -> None:
    """Delete runs; `lrctl gc` then deletes what only they needed."""
    place = store_of(context, store)
    check_known(place, names, [*place.runs(), *place.links()])
    if not yes and not confirmed(f"delete {', '.join(names)} from {place.shown}?"):
        say("nothing was deleted", err=True)
        return
    for name in names:
        place.remove_run(name)
    say(f"deleted {', '.join(names)}; lrctl gc frees what nothing else needs", err=True)


def store_of(context: typer.Context, store: Path | None) -> Store:
    """The store given to the command, else the one given to `lrctl runs`."""
    from lrctl.storage.runs import existing

    return existing(store or context.obj[0])


def check_known(store: Store, names: list[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown("run", name, known, f"{store.shown}: {name}")


def confirmed(question: str) -> bool:
    """What the user answers; no answer is no."""
    if not sys.stdin.isatty():
        raise UsageError("lrctl runs remove: there is no terminal to ask on; give --yes to delete without being asked")
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def table(rows: list[dict[str, Any]]) -> Any:
    from lrctl.contracts.table import Table
    from lrctl.storage.run_result import LOSSES

    formats = dict.fromkeys(("command", "workload", "seed", "steps"), "")
    formats |= dict.fromkeys(LOSSES, ".4f") | {"full_runs": ".1f"}

    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        facts = ("" if row[name] is None else format(row[name], spec) for name, spec in formats.items())
        return (row["run"], row["status"], *facts, row["date"][:16].replace("T", " "), size(row["bytes"]))

    columns = ("run", "state", *(name.replace("_", " ") for name in formats), "date", "disk")
    return Table("Runs", columns, tuple(map(cells, rows)))
