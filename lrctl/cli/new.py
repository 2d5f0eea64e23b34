"""`lrctl new`: a small plugin or program to start from.

What it writes stands in the guide, where it is told and tried: the page on hooks, and the one on programs.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lrctl.cli.exit import reported
from lrctl.cli.guide import GUIDE
from lrctl.cli.options import Debug
from lrctl.cli.say import say
from lrctl.errors import UsageError, unknown


@dataclass(frozen=True, slots=True)
class Template:
    """An example of the guide: the page and the module that it stands in, and a command to try it with."""

    page: str
    module: str
    command: str


TEMPLATES = {
    "workload": Template("hooks", "fit_line", "lrctl semilocal --recipe smoke --workload fit-line"),
    "program": Template("program", "train", 'lrctl lookahead --budget 4 --steps 40 --program "python train.py"'),
    "schedule": Template("hooks", "bump", "lrctl baseline --recipe smoke --family bump"),
    "strategy": Template("hooks", "best_constant", "lrctl best-constant --recipe smoke --grid 0.3,0.1"),
    "executor": Template("hooks", "logged", "lrctl semilocal --recipe smoke --executor logged"),
    "tracker": Template("hooks", "ledger", "lrctl semilocal --recipe smoke --track ledger"),
}
"""By the kind of part. A program needs no plugin."""

PACKAGING = "hooks"
"""The page that shows a pyproject.toml, for all its modules."""


@reported()
def new(
    kind: Annotated[str, typer.Argument(metavar="|".join(TEMPLATES), help="What to write.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.", show_default=False)],
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write a small, tested plugin or program of your own to start from.

    A module with what the guide explains, a test that has lrctl check it, and a pyproject.toml.
    """
    if kind not in TEMPLATES:
        raise unknown("kind", kind, TEMPLATES, "lrctl new")
    template = TEMPLATES[kind]
    write(folder, files_of(template, folder.absolute().name))
    install = [] if kind == "program" else ["pip install ."]
    say(f"wrote {folder}: {template.module}.py, test_{template.module}.py, pyproject.toml")
    say(f"next: cd {folder} && {' && '.join([*install, 'pytest', template.command])}")
    say(f"what each line means: lrctl guide {template.page}")


def files_of(template: Template, name: str) -> dict[str, str]:
    """The files of a project, by name."""
    modules = (template.module, f"test_{template.module}")
    files = {f"{module}.py": block(template.page, "python", f"# {module}.py\n") for module in modules}
    return {**files, "pyproject.toml": packaging(template, name)}


def block(page: str, language: str, first: str) -> str:
    """The block of code on a page of the reference that begins with these words."""
    text = (GUIDE / "reference" / f"{page}.md").read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n({re.escape(first)}.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page}.md has no block {first!r}"
    return found[1]


def packaging(template: Template, name: str) -> str:
    """The pyproject.toml of the guide with one module in place of all; a program has no entry point."""
    text, module = block(PACKAGING, "toml", "[build-system]"), template.module
    text = re.sub(r'^name = ".*"$', f'name = "{project_name(name, module)}"', text, flags=re.MULTILINE)
    own = f'{module} = "{module}"\n'
    entries = "" if own not in text else f"[project.entry-points.lrctl]\n{own}\n"
    text = re.sub(r"^\[project\.entry-points\.lrctl\]\n.*?\n\n", entries, text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^only-include = .*$", f'only-include = ["{module}.py"]', text, flags=re.MULTILINE)


def project_name(folder: str, module: str) -> str:
    """The name of a project after its folder, in letters, digits and dashes.

    Raises:
        UsageError: installing it would put it in the place of a package that is there.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or module.replace("_", "-")
    if is_taken(name):
        raise UsageError(
            f"lrctl new: {folder}: its package would be called {name}, as one that is installed; choose another folder"
        )
    return name


def is_taken(name: str) -> bool:
    """Whether a package or module of Python or of what is installed has this name."""
    from lrctl.recipe.sources import installed

    module = name.replace("-", "_")
    with suppress(PackageNotFoundError):
        return bool(distribution(name))
    found = find_spec(module)  # a folder that Python could import has no origin
    return module in sys.stdlib_module_names or bool(found and found.origin and installed(found.origin))


def write(folder: Path, files: dict[str, str]) -> None:
    """Write the files of a new project.

    Raises:
        UsageError: the folder holds something, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := sorted(os.listdir(folder)):
            raise UsageError(f"lrctl new: {folder} holds {there[0]} already; choose a new or empty folder")
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"lrctl new: {folder}: {error.strerror}; choose a folder that can be made") from error
