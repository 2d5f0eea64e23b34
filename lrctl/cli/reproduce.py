"""`lrctl reproduce`: a paper's experiments, and its numbers beside ours."""

from __future__ import annotations

import sys
from contextlib import closing, redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, AsJson, Debug, Quiet, Where, print_json
from lrctl.cli.say import say


def known_papers() -> str:
    from lrctl.papers.experiments import papers

    return "|".join(papers())


@reported()
def reproduce(
    # An annotation is read when the command is built, and not when this module is imported.
    paper: Annotated[str, typer.Argument(metavar=known_papers(), help="The paper.")],
    scale: Annotated[
        Literal["tiny", "paper"],
        typer.Option(
            metavar="tiny|paper",
            case_sensitive=False,
            help="tiny: the same protocol on small recipes; paper: its own models and data, on a GPU.",
        ),
    ] = "tiny",
    only: Annotated[
        list[str] | None, typer.Option(metavar="RECIPE", help="This recipe of the paper only; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="table.key=value", help="Any key of the recipes, such as training.steps=100; repeatable."
        ),
    ] = None,
    store: Where = STORE,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Folder for the page and figures. Default: none."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the experiments, their jobs and steps; train nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run a paper's experiments, and lay the numbers that it prints beside ours.

    The same command again continues where it stopped; what is in the store is not run again.

    At scale tiny the protocol is the same and the model is not, so only orders can be compared.
    """
    from lrctl.contracts.canonical import finite
    from lrctl.engine.executors import Executors
    from lrctl.papers import experiments as papers
    from lrctl.papers.reproduce import Reproduction
    from lrctl.papers.side_by_side import side_by_side_chart, side_by_side_table
    from lrctl.planning.estimate import check_memory
    from lrctl.recipe import parse as recipes
    from lrctl.report import files, progress, terminal
    from lrctl.storage.location import location

    overrides = dict(recipes.parse_setting(text) for text in settings or [])
    wanted = papers.experiments(paper, scale, only or [])
    place, out = location(store), out and out.absolute()  # the user's own code may go elsewhere
    if dry_run:
        from lrctl.cli.planned import print_plan

        print_plan(wanted, scale, overrides, place, as_json=as_json)
        return
    tables, charts, runs = [], [], []
    for group in papers.by_table(wanted):
        with progress.shown(quiet=quiet), redirect_stdout(sys.stderr), closing(Executors()) as executors:
            ran = Reproduction(scale, place, overrides, executors, partial(check_memory, store=place, kept=executors))
            done = [(each.recipe, one) for each in group for one in ran.run(each)]
        cells = [one for _, one in done]
        tables.append(side_by_side_table(group, cells, scale))
        charts += side_by_side_chart(group[0], cells)
        runs += [{"recipe": recipe, "cell": one.cell.label, "run": one.at("run")} for recipe, one in done]
        if not as_json:
            terminal.print_tables([tables[-1]])
    written = files.write_tables(f"{paper}, scale {scale}", tables, charts, out) if out else {}
    if as_json:
        document = {"paper": paper, "scale": scale, "runs": runs, "tables": [asdict(table) for table in tables]}
        print_json(finite(document | {"files": written}))
    for path in written.values():
        say(f"wrote {path}", err=True)
