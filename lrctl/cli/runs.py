"""`lrctl runs`: what lies in a store."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lrctl.analysis.printable import printable_lines
from lrctl.cli import completion
from lrctl.cli.deferred import Group
from lrctl.cli.exit import reported
from lrctl.cli.listed_runs import ORDERS, SORTED_BY, SPARED, rows_of, table
from lrctl.cli.options import NAMED, STORE, WHERE, AsJson, Where, print_json
from lrctl.cli.options import place as place_given
from lrctl.cli.say import say
from lrctl.errors import UsageError

if TYPE_CHECKING:
    from lrctl.storage.store import Store

Inner = Annotated[str | None, typer.Option("--store", metavar="DIR|URL", help=WHERE, callback=place_given)]
Sort = Annotated[
    SORTED_BY | None,
    typer.Option(
        metavar=" ".join(ORDERS),
        case_sensitive=False,
        help="What to list the runs by, lowest first. Default: by date, oldest first.",
    ),
]
Reverse = Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")]
Command = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="Only runs of this command.", autocompletion=completion.strategies)
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Only runs that trained what this recipe trains: its workload, for as many steps.",
        autocompletion=completion.recipes,
    ),
]
Label = Annotated[
    str | None, typer.Option(metavar="LABEL", help="Only runs with this label.", autocompletion=completion.labels)
]

look_at_runs = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    help="List the runs in the store; or show one, or remove some.",
    rich_markup_mode="rich",
    add_completion=False,
)


@look_at_runs.callback()
@reported()
def runs(
    context: typer.Context,
    sort: Sort = None,
    reverse: Reverse = False,
    command: Command = None,
    recipe: Recipe = None,
    label: Label = None,
    as_json: AsJson = False,
    store: Where = STORE,
) -> None:
    """List the runs in the store; or show one, or remove some."""
    context.obj = (store, as_json)
    if not context.invoked_subcommand:
        list_runs(context, sort, reverse, command, recipe, label, as_json)


@look_at_runs.command("list")
@reported()
def list_runs(
    context: typer.Context,
    sort: Sort = None,
    reverse: Reverse = False,
    command: Command = None,
    recipe: Recipe = None,
    label: Label = None,
    as_json: AsJson = False,
    store: Inner = None,
) -> None:
    """List the runs in the store, as `lrctl runs` alone does."""
    from lrctl.report import console
    from lrctl.storage.runs import MEND

    place = store_of(context, store)
    rows = rows_of(place, sort, reverse=reverse, command=command, recipe=recipe, label=label)
    for row in rows:
        if row["defects"]:
            warn(f"run {row['run']}: missing or damaged: {', '.join(row['defects'])}; {MEND}")
    for name in place.runs.links():
        warn(f"run {name}: left out, it is a link; `lrctl runs remove {name}` deletes the link")
    if as_json or context.obj[1]:
        print_json({"runs": rows})
    elif rows:
        terminal, drawn = console.stdout(), console.drawn(table(rows), SPARED)
        terminal.print(drawn)
        if gone := drawn.left_out(terminal.width):
            say(f"left out for want of room: {', '.join(gone)}; a wider terminal and --json have them", err=True)
    else:
        which = " of that kind" if command or recipe or label else ""
        say(f"no runs{which} in {place.shown}", err=True)


def warn(text: str) -> None:
    say(f"warning: {text}", err=True)


@look_at_runs.command()
@reported()
def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="RUN", help=f"A run, finished or not: {NAMED}.", autocompletion=completion.runs)
    ],
    as_json: AsJson = False,
    store: Inner = None,
) -> None:
    """Print what a finished run found, or what an unfinished one is."""
    from lrctl.report import terminal
    from lrctl.storage import listing
    from lrctl.storage.named import one_run
    from lrctl.storage.runs import command_of, finished

    place = store_of(context, store)
    name = one_run(place, name)
    result = place.runs.result(name)
    if result:
        finished(place.address, name)  # warns of what is damaged
        result = replace(result, run=name)  # a folder that was moved has a result with its old name
        shown = place.runs.document(result)
    else:
        (shown,) = (row for row in listing.runs(place) if row["run"] == name)
        shown["recipe"] = place.runs.recipe(name)
    if as_json or context.obj[1]:
        print_json(shown)
    elif result:
        terminal.print_summary(result, place.runs.files(result), notes=True)
    else:
        again = command_of(place, name)
        say(f"{name} is not finished; its command continues it: {again}")
        typer.echo(printable_lines(f"\n{shown['recipe'] or ''}"))


@look_at_runs.command()
@reported()
def remove(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help=f"Runs, finished or not: each {NAMED}, or a glob such as 'baseline*'.",
            autocompletion=completion.runs,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Inner = None,
) -> None:
    """Delete runs; `lrctl gc` then deletes what only they needed."""
    from lrctl.storage.named import all_runs

    place = store_of(context, store)
    names = all_runs(place, names, links=True)
    if not yes and not confirmed(f"delete {', '.join(names)} from {place.shown}?"):
        say("nothing was deleted", err=True)
        return
    for name in names:
        place.runs.take_away(name)
    say(f"deleted {', '.join(names)}; lrctl gc frees what nothing else needs", err=True)


def store_of(context: typer.Context, store: str | None) -> Store:
    """The store given to the command, else the one given to `lrctl runs`."""
    from lrctl.storage.runs import existing

    return existing(store or context.obj[0])


def confirmed(question: str) -> bool:
    """What the user answers; no answer is no."""
    if not sys.stdin.isatty():
        raise UsageError("lrctl runs remove: there is no terminal to ask on; give --yes to delete without being asked")
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
