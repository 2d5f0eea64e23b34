"""Feed the command line with recipes, schedules, CSVs, `--set` strings and argument vectors that are spoilt at random.

    PYTHONPATH=tests python -m benchmarks.reliability.fuzz --count 10000 --seed 0

All in one process, by the command's own entry; nothing is trained. An input holds up if the command does what it
says (exit code 0), or refuses it by one short sentence (exit code 2), within `LIMIT` seconds. Everything else is
printed, with the command that shows it, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from lrctl import cli
from lrctl.planning import estimate

LIMIT = 20
"""Seconds that an input may take; most take some hundredths of one."""

LONGEST = 5000
"""Characters that a line of a message may have."""

FILES = ("r.toml", "s.json", "rows.csv")

RECIPE = """extends = "smoke"
[training]
steps = 8
seed = 1
dtype = "float32"
[workload]
name = "linear-regression"
dim = 4
noise = 0.5
[optimizer]
name = "adamw"
betas = [0.9, 0.95]
[divergence]
margin = 0.5
[strategy.semilocal]
segments = 2
grid = [0.1, 0.01]
eps = 0.25
"""

SCHEDULE = """{"format": "lrctl-schedule/1", "steps": 20, "schedule": {"family": "wsd",
 "params": {"steps": 20, "peak_lr": 0.1, "warmup": 0.1, "cooldown": "linear"}}}"""
KNOTS = """{"format": "lrctl-schedule/1", "steps": 20, "schedule": {"family": "piecewise-linear",
 "params": {"knots": [[0, 0.0], [10, 0.1], [20, 0.0]]}}}"""

TABLE = "beat10,beat50,beat100,delta,task\nYes,No*,Yes,0.25,a\nNo,No,No,-0.5,b\nDNF,DNF,DNF,,c\n"

SEARCHES = "semilocal local lookahead baseline greedy shape fit-closed-form nope"
OTHERS = "compare report export runs gc list"
FLAGS = """--recipe --steps --seed --workload --set --device --executor --workers --store --name --json --quiet --eps
 --grid --grid-size --segments --family --axis --from-csv --to --out --against --help --version -h --debug --tune-eps
 --no-decay --allow-code --fresh --stretch --max-lr --yes --epz -x -- -"""
PLAIN = """smoke quickstart 8 0.1 0.1,0.01 wsd linear cpu serial s.json torch csv show remove latest net.py:Net
 training.steps=9 workload.dim=3"""

NUMBERS = "0 -1 1e999 nan -inf true null 2020-01-01 0x_ 1e308 10000000000000 9223372036854775808"
LONG = ("1" * 5000, "-" + "9" * 400, "0x" + "f" * 5000, "x" * 100_000, '"' + "y" * 200_000 + '"', "," * 10_000)
NESTED = ("[" * 5000, "[" * 5000 + "]" * 5000, "[" * 300 + "]" * 300, "{a=" * 2000, "{a=" * 90 + "1" + "}" * 90)
WORDS = '"x \' = . .. ~ a.b.c=1 /dev/null %s%n {} [] [[1]] evil.py:X http://x {"a":1} 1,2 -- [x] [x.y] [[training]]'
STRANGE = ("\\u0000", "\0", "a\0.py:X", "\x1b[2J", "\u202e", "\udcff", "\r\n", "\ufeff", "# \x7f", "\x85", '"\\ud800"')
MORE = ("", "\n" * 1000, "../" * 50, "\na = 1\n", '{"a":' * 3000)
EVIL = (*MORE, *NUMBERS.split(), *LONG, *NESTED, *WORDS.split(), *STRANGE)


def spoilt(text: str, draw: random.Random) -> str:
    """A text with something in it replaced, moved, doubled or left out."""
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        start = text.find(word := draw.choice(text.split() or [""]))
        stop = start + len(word)
        if draw.random() < 0.5:
            start = draw.randrange(len(text) + 1)
            stop = min(len(text), start + draw.randrange(12))
        evil = draw.choice(EVIL)
        other = draw.choice((evil, evil, "", text[start:stop] * 2, chr(draw.randrange(0x2100))))
        text = text[:start] + other + text[stop:]
    return text


def written(name: str, text: str) -> str:
    Path(name).write_bytes(text.encode(errors="surrogateescape"))
    return name


def recipe(draw: random.Random) -> list[str]:
    strategy = draw.choice(("semilocal", "local", "baseline", "lookahead"))
    return [strategy, "--recipe", written("r.toml", spoilt(RECIPE, draw)), "--dry-run"]


def schedule(draw: random.Random) -> list[str]:
    path = written("s.json", spoilt(draw.choice((SCHEDULE, KNOTS)), draw))
    export = ["export", path, "--to", draw.choice(("csv", "json", "torch", "optax"))]
    return draw.choice((export, export, ["fit-closed-form", path, "--dry-run"]))


def csv(draw: random.Random) -> list[str]:
    return ["greedy", "--recipe", "smoke", "--from-csv", written("rows.csv", spoilt(TABLE, draw)), "--dry-run"]


def setting(draw: random.Random) -> list[str]:
    lines, table = [], ""
    for line in RECIPE.splitlines()[1:]:
        table = line.strip("[]") if line.startswith("[") else table
        lines += [] if line.startswith("[") else [f"{table}.{line.replace(' = ', '=')}"]
    chosen = [spoilt(draw.choice(lines), draw) for _ in range(draw.choice((1, 1, 2)))]
    return ["semilocal", "--recipe", "smoke", *(word for text in chosen for word in ("--set", text)), "--dry-run"]


def vector(draw: random.Random) -> list[str]:
    written("s.json", SCHEDULE)
    words = [draw.choice(draw.choice((FLAGS.split(), PLAIN.split(), EVIL))) for _ in range(draw.randrange(1, 9))]
    # Nothing is written elsewhere than in the folder at hand, and nothing is trained.
    words = [word for word in words if not word.startswith(("/", "~", ".."))]
    search, other = ([draw.choice(names.split())] for names in (SEARCHES, OTHERS))
    return draw.choice(([*search, "--dry-run", *words], [*other, *words], words))


KINDS: tuple[Callable[[random.Random], list[str]], ...] = (recipe, schedule, csv, setting, vector)


def counted(command: str, recipes: list[Any], options: dict[str, Any]) -> None:
    """In place of a dry run that measures: one that counts the jobs and their steps."""
    for recipe in recipes:
        estimate.estimate(command, recipe, store=options["store"], measure=False)


def late(*_: object) -> NoReturn:
    raise TimeoutError(f"it took more than {LIMIT} s")


def fault(words: list[str]) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    out, err, code = io.StringIO(), io.StringIO(), None
    signal.alarm(LIMIT)
    try:
        with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", ["lrctl", *words]):
            cli.main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    said, shown = err.getvalue(), "--debug" in words
    if code not in (0, 2) or "a fault in" in said or ("Traceback" in said and not shown):
        return f"exit code {code}: {said}"
    if code == 2 and "error: " not in said and "Commands:" not in said:  # or all of the help, where there is no command
        return f"no sentence: {said}"
    if not shown and (long := [line for line in said.splitlines() if len(line) > LONGEST]):
        return f"a line of {len(long[0])} characters"
    return ""


def run(count: int, seed: int) -> tuple[list[str], Counter[str]]:
    """The faults that so many inputs show, and how many inputs of each kind there were."""
    draw, faults, inputs = random.Random(seed), [], Counter[str]()
    handler = signal.signal(signal.SIGALRM, late)
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        mock.patch("lrctl.cli.searching.plan", counted),
        mock.patch("os.fsync"),
        warnings.catch_warnings(),
    ):
        for i in range(count):
            kind = KINDS[i % len(KINDS)]
            words = kind(draw)
            inputs[kind.__name__] += 1
            if found := fault(words):
                files = {
                    name: Path(name).read_bytes()[:300] for name in words if name in FILES and Path(name).is_file()
                }
                faults.append(f"input {i}: {[word[:200] for word in words]} {files or ''}\n  {found[:500]}")
    signal.signal(signal.SIGALRM, handler)
    return faults, inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    run(50 * len(KINDS), options.seed)  # so that what is imported once counts no memory
    before, began = memory(), time.monotonic()
    faults, inputs = run(options.count, options.seed)
    print(*faults, sep="\n")
    told = ", ".join(f"{count} {kind}s" for kind, count in inputs.items())
    print(f"{told}: {len(faults)} faults, {time.monotonic() - began:.0f} s, peak memory {before} to {memory()} MB")
    sys.exit(bool(faults))


def memory() -> int:
    """The most that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
