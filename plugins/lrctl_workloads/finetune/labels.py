"""The labels of a data set: numbers or names, of which some are only known when all rows have been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lrctl.errors import UsageError


@dataclass(slots=True)
class Labels:
    """Turns the labels that rows have into numbers from 0."""

    where: str
    """The parameter that names the column and what it says, for errors."""
    limit: int = 0
    """How many labels there may be; 0 is any number."""
    names: list[str] = field(default_factory=list)
    """Those that the data set declares, and then those that are met, in the order of the rows."""
    declared: int = 0
    highest: int = -1

    def number(self, label: Any) -> int:
        if isinstance(label, str):
            if label not in self.names:
                self.names.append(label)
            number = self.names.index(label)
        elif isinstance(label, int) and label >= 0:
            number = int(label)
        else:
            raise UsageError(
                f"{self.where}: a label must be a name or a number from 0, got {label!r}; take another split"
            )
        limit = self.limit or self.declared
        if limit and number >= limit:
            raise UsageError(
                f"{self.where}: label {label!r} is more than the {limit} labels there are; set workload.labels higher"
            )
        self.highest = max(self.highest, number)
        return number

    def listed(self) -> list[str]:
        """Every label's name; those that have none are called by their number."""
        n = max(self.limit, len(self.names), self.highest + 1)
        return [self.names[i] if i < len(self.names) else str(i) for i in range(n)]


def declared_by(feature: Any) -> list[str]:
    """The names of the labels that a column's type declares, alone or in lists; empty if it declares none."""
    while feature is not None:
        if names := getattr(feature, "names", None):
            return list(names)
        feature = getattr(feature, "feature", None)
    return []
