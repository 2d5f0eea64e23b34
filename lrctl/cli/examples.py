"""What each command that is no search is for, and an example of it, for the help."""

from __future__ import annotations

HEADINGS = {
    "Compare": ("compare", "report", "reproduce"),
    "Use": ("check", "export", "new", "guide"),
    "Manage": ("runs", "gc", "recipes", "list"),
}
"""What the commands that are no searches are for, in the order of the help; others stand under the last heading."""

EXAMPLES = {
    "compare": "lrctl compare 'lookahead*' 'baseline*'",
    "report": "lrctl report --out page",
    "reproduce": "lrctl reproduce semi-local --dry-run",
    "export": "lrctl export latest --to torch --out lr_schedule.py",
    "runs": "lrctl runs --sort test-loss",
    "runs list": "lrctl runs list --label night",
    "runs show": "lrctl runs show latest",
    "runs remove": "lrctl runs remove 'smoke-*'",
    "gc": "lrctl gc --dry-run",
    "list": "lrctl list cosine",
    "check": "lrctl check --workload mine.py:Mine",
    "new": "lrctl new schedule my-schedule",
    "guide": "lrctl guide faq",
    "recipes": "lrctl recipes --all",
    "recipes list": "lrctl recipes list --json",
    "recipes show": "lrctl recipes show smoke > mine.toml",
}
