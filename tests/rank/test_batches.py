"""Each row is used once an epoch, and a step's rows do not depend on how they are split."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.rank.batches import FILLER, BatchPlan, BatchSampler

plans = st.builds(
    BatchPlan,
    rows=st.integers(1, 200),
    micro_batch=st.integers(1, 5),
    accumulation=st.integers(1, 4),
    world_size=st.integers(1, 5),
    seed=st.one_of(st.none(), st.integers(0, 3)),
)


def rows_of_steps(plan: BatchPlan, epoch: int) -> list[list[int]]:
    """The rows of each step over all ranks."""
    ranks = [list(plan.micro_batches(epoch, rank)) for rank in range(plan.world_size)]
    steps = []
    for step in range(plan.steps_per_epoch):
        span = slice(step * plan.accumulation, (step + 1) * plan.accumulation)
        steps.append([row for batches in ranks for batch in batches[span] for row in batch])
    return steps


@given(plans, st.integers(0, 3))
def test_every_row_exactly_once_an_epoch(plan: BatchPlan, epoch: int) -> None:
    used = Counter(row for step in rows_of_steps(plan, epoch) for row in step if row != FILLER)
    assert used == Counter(range(plan.rows))


@given(plans, st.integers(0, 3))
def test_all_ranks_make_the_same_number_of_full_micro_batches(plan: BatchPlan, epoch: int) -> None:
    for rank in range(plan.world_size):
        batches = list(plan.micro_batches(epoch, rank))
        assert len(batches) == len(BatchSampler(plan, rank)) == plan.steps_per_epoch * plan.accumulation
        assert all(len(batch) == plan.micro_batch for batch in batches)


@given(st.integers(1, 100), st.integers(0, 3), st.integers(0, 3))
def test_a_step_is_the_same_set_on_any_number_of_ranks(rows: int, seed: int, epoch: int) -> None:
    splits = [(8, 1, 1), (4, 1, 2), (2, 1, 4), (1, 4, 2), (2, 4, 1), (2, 2, 2)]
    steps = [
        [sorted(step) for step in rows_of_steps(BatchPlan(rows, micro, accumulation, world, seed), epoch)]
        for micro, accumulation, world in splits
    ]
    assert all(other == steps[0] for other in steps)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    plan, other = BatchPlan(100, 4, 1, 1, 7), BatchPlan(100, 4, 1, 1, 8)
    orders = [list(plan.micro_batches(0, 0)), list(plan.micro_batches(1, 0)), list(other.micro_batches(0, 0))]
    assert orders[0] != orders[1] and orders[0] != orders[2]
    assert orders[0] == list(plan.micro_batches(0, 0))


def test_the_sampler_follows_the_epoch() -> None:
    plan = BatchPlan(10, 2, 1, 1, 7)
    sampler = BatchSampler(plan, 0)
    sampler.set_epoch(3)
    assert list(sampler) == list(plan.micro_batches(3, 0))
