"""The contract of workloads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from lrctl.contracts.exact import Exact
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.workload import Prepared, WithOptimizer, Workload
from lrctl.errors import UsageError
from lrctl.testing.faults import calling
from lrctl.testing.scripted import SPEC, Constant


def check_workload(workload: Workload, steps: int = 3) -> None:
    """A workload is a pure function of its arguments, gives a scalar loss with a gradient, and metrics with a loss."""
    import torch

    from lrctl.engine.purity import check_purity
    from lrctl.engine.trainer import train

    assert isinstance(workload, Workload), f"{type(workload).__name__} lacks model, batch, loss or evaluate"
    if isinstance(workload, Prepared):
        with calling("prepare()"):
            digest, again = workload.prepare(), workload.prepare()
        assert digest == again, "prepare() gave two digests"
        assert isinstance(digest, str), f"prepare() must give a string, got {digest!r}"
    model, other = workload.model(), workload.model()
    assert isinstance(model, torch.nn.Module), f"model() must give a torch.nn.Module, got {model!r}"
    shared = {id(p) for p in model.parameters()} & {id(p) for p in other.parameters()}
    assert not shared, "model() gave the same parameters twice; it must make a new model each time"
    if isinstance(workload, WithOptimizer):
        check_optimizer(workload, model)
    check_loss(workload, model)
    check_evaluation(workload, model)
    spec = dataclasses.replace(SPEC, optimizer=None if isinstance(workload, WithOptimizer) else AdamW())
    job = SegmentJob(0, steps, Constant(1e-3), score_batches=1, evaluate=("validation", "test"))
    with torch.random.fork_rng(), calling("training"):
        first, second = train(workload, spec, job), train(workload, spec, job)
        try:
            check_purity(workload, spec)
        except UsageError as error:
            raise AssertionError(str(error)) from error
    assert first.scores == second.scores, "scoring twice gave two different scores"
    assert first.metrics == second.metrics, "evaluating twice gave different metrics"
    alike = first.metrics["validation"] == first.metrics["test"]
    assert isinstance(workload, Exact) or not alike, "validation and test look like the same data"


def check_optimizer(workload: Any, model: Any) -> None:
    """A workload's own optimizer is one of torch's, over the parameters of the model that it was given."""
    import torch

    with calling("optimizer(model)"):
        optimizer = workload.optimizer(model)
    assert isinstance(optimizer, torch.optim.Optimizer), (
        f"optimizer() must give a torch.optim.Optimizer, got {optimizer!r}"
    )
    own = {id(parameter) for parameter in model.parameters()}
    stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert stepped <= own, "optimizer() steps parameters that are not the model's; take them from the model it is given"


def check_loss(workload: Workload, model: Any) -> None:
    """The loss is a scalar tensor with a gradient, finite, and at least 0 unless `signed_loss` is true."""
    import torch

    with calling("loss(model, batch(0))"):
        loss = workload.loss(model, workload.batch(0))
    assert isinstance(loss, torch.Tensor), f"the loss must be a scalar tensor, got {loss!r}"
    assert loss.shape == (), f"the loss has shape {tuple(loss.shape)}; it must be a scalar"
    assert loss.requires_grad, "the loss has no gradient"
    assert math.isfinite(loss.item()), f"the loss of the untrained model is {loss.item()}"
    signed = getattr(workload, "signed_loss", False)
    assert loss.item() >= 0 or signed, (
        f"the loss is {loss.item()}; a workload whose losses may be negative says signed_loss = True"
    )


def check_evaluation(workload: Workload, model: Any) -> None:
    """Metrics are finite numbers by name, `loss` among them, and evaluating leaves the model as it was."""
    import torch

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for split in ("validation", "test"):
        model.eval()
        with calling(f"evaluate(model, {split!r})"), torch.no_grad():
            metrics = workload.evaluate(model, split)
        named = isinstance(metrics, Mapping) and "loss" in metrics
        assert named, f"evaluate() must give metrics by name with a 'loss' among them, got {metrics!r}"
        for name, value in metrics.items():
            assert isinstance(value, int | float), (
                f"evaluate(): {name} must be a number, got {value!r}; write float(...)"
            )
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "evaluate() changed the model"
