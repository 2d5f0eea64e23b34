"""GreedyLR against other schedules with the same initial weights, data, optimizer and initial LR.

Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section III. There each optimizer meets one scheduler only;
here every optimizer meets every schedule.
"""

from __future__ import annotations

from collections.abc import Sequence

from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, Work
from lrctl_strategies.greedy import tables
from lrctl_strategies.greedy.entries import Entry, entries
from lrctl_strategies.greedy.params import GreedyComparison
from lrctl_strategies.greedy.protocol import parse, summed_up
from lrctl_strategies.greedy.report import EntryResult, answer


def greedy(p: GreedyComparison, run: RunSpec) -> Search:
    if p.from_csv is not None:
        rows = parse(p.from_csv, p.margin)
        summary = summed_up(rows, p.margin)
        shown = tuple(tables.summary(summary))
        return SearchResult(None, None, summary={"summary": summary}, tables=shown, charts=tables.histogram(summary))
    wanted, left_out = entries(p, run)
    ran = yield from train(wanted)
    return answer(ran, left_out, p.margin)


def train(entries: Sequence[Entry]) -> Work[list[EntryResult]]:
    ran: list[EntryResult] = []
    for seed in dict.fromkeys(entry.seed for entry in entries):
        these = [entry for entry in entries if entry.seed == seed]
        results = yield Batch(f"seed {seed}", [entry.job for entry in these], judge=False)
        ran += [EntryResult(entry, result) for entry, result in zip(these, results, strict=True)]
    return ran
