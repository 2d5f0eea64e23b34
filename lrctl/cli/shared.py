"""What every search takes beside the parameters of its strategy."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Annotated, Any

import typer

from lrctl.cli import completion
from lrctl.cli.options import STORE, WHERE, place

SHARED = "Every search"

METAVARS: dict[Any, str] = {int | None: "INTEGER", float | None: "NUMBER", bool: ""}
"""The words that the help shows for what an option takes; a flag takes nothing."""


def shared_options(own: Collection[str] = ()) -> list[inspect.Parameter]:
    """What every search takes; `own` are the options that its strategy has itself."""

    def option(name: str, kind: Any, text: str, default: Any = None, *flags: str, **more: Any) -> inspect.Parameter:
        more = {"metavar": METAVARS.get(kind, "TEXT")} | more
        declared = typer.Option(*flags, help=text, rich_help_panel=SHARED, show_default=False, **more)
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared]
        )

    text = "Search with each of these seeds, such as 0,1,2, and compare what was found."
    seeds = option("seeds", str | None, text, metavar="INTEGER,...")
    own_seeds = [] if "seeds" in own else [seeds]
    return [
        option(
            "recipe",
            str | None,
            "A bundled recipe's name, or a TOML file. Default: quickstart.",
            metavar="NAME|FILE",
            autocompletion=completion.recipes,
        ),
        option("steps", int | None, "Optimizer updates in the whole run. Default: the recipe's."),
        option(
            "epochs",
            float | None,
            "The length of the run in epochs of the training data, in place of steps, such as 3.",
        ),
        option("seed", int | None, "Decides initialisation, batches and dropout. Default: the recipe's, else 0."),
        *own_seeds,
        option(
            "workload",
            str | None,
            "What is trained: a registered workload, or a class of your own. Default: the recipe's.",
            metavar="NAME|file.py:Class|pkg.module:Class",
            autocompletion=completion.workloads,
        ),
        option(
            "settings",
            list[str] | None,
            "Any key of the recipe, such as training.steps=100; repeatable.",
            None,
            "--set",
            metavar="table.key=value",
        ),
        option("program", str | None, "A command that trains: your own program, started once for each job."),
        option(
            "depends",
            list[str] | None,
            "A file or folder that decides what --program trains, beside those of the command; repeatable.",
            None,
            "--depends",
            metavar="FILE",
        ),
        option(
            "from_checkpoint",
            str | None,
            "Search what is left of a run that is under way: its checkpoint, with --at and --past.",
            None,
            "--from",
            metavar="CHECKPOINT",
        ),
        option(
            "at", int | None, "Updates that the run of --from has behind it; --steps counts them too.", metavar="STEP"
        ),
        option(
            "past", str | None, "The LR of these updates: one LR, or their schedule.", metavar="LR|RUN|schedule.json"
        ),
        option(
            "device", str | None, "cpu, cuda, or what else torch knows; auto is CUDA where there is one. Default: auto."
        ),
        option(
            "executor",
            str | None,
            "A registered executor; auto takes worker processes where they pay. Default: auto.",
            autocompletion=completion.executors,
        ),
        option(
            "workers",
            int | None,
            "Worker processes; 0 is one per CPU core, or executor.per_gpu per GPU. Default: 0.",
        ),
        option(
            "speculate",
            bool | None,
            "Let idle workers train what the search may ask for next: less time, more steps, the same result.",
            None,
            "--speculate",
            metavar="",
        ),
        option(
            "store",
            str,
            f"{WHERE} Default: .lrctl.",
            STORE,
            "--store",
            envvar="LRCTL_STORE",
            metavar="DIR|URL",
            callback=place,
        ),
        option("name", str | None, "Name of the run. Default: the command and a hash of all that decides it."),
        option(
            "labels",
            list[str] | None,
            "A word by which the run can be asked for later, with others that have it; repeatable.",
            None,
            "--label",
            autocompletion=completion.labels,
        ),
        option(
            "track",
            list[str] | None,
            "A registered tracker that records the search, such as tensorboard; repeatable. Default: the recipe's.",
            metavar="NAME",
            autocompletion=completion.trackers,
        ),
        option("max_steps", int | None, "Begin no job once so many steps are trained, in all goes of the search."),
        option("max_time", str | None, "Begin no job once the command runs for so long, such as 90s, 10m or 2h."),
        option("max_disk", str | None, "Begin no job once the store is so large, such as 500MB or 5GB."),
        option("fresh", bool, "Start over, whatever the store holds.", False, "--fresh"),
        option("dry_run", bool, "Print jobs, steps, disk and estimated time; train nothing.", False, "--dry-run"),
        option("as_json", bool, "Print one JSON document on stdout.", False, "--json"),
        option("quiet", bool, "Show no progress, and no notes.", False, "--quiet"),
        option("allow_code", bool, "Run the Python file that the recipe names.", False, "--allow-code"),
        option(
            "unchecked",
            bool | None,
            "Begin without a first look at a workload of your own, at your own risk.",
            None,
            "--unchecked",
            metavar="",
        ),
        option("debug", bool, "Show the traceback of an error.", False, "--debug"),
    ]
