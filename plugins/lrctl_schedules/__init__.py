"""The built-in schedule families."""

from __future__ import annotations

from lrctl.registry.hookspecs import Register, hookimpl

FAMILIES = {
    "wsd": ("wsd:WSD", "warmup, stable, decay: a linear warmup, the peak, and a cooldown of several shapes"),
    "cosine": ("cosine:Cosine", "linear warmup, then half a cosine down"),
    "linear": ("linear:Linear", "linear warmup, then a straight line down"),
    "polynomial": ("linear:Polynomial", "linear warmup, then a power of what is left of the run"),
    "constant": ("constant:Constant", "the same LR at every step"),
    "constant-with-warmup": ("constant:ConstantWithWarmup", "linear warmup, then the same LR to the end"),
    "triangle": ("symmetric:Triangle", "straight up to the peak in the middle of the run, straight down again"),
    "quadratic": ("symmetric:Quadratic", "a downward parabola with the peak in the middle of the run"),
    "step": ("step:StepDecay", "the peak, multiplied by a factor after each period"),
    "inverse-time": ("inverse:InverseTime", "linear warmup, then a fall like 1 / t"),
    "inverse-sqrt": ("inverse:InverseSqrt", "linear warmup, then a fall like 1 / sqrt(t)"),
    "cosine-with-restarts": ("cycles:CosineWithRestarts", "linear warmup, then half cosines one after another"),
    "one-cycle": ("one_cycle:OneCycle", "from a low LR up to the peak, then down to a far lower one"),
    "cyclical": ("cycles:Cyclical", "straight up to the peak and straight down again, several times"),
    "rex": ("rex:Rex", "linear warmup, then a fall that is slow at first and fast at the end"),
    "power": ("power:Power", "linear warmup, the peak, a fall by a power law, and a cooldown to 0"),
    "generalized-cosine": ("generalized_cosine:GeneralizedCosine", "warmup, then a power of half a cosine down"),
    "square-root": ("square_root:SquareRoot", "warmup, then an arc down: a quarter of a circle, or a power of it"),
    "two-point-linear": ("two_point:TwoPointLinear", "warmup, then straight lines down through two points"),
    "two-point-spline": ("two_point:TwoPointSpline", "warmup, then a smooth curve down through two points"),
    "smooth-non-monotonic": ("smooth:SmoothNonMonotonic", "a smooth curve up and down through five points"),
    "greedy": ("greedy:Greedy", "GreedyLR: up while the loss improves, down while it does not; sees the run"),
    "plateau": ("plateau:Plateau", "the LR falls when the loss has stopped improving; sees the run"),
    "hypergradient": ("hypergradient:Hypergradient", "the LR follows its own gradient; sees the run"),
    "line-search": ("line_search:LineSearch", "the largest LR that each batch justifies, for plain SGD; sees the run"),
}
"""By name: the module and class in this folder, and what it is."""

REFERENCE = "wsd"
"""The family that others are usually compared with."""


@hookimpl
def register_schedules(register: Register) -> None:
    """Register the families; each is imported when it is first used."""
    knots = "lrctl.contracts.piecewise:PiecewiseLinear"
    register(knots, name="piecewise-linear", help="straight lines between (step, LR) knots")
    for name, (where, what) in FAMILIES.items():
        register(f"{__name__}.{where}", name=name, help=what, reference=name == REFERENCE)
