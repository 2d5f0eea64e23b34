"""Flipped bits and cuts in every kind of file in a store: what they change is noticed, or nothing changes.

    PYTHONPATH=tests python -m benchmarks.reliability.flips

Every bit of files up to 700 bytes and 2,000 random bits of larger ones, one at a time (--count N: at most N of each
file), and 50 cuts of each, in a store whose search is finished, and in one where it was killed before its last write.
After each, `runs`, `runs show`, `compare`, `export`, `gc --dry-run`, every fiftieth time `report`, and the same search
again. Each must give an error or a warning, or say what it says of the sound store; the search must find what it found,
and hand over the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.commands import GIVEN, lrctl, search
from command_line import Done

SMALL, LARGE, CUTS, REPORTS = 700, 2_000, 50, 50
STORE = Path("store")
PASSING = {"seconds", "date", "bytes", "digest", "cost"}
"""What may differ in a document of the same answer: how long it took, and what it took to make it again."""


@dataclass(frozen=True)
class Sound:
    """A store as it was, the file of each kind that is damaged, and what each command says of it."""

    place: Path
    victims: dict[str, Path]
    commands: dict[str, list[str]]
    said: dict[str, Any]
    handed_over: dict[Path, Any]

    def restore(self) -> None:
        shutil.rmtree(STORE, ignore_errors=True)
        shutil.copytree(self.place, STORE)


def sound_store(place: Path, *, finished: bool) -> Sound:
    """A store with one search, and what is said of it; one that is not finished misses the last file that it wrote."""
    shutil.rmtree(STORE, ignore_errors=True)
    document = lrctl(*search("semilocal", STORE)).document
    run, last = STORE / "runs" / document["run"], document["checkpoint"]
    victims = {
        "store.json": STORE / "store.json",
        "job": STORE / "jobs" / f"{last}.json",
        "stopped job": next((STORE / "stopped").iterdir()),
        "losses": STORE / "losses" / f"{last}.npy",
        "checkpoint": STORE / "checkpoints" / f"{last}.safetensors",
        **{file: run / file for file in ("recipe.toml", "environment.json", "identity.json", "schedule.json")},
    }
    handed_over = {path: content(path) for path in (victims["checkpoint"], victims["schedule.json"])}
    if finished:
        victims["result.json"] = run / "result.json"
    else:
        (run / "result.json").unlink()
    shutil.copytree(STORE, place)
    where = ["--store", str(STORE)]
    commands = {
        "runs": ["runs", "--json", *where],
        "runs show": ["runs", "show", run.name, "--json", *where],
        "compare": ["compare", run.name, "--json", *where],
        "export": ["export", run.name, "--to", "csv", *where],
        "gc": ["gc", "--dry-run", "--json", *where],
        "report": ["report", run.name, "--out", "page", *where],
        "the same command": search("semilocal", STORE),
    }
    said = {name: meaning(name, lrctl(*command)) for name, command in commands.items()}
    return Sound(place, victims, commands, said, handed_over)


def meaning(name: str, done: Done) -> Any:
    """What a command says: its exit code, its stderr, and its document without what may differ."""
    if done.code:
        return done.code, done.err, ""
    if name == "report":
        return 0, done.err, [Path("page", file).read_bytes() for file in ("report.html", "curves.csv", "figure.svg")]
    if name == "gc":  # it may well delete what is damaged
        return 0, done.err, ""
    return 0, done.err, done.out if name == "export" else lasting(json.loads(done.out))


def lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in PASSING}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def judged(sound: Sound, name: str) -> tuple[str, str]:
    """Whether a command `noticed` the damage, or it was `harmless`; else `fault` or `silent`, and what was said."""
    done = lrctl(*sound.commands[name])
    if "fault in lrctl" in done.err or "Traceback" in done.err:
        return "fault", done.err
    code, err, told = meaning(name, done)
    _, err_before, told_before = sound.said[name]
    if name == "the same command" and code == 0:
        changed = [path.name for path, before in sound.handed_over.items() if content(path) != before]
        if changed or told != told_before:
            return "silent", f"it handed over another {' and '.join(changed) or 'answer'}"
    if code or err != err_before or '"status": "damaged"' in done.out:
        return "noticed", err
    return ("harmless", "") if told == told_before else ("silent", f"{told} is not {told_before}"[:2000])


def content(path: Path) -> Any:
    """What a file holds; None if it is no file."""
    try:
        return json.loads(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
    except (OSError, ValueError):
        return None


def damages(whole: bytes, count: int | None, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    bits = 8 * len(whole)
    if count is None:
        count = bits if len(whole) <= SMALL else LARGE
    for bit in sorted(draw.sample(range(bits), min(bits, count))):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit % 8} of byte {bit // 8}", bytes(spoilt)
    for length in sorted(draw.sample(range(len(whole)), min(len(whole), count, CUTS))):
        yield f"cut to {length} bytes", whole[:length]


def damage(path: Path, spoilt: bytes) -> None:
    times = path.stat()
    path.write_bytes(spoilt)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def flips(sound: Sound, count: int | None, draw: random.Random) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Damage each kind of file; how often what came of it, by kind of file, and what was silent or a fault."""
    found, wrong = Counter[tuple[str, str]](), []
    for kind, path in sound.victims.items():
        sound.restore()
        for number, (what, spoilt) in enumerate(damages(path.read_bytes(), count, draw)):
            sound.restore()
            damage(path, spoilt)
            for name in sound.commands:
                if name == "report" and number % REPORTS:
                    continue
                verdict, said = judged(sound, name)
                found[kind, verdict] += 1
                if verdict in ("silent", "fault"):
                    wrong.append(f"{kind}, {what}: {name}: {verdict}: {said}")
        counts = {verdict: number for (each, verdict), number in found.items() if each == kind}
        print(f"{kind}: {number + 1} damages, commands: {counts}", file=sys.stderr, flush=True)
    return found, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="at most so many bits, and cuts, of each file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("given.json").write_text(GIVEN)
        for finished in (True, False):
            state = "finished" if finished else "unfinished"
            print(f"{state} search", file=sys.stderr)
            sound = sound_store(Path(folder, state), finished=finished)
            found, silent = flips(sound, options.count, random.Random(options.seed))
            wrong += [f"{state}: {each}" for each in silent]
            print(f"{state}: {found.total()} commands: {dict(found)}")
        os.chdir("/")
    print(f"{len(wrong)} silent or a fault", *wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
