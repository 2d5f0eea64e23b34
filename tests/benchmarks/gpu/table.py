"""The records as Markdown tables, one for each step: printed, and written beside them.

PYTHONPATH=tests python -m benchmarks.gpu.table [--out DIR]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from benchmarks.gpu.measurement import RECORDS, begin, shown

Record = dict[str, Any]


def tables(records: Sequence[Record]) -> Iterator[str]:
    for step, lines in groupby(records, lambda record: record["step"]):
        yield table(step, list(lines))


def table(step: str, lines: Sequence[Record]) -> str:
    """The lines of a step; a value that a line lacks is an empty cell."""
    columns = dict.fromkeys(name for line in lines for name in line if name not in ("step", "what"))
    rows = [[line["what"], *(shown(line[name]) if name in line else "" for name in columns)] for line in lines]
    head = [step, *(name.replace("_", " ") for name in columns)]
    cells = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def main() -> None:
    out = begin("table").out
    lines = (out / RECORDS).read_text(encoding="utf-8").splitlines()
    text = "\n".join(tables([json.loads(line) for line in lines]))
    (out / "gpu.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
