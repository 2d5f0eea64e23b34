from __future__ import annotations

import pytest
import torch

from lrctl.recipe.workloads import load_workload
from lrctl.testing import check_workload
from workloads.finetune import tiny_models as tiny
from workloads.finetune.tiny_models import Folder

EACH = [(task, name) for task, names in tiny.ABLE.items() for name in names]


@pytest.mark.parametrize(("task", "name"), EACH, ids=[" ".join(each) for each in EACH])
def test_every_architecture_of_the_paper_can_be_trained(task: str, name: str, model: Folder, data: Folder) -> None:
    workload = load_workload(task, tiny.workload(task, model(name), data(task)), 0)
    check_workload(workload)


@pytest.mark.parametrize("task", tiny.ABLE)
def test_fresh_weights_come_from_torchs_random_numbers(task: str, model: Folder, data: Folder) -> None:
    given = tiny.workload(task, model(tiny.ABLE[task][0]), data(task), pretrained=False)
    workload = load_workload(task, given, 0)
    workload.prepare()  # type: ignore[attr-defined]
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.detach().flatten() for p in workload.model().parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("task", tiny.ABLE)
def test_weights_that_fit_are_the_checkpoints(task: str, model: Folder, data: Folder) -> None:
    from safetensors.torch import load_file

    folder = model(tiny.ABLE[task][0])
    workload = load_workload(task, tiny.workload(task, folder, data(task)), 0)
    workload.prepare()  # type: ignore[attr-defined]
    stored, built = load_file(folder / "model.safetensors"), workload.model().state_dict()
    same = [any(torch.equal(tensor, other) for other in built.values()) for tensor in stored.values()]
    assert sum(same) > 0.7 * len(same)


@pytest.mark.parametrize("task", tiny.ABLE)
def test_a_stand_in_has_the_shapes_and_types_of_a_batch(task: str, model: Folder, data: Folder) -> None:
    folder = model(tiny.ABLE[task][0])
    workload = load_workload(task, tiny.workload(task, folder, data(task)), 0)
    workload.prepare()  # type: ignore[attr-defined]
    batch = workload.batch(0)
    assert {name: (t.shape, t.dtype) for name, t in workload.batch(1).items()} == {
        name: (t.shape, t.dtype) for name, t in batch.items()
    }
    elsewhere = load_workload(task, tiny.workload(task, folder, data(task).with_name("none.jsonl")), 0)
    made_up = elsewhere.stand_in(0)  # type: ignore[attr-defined]
    for name, tensor in made_up.items():
        assert (tensor.shape, tensor.dtype) == (batch[name].shape, batch[name].dtype)
    assert batch.keys() - made_up.keys() <= {"token_type_ids"}
