"""The command line: one command per registered strategy, and the commands that look at results.

Each module here imports what its commands need when they run, so that `lrctl --help` stays quick.
"""

from __future__ import annotations

import sys
import warnings

from lrctl.cli.signals import watch


def main() -> None:
    watch()  # before all that takes its time to import
    from lrctl.analysis.printable import shortened
    from lrctl.cli.commands import application
    from lrctl.cli.exit import reported
    from lrctl.cli.say import say

    warnings.showwarning = lambda message, *_: say(f"warning: {shortened(str(message))}", err=True)
    with reported(may_exit=True):  # as Typer does where a shell asks for completions
        code = application()(prog_name="lrctl", standalone_mode=False)
    sys.exit(code)
