"""`lrctl export`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

import typer

from lrctl.cli import completion
from lrctl.cli.exit import reported
from lrctl.cli.options import GIVEN, NAMED, STORE, Where
from lrctl.cli.say import say
from lrctl.errors import UsageError

MODULES = ("torch", "transformers", "lightning", "optax")
"""The targets whose file is a module: a project imports it by its name."""

OTHER_NAME = "choose another name, such as lr_schedule.py"


@reported()
def export_schedule(
    source: Annotated[
        str,
        typer.Argument(
            metavar=GIVEN, help=f"A finished run: {NAMED}; or a schedule file.", autocompletion=completion.runs
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="torch, transformers, lightning, optax, csv or json.",
            autocompletion=completion.targets,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write this file instead of to stdout.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            help="Stretch it to so many steps, with its peak LR carried there. Default: its own.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it holds something else.")] = False,
    store: Where = STORE,
) -> None:
    """Write a schedule as a short file of code or data, which a training project takes as it is, without lrctl."""
    from lrctl.export.given import exported

    module = module_name(out) if out and to in MODULES else "lr_schedule"
    with redirect_stdout(sys.stderr):  # a family may print when it is asked for its LRs
        found = exported(store, source, to, module, steps)
    if out and to in MODULES:
        check_free(out, to, found.text)
    if found.told:
        say(found.told, err=True)
    if out is None:
        typer.echo(found.text, nl=False)
    else:
        write(out, found.text, replace=force)
        say(f"wrote {out}: {found.steps} steps from {found.source} for {to}", err=True)


def module_name(out: Path) -> str:
    """The name that a project imports a file by."""
    if out.suffix != ".py" or not out.stem.isidentifier() or iskeyword(out.stem):
        raise UsageError(f"--out {out}: Python cannot import a file of that name; {OTHER_NAME}")
    return out.stem


def check_free(out: Path, to: str, text: str) -> None:
    """Refuse the name of a module that the file needs, or Python: beside the file, that could not be imported."""
    from lrctl.recipe.sources import LRCTL, imports

    needed = {name.partition(".")[0] for name in imports(text.encode(), "")}
    if out.stem in needed | {to, LRCTL} | sys.stdlib_module_names:
        raise UsageError(f"--out {out}: it would stand in the place of the module {out.stem}; {OTHER_NAME}")


def write(out: Path, text: str, *, replace: bool) -> None:
    """Write the file at once or not at all, unless that would destroy another; a link to a file stays one."""
    from lrctl.documents import open_regular
    from lrctl.storage.files import write_text

    path, content = out.resolve(), text.encode()
    if not path.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it, or choose another place")
    try:
        with open_regular(path) as file:
            other = file.read(len(content) + 1) != content
    except FileNotFoundError:
        other = False
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; choose a file that can be read and written") from error
    if other and not replace:
        raise UsageError(f"--out {out}: the file exists and holds something else; choose another, or give --force")
    write_text(path, text, "choose another --out")
