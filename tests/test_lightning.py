"""A script with a Lightning Trainer does the jobs of lrctl; found and adaptive schedules in a LightningModule."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.lr_scheduler import GreedyLR, ScheduleLR
from lrctl.registry.schedules import schedule_text
from programs import tell_job

pytest.importorskip("lightning.pytorch")

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from lrctl.lightning import AdaptiveLRCallback, ProgramCallback, attach

pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 12
FOUND = PiecewiseLinear(((0, 0.0), (4, 0.05), (STEPS, 0.0)))
LRS = [FOUND(step) for step in range(STEPS)]
CUTS = (0, 3, 4, 8, STEPS)
"""Where a run is cut into jobs; an epoch has 4 updates."""


@pytest.fixture(autouse=True)
def quietly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("LRCTL_JOB", "LRCTL_SCHEDULE", "RANK", "PL_GLOBAL_SEED"):
        monkeypatch.setenv(name, "")  # so that what the script sets is taken back
        monkeypatch.delenv(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(pl.LightningModule):
    """A small net with dropout, which remembers the LRs and losses of its updates."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1))
        self.lrs: list[list[float]] = []
        self.losses: list[float] = []

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        found: torch.Tensor = torch.nn.functional.mse_loss(self.layers(x), y)
        return found

    def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002
        loss = self.loss(batch)
        self.losses.append(loss.item())
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self.log("test_loss", self.loss(batch))

    def optimizer_step(self, *arguments: Any, **others: Any) -> None:
        super().optimizer_step(*arguments, **others)
        self.lrs.append([group["lr"] for group in self.trainer.optimizers[0].param_groups])

    def configure_optimizers(self) -> Any:
        first, _, last = self.layers
        groups: list[dict[str, Any]] = [{"params": first.parameters()}, {"params": last.parameters(), "lr": 0.02}]
        optimizer = torch.optim.AdamW(groups, lr=0.1)
        total = self.trainer.estimated_stepping_batches
        kinds: dict[str, Any] = {
            "one cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.1, 0.02], total_steps=int(total)),
            "found": lambda: ScheduleLR(optimizer, FOUND),
            "none": lambda: None,
        }
        scheduler = kinds[self.settings.get("scheduler", "none")]()
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}] if scheduler else []


