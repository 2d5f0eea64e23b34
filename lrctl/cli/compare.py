"""`lrctl compare`: finished runs over seeds."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, Against, AsJson, Runs, Where, print_json


@reported()
def compare(runs: Runs = None, against: Against = None, as_json: AsJson = False, store: Where = STORE) -> None:
    """Compare finished runs: losses, cost, and paired statistics over seeds.

    Runs that differ in their seed alone are one method; its test loss is compared with the reference's, seed by seed.

    The verdict is that of a paired t test at the 5 % level, with Holm's correction over the methods.

    Over a few seeds the 95 % interval is wide; two seeds are too few to tell, and one says nothing.
    """
    from lrctl.report import compare, tables, terminal
    from lrctl.report.chosen import chosen

    with redirect_stdout(sys.stderr):  # a family may print when it is asked for its LRs
        found = compare.compare(store, chosen(store, runs or []), against)
    if as_json:
        print_json(found.to_json())
    else:
        terminal.print_tables(tables.comparison_tables(found))
