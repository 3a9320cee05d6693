"""What is loaded equals what was saved, bit for bit and type for type; random generators go on where they were."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune_trainer.checkpoint import rng
from finetune_trainer.checkpoint.state import load_state, save_state


def test_nested_state_survives(tmp_path: Path) -> None:
    state = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.randn(3, 4)}, 1: {"momentum": None}},
        "param_groups": [{"lr": 0.1 + 0.2, "betas": (0.9, 0.999), "params": [0, 1], "amsgrad": False, "name": "a"}],
        "empty": {},
    }
    save_state(tmp_path, "x", state)
    loaded = load_state(tmp_path, "x")
    assert torch.equal(loaded["state"][0].pop("exp_avg"), state["state"][0].pop("exp_avg"))  # type: ignore[attr-defined]
    assert torch.equal(loaded["state"][0].pop("step"), state["state"][0].pop("step"))  # type: ignore[attr-defined]
    assert loaded == state
    assert isinstance(loaded["param_groups"][0]["betas"], tuple)


def test_optimizer_and_scheduler_continue_bit_for_bit(tmp_path: Path) -> None:
    def build() -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        torch.manual_seed(0)
        model = torch.nn.Linear(8, 8)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        return model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step + 1))

    def step(model, optimizer, scheduler) -> None:  # type: ignore[no-untyped-def]
        optimizer.zero_grad()
        model(torch.arange(8.0)).pow(2).sum().backward()
        optimizer.step()
        scheduler.step()

    a, b = build(), build()
    for _ in range(3):
        step(*a)
    for name, part in zip(("model", "optimizer", "scheduler"), a, strict=True):
        save_state(tmp_path, name, part.state_dict())
        b[("model", "optimizer", "scheduler").index(name)].load_state_dict(load_state(tmp_path, name))
    step(*a)
    step(*b)
    assert torch.equal(a[0].weight, b[0].weight)


def test_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object at '/a/0'"):
        save_state(tmp_path, "x", {"a": [object()]})


def test_random_generators_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> tuple[float, float, float, float]:
        return random.random(), random.gauss(0, 1), float(np.random.standard_normal()), float(torch.rand(()))

    random.gauss(0, 1)
    np.random.standard_normal()  # Both keep a second number in hand, which is part of their state.
    save_state(tmp_path, "rng", rng.capture())
    expected = [draw() for _ in range(3)]
    rng.restore(load_state(tmp_path, "rng"))
    assert [draw() for _ in range(3)] == expected
