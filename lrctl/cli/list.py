"""`lrctl list`: every part that is registered, and every plugin that is broken."""

from __future__ import annotations

import sys
from contextlib import suppress

from lrctl.cli.exit import reported
from lrctl.cli.options import AsJson, print_json
from lrctl.cli.search import search_command
from lrctl.errors import UsageError
from lrctl.registry.registry import KINDS, registry


@reported()
def list_parts(as_json: AsJson = False) -> None:
    """List every registered strategy, schedule, workload and executor, and the plugins that are broken."""
    found = registry()
    for name in found.names("strategy"):
        with suppress(UsageError):  # its plugin is a row
            search_command(name)
    parts = [part for kind in KINDS for part in found.of(kind)]
    if as_json:
        rows = [
            {"kind": p.kind, "name": p.name, "plugin": p.plugin, "help": p.help, "marks": sorted(p.marks)}
            for p in parts
        ]
        print_json({"parts": rows, "broken": found.broken})
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("kind", "name", "plugin", "marks", "what it is", box=None, pad_edge=False)
    for part in parts:
        table.add_row(part.kind, part.name, part.plugin, ", ".join(sorted(part.marks)), escape(part.help))
    for plugin, reason in found.broken.items():
        table.add_row("[red]broken[/red]", "", plugin, "", escape(reason))
    # One line per part for whoever reads the lines.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
