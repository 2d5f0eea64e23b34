"""The built-in schedule families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.registry.hookspecs import Register


@hookimpl
def register_schedules(register: Register) -> None:
    """Register the families."""
    from lrctl.contracts.piecewise import PiecewiseLinear
    from lrctl_schedules.constant import Constant, ConstantWithWarmup
    from lrctl_schedules.cosine import Cosine
    from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
    from lrctl_schedules.generalized_cosine import GeneralizedCosine
    from lrctl_schedules.greedy import Greedy
    from lrctl_schedules.hypergradient import Hypergradient
    from lrctl_schedules.inverse import InverseSqrt, InverseTime
    from lrctl_schedules.line_search import LineSearch
    from lrctl_schedules.linear import Linear, Polynomial
    from lrctl_schedules.one_cycle import OneCycle
    from lrctl_schedules.plateau import Plateau
    from lrctl_schedules.power import Power
    from lrctl_schedules.rex import Rex
    from lrctl_schedules.smooth import SmoothNonMonotonic
    from lrctl_schedules.square_root import SquareRoot
    from lrctl_schedules.step import StepDecay
    from lrctl_schedules.symmetric import Quadratic, Triangle
    from lrctl_schedules.two_point import TwoPointLinear, TwoPointSpline
    from lrctl_schedules.wsd import WSD

    register(PiecewiseLinear, name="piecewise-linear", help="straight lines between (step, LR) knots")
    register(WSD, name="wsd", help="warmup, stable, decay: a linear warmup, the peak, and a cooldown of several shapes")
    register(Cosine, name="cosine", help="linear warmup, then half a cosine down")
    register(Linear, name="linear", help="linear warmup, then a straight line down")
    register(Polynomial, name="polynomial", help="linear warmup, then a power of what is left of the run")
    register(Constant, name="constant", help="the same LR at every step")
    register(ConstantWithWarmup, name="constant-with-warmup", help="linear warmup, then the same LR to the end")
    register(Triangle, name="triangle", help="straight up to the peak in the middle of the run, straight down again")
    register(Quadratic, name="quadratic", help="a downward parabola with the peak in the middle of the run")
    register(StepDecay, name="step", help="the peak, multiplied by a factor after each period")
    register(InverseTime, name="inverse-time", help="linear warmup, then a fall like 1 / t")
    register(InverseSqrt, name="inverse-sqrt", help="linear warmup, then a fall like 1 / sqrt(t)")
    register(CosineWithRestarts, name="cosine-with-restarts", help="linear warmup, then half cosines one after another")
    register(OneCycle, name="one-cycle", help="from a low LR up to the peak, then down to a far lower one")
    register(Cyclical, name="cyclical", help="straight up to the peak and straight down again, several times")
    register(Rex, name="rex", help="linear warmup, then a fall that is slow at first and fast at the end")
    register(Power, name="power", help="linear warmup, the peak, a fall by a power law, and a cooldown to 0")
    register(GeneralizedCosine, name="generalized-cosine", help="warmup, then a power of half a cosine down")
    register(SquareRoot, name="square-root", help="warmup, then an arc down: a quarter of a circle, or a power of it")
    register(TwoPointLinear, name="two-point-linear", help="warmup, then straight lines down through two points")
    register(TwoPointSpline, name="two-point-spline", help="warmup, then a smooth curve down through two points")
    register(SmoothNonMonotonic, name="smooth-non-monotonic", help="a smooth curve up and down through five points")
    register(Greedy, name="greedy", help="GreedyLR: up while the loss improves, down while it does not; sees the run")
    register(Plateau, name="plateau", help="the LR falls when the loss has stopped improving; sees the run")
    register(Hypergradient, name="hypergradient", help="the LR follows its own gradient; sees the run")
    register(
        LineSearch, name="line-search", help="the largest LR that each batch justifies, for plain SGD; sees the run"
    )
