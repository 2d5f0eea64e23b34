"""`lrctl list`: every part that is registered, and every plugin that is broken."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from lrctl.cli.exit import reported
from lrctl.cli.options import AsJson, print_json
from lrctl.cli.search import search_command
from lrctl.errors import UsageError
from lrctl.registry.parts import KINDS
from lrctl.registry.registry import registry


@reported()
def list_parts(as_json: AsJson = False) -> None:
    """List every registered strategy, schedule, workload and executor.

    Then each plugin with how long its import takes and the heavy packages it brings in, and those that are broken.
    """
    found = registry()
    for name in found.names("strategy"):
        with suppress(UsageError):  # its plugin is a row
            search_command(name)
    parts = [part for kind in KINDS for part in found.of(kind)]
    imported = [(plugin, took) for plugin, took in found.imported.items() if plugin not in found.broken]
    if as_json:
        rows = [
            {"kind": p.kind, "name": p.name, "plugin": p.plugin, "help": p.help, "marks": sorted(p.marks)}
            for p in parts
        ]
        took = [{"plugin": plugin, **asdict(each)} for plugin, each in imported]
        print_json({"parts": rows, "plugins": took, "broken": found.broken})
        return
    from lrctl.contracts.table import Table
    from lrctl.report.console import drawn, stdout

    shown = [(part.kind, part.name, part.plugin, ", ".join(sorted(part.marks)), part.help) for part in parts]
    shown += [("plugin", "", plugin, "", f"imported in {took}") for plugin, took in imported]
    shown += [("broken", "", plugin, "", reason) for plugin, reason in found.broken.items()]
    stdout().print(drawn(Table("", ("kind", "name", "plugin", "marks", "what it is"), tuple(shown))))
