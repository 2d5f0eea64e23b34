"""The command line: one command per registered strategy, and the commands that look at results.

Each module here imports what its commands need when they run, so that `lrctl --help` stays quick.
"""

from __future__ import annotations

import sys
import warnings

from lrctl.cli.exit import reported, watch


def main() -> None:
    watch()  # before all that takes its time to import
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    with reported():
        from lrctl.cli.commands import application

        commands = application()
    commands()
