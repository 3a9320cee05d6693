"""The digest of samples adds up, and notices a sample that is missing or doubled."""

from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.rank.digest import digest, sample_hash

samples = st.lists(st.integers(0, 10**9), max_size=50)


@given(samples, samples)
def test_digests_add_up(a: list[int], b: list[int]) -> None:
    assert digest(a + b) == digest(b + a) == digest(a) + digest(b)


def test_a_missing_or_doubled_sample_shows() -> None:
    whole = digest(range(1000))
    assert digest([*range(999), 998]) != whole
    assert digest([*range(1000), 5]) != whole
    assert len({sample_hash(i) for i in range(100_000)}) == 100_000


def test_a_step_of_millions_of_samples_fits_in_64_bits() -> None:
    assert max(map(sample_hash, range(10_000))) * 8_000_000 < 2**63
