"""`lrctl gc`: free what no run needs any more."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lrctl.analysis.units import size
from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, AsJson, Where, print_json
from lrctl.cli.say import say
from lrctl.errors import StoreError


@reported()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be deleted; delete nothing.")] = False,
    as_json: AsJson = False,
    store: Where = STORE,
) -> None:
    """Delete checkpoints, losses and results of jobs that no run in the store needs any more."""
    from lrctl.storage.gc import collect
    from lrctl.storage.runs import MEND, existing

    found = collect(existing(store), dry_run=dry_run)
    if as_json:
        print_json(found)
    else:
        tell(found)
    for name in found["damaged"]:
        say(f"warning: run {name}: its result.json is damaged, so what it may hand over stays; {MEND}", err=True)
    if found["stuck"]:
        raise StoreError(f"{len(found['stuck'])} files are left; the first: {found['stuck'][0]}")


def tell(found: dict[str, Any]) -> None:
    for kind, count in found["freed"].items():
        say(f"{kind + ':':<13}{count['files']:>6} files {size(count['bytes']):>10}")
    say(f"{'would free' if found['dry_run'] else 'freed'} {found['files']} files, {size(found['bytes'])}")
    if found["spared"]:
        say(
            f"{found['spared']} files stay for now: they are younger than an hour, and unfinished runs "
            f"({', '.join(found['unfinished'])}) may be at work",
            err=True,
        )
