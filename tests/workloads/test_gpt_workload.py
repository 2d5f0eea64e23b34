from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts.workload import Prepared, Scored, Sized, StandIn, WithParamGroups, Workload
from lrctl_workloads.text.gpt import Gpt, GptParams
from lrctl_workloads.text.tokenizer import from_ranks


@pytest.fixture
def gpt(folder: Path) -> Gpt:
    """A workload whose model trains in no time."""
    return Gpt(GptParams(path=str(folder), tokenizer="bytes", d_model=16, heads=2, context=15, batch_size=4), seed=3)


def other(gpt: Gpt, seed: int = 3, **params: Any) -> Gpt:
    """The same workload with some parameters changed."""
    return Gpt(replace(gpt.params, **params), seed)


def test_it_keeps_the_contract(gpt: Gpt) -> None:
    for contract in (Workload, Scored, Sized, Prepared, StandIn, WithParamGroups):
        assert isinstance(gpt, contract)


def test_an_epoch_is_as_many_updates_as_see_each_window_once(gpt: Gpt) -> None:
    assert gpt.steps_per_epoch() == len(gpt.windows.parts["training"]) / 4


def test_batches_are_a_function_of_seed_and_step(gpt: Gpt) -> None:
    inputs, targets = gpt.batch(7)
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (4, 15)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert torch.equal(other(gpt).batch(7)[0], inputs)
    assert not torch.equal(gpt.batch(8)[0], inputs)
    assert not torch.equal(other(gpt, seed=4).batch(7)[0], inputs)


def test_an_epoch_shows_each_training_window_once(gpt: Gpt) -> None:
    training = gpt.windows.rows[gpt.windows.parts["training"]]
    steps, rest = divmod(len(training), 4)
    drawn = torch.cat([torch.cat([i, t[:, -1:]], 1) for i, t in map(gpt.batch, range(steps))])
    assert len(drawn) == len(training) - rest
    rows = [tuple(row) for row in training.tolist()]
    left = rows.copy()
    for row in drawn.tolist():
        left.remove(tuple(row))
    assert len(left) == rest


def test_score_batches_are_the_reserved_windows_in_order(gpt: Gpt) -> None:
    n = len(gpt.windows.parts["score"]) // 4
    inputs = torch.cat([gpt.score_batch(i)[0] for i in range(n)])
    np.testing.assert_array_equal(inputs, gpt.windows.rows[gpt.windows.parts["score"]][: 4 * n, :-1])
    for i in (n, -1):
        with pytest.raises(IndexError):
            gpt.score_batch(i)


def test_the_output_bias_starts_at_the_log_frequencies(gpt: Gpt) -> None:
    training = gpt.windows.rows[gpt.windows.parts["training"]].ravel()
    counts = np.array([(training == token).sum() + 1 for token in range(257)])
    bias = gpt.model().get_parameter("output_bias")
    np.testing.assert_allclose(bias.detach(), np.log(counts / counts.sum()), rtol=1e-6)


def test_the_first_loss_is_near_the_entropy_of_the_frequencies(gpt: Gpt) -> None:
    torch.manual_seed(0)
    loss = gpt.evaluate(gpt.model(), "validation")["loss"]
    log_p = gpt.log_frequencies
    assert loss == pytest.approx(-(np.exp(log_p) * log_p).sum(), abs=0.05)
    without = other(gpt, output_bias=False)
    assert without.evaluate(without.model(), "validation")["loss"] == pytest.approx(math.log(257), abs=0.1)


@pytest.mark.parametrize("tied", [False, True])
def test_a_tied_model_has_one_matrix_for_both_ends(tied: bool, gpt: Gpt) -> None:
    workload = other(gpt, tie_embeddings=tied)
    model = workload.model()
    wide = [name for name, p in model.named_parameters() if p.shape == (257, 16)]
    assert wide == (["tokens.weight"] if tied else ["output", "tokens.weight"])
    # Each tensor has one name, as a checkpoint wants it.
    assert len({p.data_ptr() for p in model.state_dict().values()}) == len(model.state_dict())
    torch.autograd.backward(workload.loss(model, workload.batch(0)))
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_weights_start_as_in_gpt2(gpt: Gpt) -> None:
    model = other(gpt, layers=8, d_model=64).model()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            std = 0.02 / 4 if name.endswith(("attention.out.weight", "network_out.weight")) else 0.02
            assert float(parameter.detach().std()) == pytest.approx(std, rel=0.1), name
        elif name != "output_bias":
            assert set(parameter.tolist()) == {1.0 if name.endswith("norm.weight") else 0.0}, name


