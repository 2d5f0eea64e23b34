"""Input that no one writes, and that files and scripts hold all the same: one short sentence, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.errors import UsageError
from lrctl.recipe.parse import check_plain
from lrctl.registry.values import convert

SEARCH = ("semilocal", "--recipe", "smoke", "--dry-run")
RECIPE = '[training]\nsteps = 8\n[workload]\nname = "linear-regression"\n[strategy.semilocal]\n'
SCHEDULE = '{{"format": "lrctl-schedule/1", "steps": {}, "schedule": {{"family": "wsd", "params": {}}}}}'
DEEP = "[" * 5000
NESTED = "[" * 90 + "]" * 90
HUGE = "1" * 5000
WIDE = "0x" + "f" * 5000
LARGE = "9" * 400

SETTINGS = {
    "an integer of 5,000 digits": (f"training.steps={HUGE}", "Exceeds the limit (4300 digits)"),
    "a hexadecimal of 5,000 digits": (f"training.steps={WIDE}", "a whole number of more than 64 bits"),
    "an integer too large for a float": (f"strategy.semilocal.eps={LARGE}", "of more than 64 bits"),
    "a float too large": ("strategy.semilocal.eps=1e999", "strategy.semilocal.eps: must be a finite number, got inf"),
    "a list 5,000 deep": (f"workload.dim={DEEP}", "nested more than 64 levels deep"),
    "a list 90 deep": (f"workload.dim={NESTED}", "nested more than 64 levels deep"),
    "tables 90 deep": ("workload.dim=" + "{a=" * 90 + "1" + "}" * 90, "nested more than 64 levels deep"),
    "a word of 100 kB": ("training.steps=" + "x" * 100_000, "training.steps: must be a whole number, got 'xxx"),
    "a key of 100 kB": ("training." + "x" * 100_000 + "=1", "more) ... xxx"),
    "no key of 100 kB": ("x" * 100_000, "must be table.key=value, such as training.steps=100"),
    "a key 1,000 deep": ("a." * 1000 + "b=1", "nested more than 64 levels deep"),
    "NUL": ("workload.name=a\0.py:X", "cannot be the name of a file: embedded null byte"),
    "NUL in TOML": ('workload.name="a\\u0000.py:X"', "cannot be the name of a file"),
    "a recipe in a value": ("training.steps=9\n[workload]\nname='x'", "training.steps: must be a whole number, got"),
    "too many steps": (
        "training.steps=10000000000000",
        "training.steps: must be at most 10,000,000, got 10,000,000",
    ),
    "a seed of 70 bits": (f"training.seed={2**70}", "a whole number of more than 64 bits"),
}


@pytest.mark.parametrize(("setting", "message"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_is_absurd_is_one_sentence(setting: str, message: str, lrctl: Lrctl) -> None:
    done = lrctl(*SEARCH, "--set", setting)
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert len(done.error) < 5000


RECIPES = {
    "an integer of 5,000 digits": (f"segments = {HUGE}", "r.toml: not TOML: Exceeds the limit (4300 digits)"),
    "a hexadecimal of 5,000 digits": (
        f"segments = {WIDE}",
        "r.toml: not TOML: a whole number of more than 64 bits",
    ),
    "an integer too large for a float": (f"eps = {LARGE}", "r.toml: not TOML: a whole number of more than 64 bits"),
    "a list 5,000 deep": (f"grid = {DEEP}", "r.toml: not TOML: nested more than 64 levels deep"),
    "a list 90 deep": (f"grid = {NESTED}", "r.toml: not TOML: nested more than 64 levels deep"),
    "a key 90 deep": (f"{'a.' * 90}b = 1", "r.toml: not TOML: nested more than 64 levels deep"),
    "a word of 100 kB": (f"grid = '{'x' * 100_000}'", "strategy.semilocal.grid: must be a list of numbers, got 'xxx"),
    "a key of 100 kB": (f"{'x' * 100_000} = 1", "r.toml: strategy.semilocal.xxx"),
    "NUL": ("grid = '\0'", "r.toml: not TOML: Found invalid character"),
    "a name with NUL": ('[executor]\nname = "\\u0000"', "unknown executor '\\x00'"),
    "a float too large": ("[divergence]\nmargin = 1e400", "divergence.margin: must be a finite number, got inf"),
}


@pytest.mark.parametrize(("line", "message"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_is_absurd_is_one_sentence(line: str, message: str, lrctl: Lrctl) -> None:
    Path("r.toml").write_text(RECIPE + line)
    done = lrctl("semilocal", "--recipe", "r.toml", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert len(done.error) < 5000


SCHEDULES = {
    "a list 5,000 deep": SCHEDULE.format(8, DEEP),
    "tables 3,000 deep": SCHEDULE.format(8, '{"a":' * 3000),
    "an integer of 5,000 digits": SCHEDULE.format(HUGE, "{}"),
    "an integer too large for a float": SCHEDULE.format(8, f'{{"steps": 8, "peak_lr": {LARGE}}}'),
    "a knot too large for a float": SCHEDULE.replace('"wsd"', '"piecewise-linear"').format(
        8, f'{{"knots": [[0, 0.0], [-{LARGE}, 0.1]]}}'
    ),
    "1e13 steps": SCHEDULE.format(10**13, '{"steps": 8, "peak_lr": 0.1}'),
    "a word of 100 kB": SCHEDULE.format(8, f'{{"steps": 8, "peak_lr": "{"x" * 100_000}"}}'),
    "a key of 100 kB": SCHEDULE.format(8, f'{{"{"x" * 100_000}": 8}}'),
    "half a surrogate pair": SCHEDULE.format(8, '{"\\ud800": 8}'),
}


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_that_is_absurd_is_one_sentence(text: str, lrctl: Lrctl) -> None:
    Path("s.json").write_text(text)
    for command in (["export", "s.json", "--to", "csv"], ["fit-closed-form", "s.json", "--dry-run"]):
        done = lrctl(*command)
        assert (done.code, done.out) == (2, "")
        assert done.error.startswith("error: s")
        assert len(done.error) < 5000


HEADER = "beat10,beat50,beat100,delta,task\n"
TABLES = {
    "a cell over 131,072 bytes": (f'{HEADER}Yes,Yes,Yes,1,"{"y" * 200_000}"', "--from-csv: not CSV: field larger than"),
    "a heading over 131,072 bytes": (f'"{"y" * 200_000}",{HEADER}', "--from-csv: not CSV: field larger than"),
    "no closing quote": (f'{HEADER}Yes,Yes,Yes,1,"{"y" * 200_000}', "--from-csv: not CSV: field larger than"),
    "a cell of 100 kB": (
        f"{HEADER}Yes,Yes,Yes,{'x' * 100_000},a",
        "line 2: delta: must be a number or empty",
    ),
    "10,000 commas": (f"{HEADER}{',' * 10_000}", "line 2: must have as many cells as the header, 5"),
    "NUL": (f"{HEADER}\0", "--from-csv: line 2: must have as many cells"),
}


@pytest.mark.parametrize(("text", "message"), TABLES.values(), ids=TABLES)
def test_a_csv_that_is_absurd_is_one_sentence(text: str, message: str, lrctl: Lrctl) -> None:
    Path("rows.csv").write_text(text)
    done = lrctl("greedy", "--recipe", "smoke", "--from-csv", "rows.csv", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert len(done.error) < 5000


WORDS: dict[str, list[str]] = {
    "steps": [*SEARCH, "--steps", HUGE],
    "seed": [*SEARCH, "--seed", str(2**64)],
    "one of the seeds": [*SEARCH, "--seeds", f"0,{2**70}"],
    "a seed of a comparison": ["greedy", "--recipe", "smoke", "--seeds", f"0,{2**70}", "--dry-run"],
    "segments": [*SEARCH, "--segments", str(2**70)],
    "a seed of check": ["check", "--recipe", "smoke", "--seed", str(2**70)],
    "eps": [*SEARCH, "--eps", "9" * 100_000],
    "grid": [*SEARCH, "--grid", ",".join(["0.1"] * 3 + ["x" * 100_000])],
    "a grid of huge integers": [*SEARCH, "--grid", LARGE],
    "workload": [*SEARCH, "--workload", "x" * 100_000],
    "a file of the workload": [*SEARCH, "--workload", "x" * 100_000 + ".py:X"],
    "recipe": ["semilocal", "--recipe", "x" * 100_000],
    "a recipe's file": ["semilocal", "--recipe", "x" * 100_000 + ".toml"],
    "NUL in a recipe's name": ["semilocal", "--recipe", "a\0.toml"],
    "executor": [*SEARCH, "--executor", "x" * 100_000],
    "name": ["semilocal", "--recipe", "smoke", "--name", "x" * 100_000],
    "NUL in a name": ["semilocal", "--recipe", "smoke", "--name", "a\0"],
    "a command": ["x" * 100_000],
    "an option": ["list", "--" + "x" * 100_000],
    "an argument": ["list", "x" * 100_000],
    "export": ["export", "x" * 100_000 + ".json", "--to", "csv"],
    "NUL in a schedule's name": ["export", "a\0.json", "--to", "csv"],
    "target": ["export", "s.json", "--to", "x" * 100_000],
    "NUL in a CSV's name": ["greedy", "--recipe", "smoke", "--from-csv", "a\0"],
    "NUL in a store's name": [*SEARCH, "--store", "a\0"],
    "no such home": [*SEARCH, "--workload", "~nobody-of-that-name/net.py:X"],
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_words_that_are_absurd_are_one_sentence(words: list[str], lrctl: Lrctl) -> None:
    done = lrctl(*words)
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith("error: ")
    assert "a fault in" not in done.error
    assert len(done.error) < 5000


def test_a_number_that_a_float_cannot_hold_is_refused_where_a_float_is_due() -> None:
    for value in (10**400, -(10**400), float("inf"), float("nan")):
        with pytest.raises(UsageError, match="must be a finite number"):
            convert(value, float, "eps")
    assert convert(10**300, float, "eps") == 1e300


def test_a_whole_number_of_more_than_64_bits_is_refused_wherever_it_stands() -> None:
    for value, kind in ((2**64, int), ([0, -(2**70)], tuple[int, ...])):
        with pytest.raises(UsageError, match=r"n(\[1\])?: must be a whole number of at most 64 bits, got"):
            convert(value, kind, "n")
    with pytest.raises(UsageError, match=r"workload\.n: must be a whole number of at most 64 bits"):
        check_plain({"n": 2**64}, "workload")


def test_a_seed_of_64_bits_is_one(lrctl: Lrctl) -> None:
    done = lrctl(*SEARCH, "--seed", str(2**64 - 1), "--json")
    assert done.code == 0
