"""What shapes are drawn from: families as they are named on the command line, and the ranges of their parameters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lrctl.errors import UsageError
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD
from lrctl_strategies.shape.params import FAMILIES
from lrctl_strategies.shape.samplers import Random
from lrctl_strategies.shape.space import space
from strategies.shape_landscapes import STEPS, bowl, jobs, searched, setting

FREE = {
    "constant-with-warmup": ["warmup"],
    "cosine": ["warmup"],
    "generalized-cosine": ["warmup", "p"],
    "square-root": ["warmup", "bend"],
    "rex": ["warmup", "b"],
    "two-point-linear": ["warmup", "y1", "d1", "d2", "dy"],
    "two-point-spline": ["warmup", "y1", "d1", "d2", "dy"],
    "smooth-non-monotonic": ["y_start", "d1", "y1", "d2", "y2", "x_peak", "y_end"],
    "cosine:end=?": ["warmup", "end"],
    "cosine:end=0.1": ["warmup"],
    "cosine: end = ? , warmup = 0.1 ": ["end"],
    "two-point-linear:y_end=?": ["warmup", "y1", "d1", "d2", "dy", "y_end"],
    "rex:warmup=0.1,b=0.5": [],
    "triangle": [],
}


@pytest.mark.parametrize(("text", "free"), FREE.items(), ids=FREE)
def test_a_family_s_own_parameters_are_searched_but_variants_only_if_asked_for(text: str, free: list[str]) -> None:
    assert list(space(text, STEPS).free) == free


def test_every_family_of_the_paper_is_covered_here() -> None:
    assert set(FAMILIES) <= set(FREE)


@pytest.mark.parametrize("name", FAMILIES)
def test_drawn_parameters_fill_their_ranges(name: str) -> None:
    family = space(name, 10_000)
    shapes = [family.at(point) for point in Random(family, 0).ask(300)]
    ranges = {"warmup": (0.0, 0.3), "p": (0.01, 5.0), "bend": (0.01, 5.0), "b": (1e-3, 1e2)}
    for parameter in family.free:
        low, high = ranges.get(parameter, (0.0, 1.0))
        values = sorted(getattr(shape, parameter) for shape in shapes)
        assert low <= values[0]
        assert values[-1] <= high
        log = parameter in ("p", "bend", "b")
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        assert 0.4 < sum(value < middle for value in values) / 300 < 0.6, parameter


def test_settings_are_fixed_or_searched_as_the_command_line_says() -> None:
    fixed, _ = searched(bowl(), family=("cosine:end=0.1",))
    free, batches = searched(bowl(end=0.9), family=("cosine:end=?",))
    assert fixed.schedule.end == 0.1
    ends = {job.schedule.end for job in jobs(batches)}
    assert len(ends) == 4
    assert free.schedule.end == max(ends)
    assert setting(free)["families"][0]["searched"].keys() == {"warmup", "end"}


def test_variants_of_one_family_are_drawn_and_ranked_side_by_side() -> None:
    found, _ = searched(bowl(end=0.1), family=("cosine", "cosine:end=0.1"))
    assert [each["name"] for each in setting(found)["families"]] == ["cosine:end=0.1", "cosine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosin", "--family: unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("piecewise-linear", "--family piecewise-linear: it cannot be tuned"),
        ("greedy", "--family greedy: it cannot be tuned"),
        ("cosine:ent=?", "--family cosine:ent=?: unknown parameter to search; did you mean 'end'?"),
        ("wsd:cooldown=?", "--family wsd:cooldown=?: unknown parameter to search; choose from: decay, end, warmup"),
        ("cosine-with-restarts:cycles=?", "unknown parameter to search; choose from: end, growth, warmup"),
        ("cosine:ent=1", "unknown setting; did you mean 'end'?"),
        ("cosine:end", "end: must be given a value, as in end=1"),
        ("cosine:end=2", "--family cosine:end=2: end: must be"),
        ("cosine:peak_lr=1", "--family cosine:peak_lr=1: peak_lr=1: every shape runs for --steps"),
        ("wsd:lengths=steps,warmup=10", "lengths are searched as fractions; with lengths=steps set decay too"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        searched(bowl(), family=(text,))


def test_a_family_to_compare_with_is_refused_by_its_own_flag() -> None:
    with pytest.raises(UsageError, match="--against: unknown schedule 'wds'"):
        searched(bowl(), against=("wds",))


def test_lengths_in_steps_can_be_set() -> None:
    family = space("wsd:lengths=steps,warmup=10,decay=5", STEPS)
    assert family.shape({}) == WSD(STEPS, 1.0, 10, 5, lengths="steps")


def test_draws_that_a_family_refuses_are_left_out() -> None:
    found, batches = searched(bowl(), family=("wsd",), shapes=40)
    shapes = setting(found)["shapes"]
    assert 20 < len(shapes) < 40  # a warmup of up to 30 % and a decay of up to 100 % are too long together at times
    assert all(job.schedule.warmup + job.schedule.decay <= 1 for job in jobs(batches))
    assert setting(found)["families"][0]["shapes"] == len(shapes)


def test_a_family_that_refuses_every_draw_is_an_error_that_says_so() -> None:
    with pytest.raises(UsageError, match=r"--family wsd:warmup=0\.9: it refuses every shape that was drawn"):
        searched(bowl(), family=("rex", "wsd:warmup=0.9"), shapes=1)


@pytest.mark.parametrize("name", [name for name in FAMILIES if "warmup" in FREE[name]])
def test_a_warmup_of_at_most_one_step_is_none_in_every_drawn_shape(name: str) -> None:
    family = space(name, 10)
    shapes: list[Any] = [family.at((u / 100, *(0.5,) * (len(family.free) - 1))) for u in range(101)]
    warmups = [shape.warmup for shape in shapes]
    assert warmups[:34] == [0.0] * 34  # up to a tenth of 10 steps
    assert all(warmup > 0.1 for warmup in warmups[34:])
    assert all(shape(0) == 1.0 for shape in shapes[:34])


def test_a_short_warmup_on_the_grid_is_none_too() -> None:
    assert [shape.warmup for shape in space("cosine", 10).gridded()] == [0.0, 0.25, 0.5]


def test_the_grid_of_a_family_is_every_combination_that_it_allows() -> None:
    shapes = list(space("wsd", 100).gridded())
    shares = (0.0, 0.05, 0.1, 0.25, 0.5)
    assert {(s.warmup, s.decay) for s in shapes} == {(w, d) for w in shares for d in shares}
    assert list(space("cosine:warmup=0.3", 100).gridded()) == [Cosine(100, 1.0, 0.3)]


def test_a_sweep_goes_through_the_range_and_leaves_the_shape_itself_out() -> None:
    family = space("rex", 100)
    shape = family.shape({"warmup": 0.15, "b": 0.5})
    assert [s.warmup for s in family.swept(shape, "warmup", 3)] == [0.0, 0.3]
    assert [s.b for s in family.swept(shape, "b", 3)] == pytest.approx([1e-3, 10**-0.5, 1e2])
    assert {s.b for s in family.swept(shape, "warmup", 3)} == {0.5}


def test_a_point_and_its_shape_stand_for_each_other() -> None:
    family = space("two-point-linear", 1000)
    for point in Random(family, 3).ask(20):
        assert family.point(family.at(point)) == pytest.approx(point)


def test_a_neighbour_has_one_parameter_moved_and_stays_in_the_range() -> None:
    family = space("cosine:end=?", 100)
    shape = family.shape({"warmup": 0.3, "end": 0.5})
    moved = [(s.warmup, s.end) for s in family.neighbours(shape, 0.1)]
    assert moved == [pytest.approx(pair) for pair in [(0.27, 0.5), (0.3, 0.6), (0.3, 0.4)]]