class Points(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 32

    def __getitem__(self, place: int) -> Any:
        x = torch.tensor([place / 32, 1.0, place % 3.0, place % 5.0])
        return x, x.sum(0, keepdim=True)


class Stream(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        return map(Points().__getitem__, torch.randperm(32).tolist())


class Noisy(Points):
    def __getitem__(self, place: int) -> Any:
        x, y = super().__getitem__(place)
        return x + 0.1 * torch.randn(4), y


def trainer_of(**settings: Any) -> Any:
    common: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    common |= {"max_steps": STEPS, "logger": False, "enable_checkpointing": False}
    return pl.Trainer(**common | settings)


def fit(kind: Any = Net, **settings: Any) -> Any:
    """A script: the module that it has trained, as far as it comes."""
    pl.seed_everything(settings.pop("seed", 3), verbose=False)
    data = settings.pop("data", Points)()
    module = kind(scheduler=settings.pop("scheduler", "none"))
    size = 8 // settings.get("accumulate_grad_batches", 1)
    loader: dict[str, Any] = {name: make() for name, make in settings.pop("loader", {}).items()}
    trainer = trainer_of(**settings)
    few = torch.utils.data.DataLoader(torch.utils.data.Subset(Points(), range(8)))
    attach(trainer, ProgramCallback(test_dataloaders=few))
    with suppress(SystemExit):  # where it is a job
        trainer.fit(module, torch.utils.data.DataLoader(data, size, **{"shuffle": True, **loader}), few)
    return module


def job(start: int, stop: int, resume: str | None = None, splits: Any = ("validation",), **settings: Any) -> Any:
    """Do a job in a folder of its own, and give the module, the losses, the metrics, and the checkpoint."""
    folder = Path(f"{start}-{stop}-{len(os.listdir())}").absolute()
    folder.mkdir()
    told = {"steps": STEPS, "resume": resume, "evaluate": splits, **({"save": None} if start == stop else {})}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRCTL_JOB", str(tell_job(folder, start, stop, lrs=LRS[start:stop], **told)))
        module = fit(**settings)
    losses = np.load(folder / "losses.npy").tolist()
    return module, losses, json.loads((folder / "result.json").read_text())["metrics"], str(folder / "save")


def use_found(monkeypatch: pytest.MonkeyPatch, steps: int = STEPS) -> None:
    Path("found.json").write_text(schedule_text(FOUND, steps))
    monkeypatch.setenv("LRCTL_SCHEDULE", "found.json")


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gradient accumulation": {"accumulate_grad_batches": 2},
    "bfloat16": {"precision": "bf16-mixed"},
    "validation within epochs": {"val_check_interval": 3},
    "a scheduler of its own": {"scheduler": "one cycle"},
    "data with noise": {"data": Noisy},
    "epochs": {"max_steps": -1, "max_epochs": 3, "min_epochs": 2},
    "a stream": {"data": Stream, "loader": {"shuffle": lambda: None}},
    "a generator of its own": {"loader": {"generator": lambda: torch.Generator().manual_seed(0)}},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_jobs_have_the_bits_of_a_whole_run_with_the_schedule(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, lrs, saved = list[float](), list[list[float]](), None
    for start, stop in pairwise(CUTS):
        module, more, metrics, saved = job(start, stop, saved, ("validation", "test"), **settings)
        losses, lrs = losses + more, lrs + module.lrs
    use_found(monkeypatch)
    whole = fit(**settings)
    parts = torch.tensor(whole.losses).reshape(STEPS, -1)
    assert losses == parts.mean(1).tolist()
    assert lrs == whole.lrs == [[lr, pytest.approx(lr / 5)] for lr in LRS]
    (measured,) = whole.trainer.validate(whole, whole.trainer.val_dataloaders, verbose=False)
    assert metrics["validation"]["loss"] == metrics["test"]["loss"] == measured["val_loss"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_epoch_in_updates_is_answered(accumulate: int) -> None:
    *_, saved = job(0, 3, accumulate_grad_batches=accumulate)
    assert json.loads(Path(saved).with_name("result.json").read_text())["epoch"] == 4


def test_a_job_without_steps_measures_a_checkpoint() -> None:
    *_, metrics, saved = job(0, 3)
    assert job(3, 3, saved)[2] == metrics
    untrained = job(0, 0, splits=("validation", "test"))[2]
    assert untrained["validation"] == untrained["test"] != metrics["validation"]


def test_outside_of_lrctl_the_script_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = fit()
    pl.seed_everything(3, verbose=False)
    theirs = Net()
    few = torch.utils.data.DataLoader(torch.utils.data.Subset(Points(), range(8)))
    trainer_of().fit(theirs, torch.utils.data.DataLoader(Points(), 8, shuffle=True), few)
    assert (ours.losses, ours.lrs) == (theirs.losses, theirs.lrs)
    assert ours.trainer.callbacks == []
    use_found(monkeypatch, STEPS + 1)
    with pytest.raises(UsageError, match="it is for 13 steps, and this run has 12"):
        fit()


@pytest.mark.parametrize("scheduler", ["none", "one cycle"])
def test_the_lrs_in_the_log_are_those_of_the_updates(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_found(monkeypatch)
    fit(
        scheduler=scheduler,
        callbacks=[LearningRateMonitor("step")],
        logger=CSVLogger(".", version="x"),
        log_every_n_steps=1,
    )
    with Path("lightning_logs/x/metrics.csv").open() as file:
        logged = [float(row["lr-AdamW/pg1"]) for row in csv.DictReader(file) if row["lr-AdamW/pg1"]]
    assert logged == LRS


def test_a_job_leaves_out_what_it_is_not_asked_for() -> None:
    callbacks = [EarlyStopping("val_loss", patience=0, mode="max"), ModelCheckpoint("mine", every_n_train_steps=1)]
    callbacks.append(LearningRateMonitor("step"))
    logger = CSVLogger(".")
    few: dict[str, Any] = {"max_time": {"seconds": 0}, "enable_checkpointing": True, "val_check_interval": 1}
    _, losses, *_ = job(0, 6, callbacks=callbacks, logger=logger, **few)
    assert len(losses) == 6
    assert len(os.listdir()) == 1, "the folder of the job"


# What cannot be done


class Manual(Net):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False


class Silent(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002
        return None


class Unnamed(Net):
    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self.log("loss_val", self.loss(batch))


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 42}, r"seed_everything was given 42, and the job's seed is 3; give lrctl --seed 42, or call"),
    "manual": ({"kind": Manual}, "wants one optimizer and automatic optimization, and the module has 1, automatic_op"),
    "no loss": ({"kind": Silent}, "training_step of Silent returned no loss at update 1; each is asked for"),
    "workers that outlive an epoch": (
        {"loader": {"num_workers": lambda: 1, "persistent_workers": lambda: True}},
        "DataLoader has persistent_workers=True, .*; leave persistent_workers out",
    ),
    "metric": ({"kind": Unnamed}, "ProgramCallback: validation: unknown metric 'val_loss'; choose from: loss_val"),
}


@pytest.mark.parametrize(("settings", "error"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_done_is_refused(
    settings: Any, error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LRCTL_JOB", str(tell_job(tmp_path, 0, 1, lrs=LRS[:1])))
    with pytest.raises(UsageError, match=error):
        fit(**settings)


# Schedules in a module


def plain_fit(*callbacks: Any, resume: str | None = None, **settings: Any) -> Any:
    pl.seed_everything(3, verbose=False)
    module = Net(scheduler=settings.pop("scheduler", "none"))
    data = torch.utils.data.DataLoader(Points(), 8 // settings.get("accumulate_grad_batches", 1))
    trainer_of(callbacks=[*callbacks], **settings).fit(module, data, ckpt_path=resume)
    return module


def test_a_found_schedule_is_a_scheduler_of_the_module() -> None:
    assert plain_fit(scheduler="found").lrs == [[lr, pytest.approx(lr / 5)] for lr in LRS]


LIVELY: dict[str, Any] = {"patience": 1, "factor": 0.5, "window_size": 3}
"""GreedyLR that moves the LR within a few updates."""


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_update_uses_what_greedy_lr_makes_of_the_losses_before(accumulate: int) -> None:
    settings: dict[str, Any] = {"scheduler": "one cycle", "accumulate_grad_batches": accumulate}
    module = plain_fit(AdaptiveLRCallback(**LIVELY), **settings)
    weights = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.02)]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    # A scheduler of torch's has moved the LRs, so that what they were made with is `initial_lr`.
    optimizer.param_groups[0]["initial_lr"], optimizer.param_groups[1]["initial_lr"] = (
        module.trainer.optimizers[0].param_groups[0]["initial_lr"],
        module.trainer.optimizers[0].param_groups[1]["initial_lr"],
    )
    scheduler, lrs = GreedyLR(optimizer, **LIVELY), []
    for loss in torch.tensor(module.losses).reshape(STEPS, -1).mean(1).tolist():
        lrs.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step(loss)
    assert module.lrs == lrs
    assert len({lr for lr, _ in lrs}) > 3


def test_an_adaptive_run_resumes() -> None:
    keep = ModelCheckpoint(".", "{step}", every_n_train_steps=4, save_top_k=-1)
    whole = plain_fit(AdaptiveLRCallback(**LIVELY), keep, enable_checkpointing=True)
    second = plain_fit(AdaptiveLRCallback(**LIVELY), resume="step=4.ckpt")
    assert second.lrs == whole.lrs[4:]


def test_a_checkpoint_is_for_one_run_and_for_the_same_settings() -> None:
    keep = ModelCheckpoint(".", "{step}", every_n_train_steps=4, save_top_k=-1)
    whole = plain_fit(AdaptiveLRCallback(**LIVELY), keep, enable_checkpointing=True)
    callback = AdaptiveLRCallback(**LIVELY)
    plain_fit(callback, resume="step=4.ckpt")
    assert plain_fit(callback).lrs == whole.lrs
    data = torch.utils.data.DataLoader(Points(), 8)
    trainer_of(callbacks=[callback]).validate(Net(), data, ckpt_path="step=4.ckpt", verbose=False)
    assert plain_fit(callback).lrs == whole.lrs
    with pytest.raises(UsageError, match=r"made with .*'patience': 1.* not with .*'patience': 2.*; give the same, or"):
        plain_fit(AdaptiveLRCallback(**{**LIVELY, "patience": 2}), resume="step=4.ckpt")


def test_a_schedule_that_knows_its_lrs_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'cosine' knows its LRs before the run; give ScheduleLR\(optimizer"):
        AdaptiveLRCallback("cosine")


# Other ways to start


@pytest.mark.slow
def test_pytorch_lightning_is_taken_where_the_script_imports_that() -> None:
    pytest.importorskip("pytorch_lightning")
    code = (
        "import sys, pytorch_lightning as pl, lrctl.lightning as l; print(issubclass(l.ProgramCallback, pl.Callback))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def in_one_of_several() -> None:
    """What each process does; the job is in the environment."""
    name = f"lrs-{os.environ['RANK']}-{os.environ['NAME']}.json"
    module = fit(strategy="ddp", devices=2)
    Path(name).write_text(json.dumps([module.lrs, module.losses]))


@pytest.mark.slow
def test_several_processes_have_the_bits_of_a_whole_run() -> None:
    Path("script.py").write_text("import test_lightning as t; t.in_one_of_several()")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}
    found: dict[str, Any] = {}
    for start, stop, resume in ((0, 3, None), (3, 6, "0-3"), (0, 6, None)):
        name = f"{start}-{stop}"
        folder = Path(name).absolute()
        folder.mkdir()
        before = resume and str(Path(resume, "save").absolute())
        told = tell_job(folder, start, stop, lrs=LRS[start:stop], steps=STEPS, resume=before)
        subprocess.run(torchrun, env={**environment, "LRCTL_JOB": str(told), "NAME": name}, check=True, timeout=300)
        found[name] = np.load(folder / "losses.npy").tolist(), json.loads((folder / "result.json").read_text())
        ranks = [json.loads(Path(f"lrs-{rank}-{name}.json").read_text()) for rank in "01"]
        assert [[lr for lr, _ in lrs] for lrs, _ in ranks] == [LRS[start:stop]] * 2
        assert found[name][0] == pytest.approx(np.mean([losses for _, losses in ranks], axis=0))
    assert found["0-3"][0] + found["3-6"][0] == found["0-6"][0]
    assert found["3-6"][1] == found["0-6"][1]