def test_the_model_does_not_see_the_future(gpt: Gpt) -> None:
    model = gpt.model()
    inputs, _ = gpt.batch(0)
    changed = inputs.clone()
    changed[:, 10:] = 0
    with torch.no_grad():
        before, after = model(inputs), model(changed)
    torch.testing.assert_close(after[:, :10], before[:, :10])
    assert not torch.allclose(after[:, 10:], before[:, 10:])


def test_dropout_acts_in_training_only(gpt: Gpt) -> None:
    model = other(gpt, dropout=0.5).model()
    inputs, _ = gpt.batch(0)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_changes_nothing_and_repeats(split: str, gpt: Gpt) -> None:
    model = other(gpt, dropout=0.5).model()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    first, again = gpt.evaluate(model, split), gpt.evaluate(model, split)
    assert first == again
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert gpt.evaluate(model.eval(), split) == first
    assert not model.training


def test_evaluation_is_the_mean_over_the_split(gpt: Gpt) -> None:
    model = gpt.model().eval()
    rows = torch.from_numpy(gpt.windows.rows[gpt.windows.parts["test"]].astype(np.int64))
    with torch.no_grad():
        loss = float(gpt.loss(model, (rows[:, :-1], rows[:, 1:])))
    metrics = gpt.evaluate(model, "test")
    text_bytes = int((rows[:, 1:] < 256).sum())
    assert metrics["loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
    nats = loss * rows[:, 1:].numel()
    assert metrics["bits_per_byte"] == pytest.approx(nats / math.log(2) / text_bytes, rel=1e-5)


def test_eval_tokens_caps_the_evaluation(gpt: Gpt) -> None:
    model = gpt.model()
    capped = other(gpt, eval_tokens=150)
    rows = torch.from_numpy(gpt.windows.rows[gpt.windows.shuffled("test", 10)].astype(np.int64))
    with torch.no_grad():
        loss = float(gpt.loss(model, (rows[:, :-1], rows[:, 1:])))
    assert capped.evaluate(model, "test")["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(("loss", "perplexity"), [(1e4, math.inf), (math.inf, math.inf), (0.0, 1.0)])
def test_a_huge_loss_has_an_infinite_perplexity(
    loss: float, perplexity: float, gpt: Gpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gpt, "mean_loss", lambda *_: loss)
    assert gpt.evaluate(gpt.model(), "test")["perplexity"] == perplexity


def test_only_held_out_splits_can_be_evaluated(gpt: Gpt) -> None:
    with pytest.raises(ValueError, match="must be 'validation' or 'test', got 'score'"):
        gpt.evaluate(gpt.model(), "score")


def test_weight_decay_is_for_matrices_only(gpt: Gpt) -> None:
    model = gpt.model()
    decayed, free = gpt.param_groups(model)
    assert "weight_decay" not in decayed
    assert free["weight_decay"] == 0.0
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


def test_it_learns(gpt: Gpt) -> None:
    torch.manual_seed(0)
    model = gpt.model()
    optimizer = torch.optim.AdamW(gpt.param_groups(model), lr=1e-2)
    before = gpt.evaluate(model, "validation")["loss"]
    for step in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(gpt.loss(model, gpt.batch(step)))
        optimizer.step()
    assert gpt.evaluate(model, "validation")["loss"] < before - 0.3


def test_preparing_gives_a_digest_of_the_content(gpt: Gpt, folder: Path) -> None:
    before = gpt.prepare()
    assert other(gpt, context=7).prepare() == before
    assert other(gpt, tokenizer="bpe:300").prepare() != before
    (folder / "000.txt").write_text("changed")
    assert other(gpt).prepare() != before


def test_an_unused_workload_is_cheap_and_can_be_sent_to_a_worker() -> None:
    gpt = Gpt(GptParams(path="/no/where"), seed=1)
    assert pickle.loads(pickle.dumps(gpt)) == gpt


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers": 0}, "layers: must be at least 1, got 0"),
        ({"context": 0}, "context: must be at least 1, got 0"),
        ({"batch_size": -1}, "batch_size: must be at least 1, got -1"),
        ({"max_tokens": -1}, "max_tokens: must be at least 0, got -1"),
        ({"eval_tokens": 0}, "eval_tokens: must be at least 1, got 0"),
        ({"heads": 5}, r"heads: must divide d_model \(96\), got 5"),
        ({"dropout": 1.0}, r"dropout: must be at least 0 and less than 1, got 1\.0"),
        ({"dropout": math.nan}, "dropout: must be at least 0 and less than 1, got nan"),
    ],
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GptParams(**params)


def test_the_model_of_the_paper_has_the_parameters_of_gpt2() -> None:
    """GPT-2 small: 124,439,808 with tied embeddings. On the meta device a model takes no memory and no time."""
    params = GptParams(
        path="hub:no/where", tokenizer="gpt2", layers=12, heads=12, d_model=768, context=1024, output_bias=False,
        tie_embeddings=True,
    )  # fmt: skip
    with torch.device("meta"):
        model = Gpt(params, seed=0).model()
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_activation_checkpointing_changes_no_bit(dropout: float, gpt: Gpt) -> None:
    def trained(**params: Any) -> tuple[list[float], list[torch.Tensor]]:
        torch.manual_seed(0)
        workload = other(gpt, layers=2, dropout=dropout, **params)
        model = workload.model()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        losses = []
        for step in range(5):
            torch.manual_seed(step)
            loss = workload.loss(model, workload.batch(step))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses, list(model.state_dict().values())

    (losses, weights), (again, weights_again) = trained(), trained(activation_checkpointing=True)
    assert losses == again
    assert all(torch.equal(*pair) for pair in zip(weights, weights_again, strict=True))


def test_activation_checkpointing_keeps_fewer_activations(gpt: Gpt) -> None:
    def kept(**params: Any) -> int:
        workload, sizes = other(gpt, layers=4, **params), []
        model = workload.model()

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            workload.loss(model, workload.batch(0))
        return sum(sizes)

    assert kept(activation_checkpointing=True) < kept() / 2


def test_an_evaluation_never_holds_more_logits_than_its_limit(gpt: Gpt, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def loss(self: Gpt, model: Any, batch: Any) -> torch.Tensor:
        sizes.append(len(batch[0]))
        return before(self, model, batch)

    before, model = Gpt.loss, gpt.model()
    whole = gpt.evaluate(model, "test")["loss"]
    monkeypatch.setattr("lrctl_workloads.text.gpt.MOST_LOGITS", 3 * 15 * 257 + 1)
    monkeypatch.setattr(Gpt, "loss", loss)
    assert gpt.evaluate(model, "test")["loss"] == pytest.approx(whole, rel=1e-5)
    assert set(sizes[:-1]) == {3}


def test_no_text_is_ready_where_its_tokens_cannot_be_written(
    gpt: Gpt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "file" / "cache"))
    assert not gpt.ready()


def test_a_local_text_that_is_tokenised_in_seconds_is_ready(gpt: Gpt, cache_folder: Path) -> None:
    assert gpt.ready()
    assert not cache_folder.exists()


@pytest.mark.parametrize("limit", ["a large text", "ranks that have to be fetched"])
def test_a_text_that_takes_long_is_ready_once_it_is_tokenised(
    limit: str, gpt: Gpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit == "a large text":
        monkeypatch.setattr("lrctl_workloads.text.windows.SMALL", 1000)
        slow = other(gpt)
    else:
        ranks = {bytes([byte]): byte for byte in range(256)}
        monkeypatch.setattr("lrctl_workloads.text.tokenizer.tiktoken_encoding", lambda name: from_ranks(name, ranks))
        slow = other(gpt, tokenizer="gpt2", output_bias=False)
    assert not slow.ready()
    slow.prepare()
    assert replace(slow).ready()


def test_stand_in_batches_look_like_batches(gpt: Gpt) -> None:
    for ours, real in zip(gpt.stand_in(3), gpt.batch(3), strict=True):
        assert (ours.shape, ours.dtype) == (real.shape, real.dtype)
        assert 0 <= int(ours.min()) <= int(ours.max()) < 257
    assert torch.equal(gpt.stand_in(3)[0], gpt.stand_in(3)[0])
    assert not torch.equal(gpt.stand_in(3)[0], gpt.stand_in(4)[0])
    assert other(gpt, 2**64 - 1).stand_in(3)[0].shape == gpt.batch(3)[0].shape


def test_max_tokens_takes_the_start_of_the_text(gpt: Gpt) -> None:
    part = other(gpt, max_tokens=20_000)
    np.testing.assert_array_equal(part.tokens.ids, gpt.tokens.ids[:20_000])
    assert part.prepare() != gpt.prepare()
