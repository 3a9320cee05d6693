"""A digest of the samples of a step that is the same however they are spread over ranks and micro-batches.

It is a sum of hashes, so digests add up: those of one epoch's steps give the digest of the whole data set exactly when every
sample was used once.
"""

from __future__ import annotations

from collections.abc import Iterable

#: 40-bit hashes: eight million samples fit in a step before a signed 64-bit sum overflows.
_BITS = 40
_MASK = (1 << 64) - 1


def sample_hash(sample: int) -> int:
    """A well-mixed number for a sample's id (the finaliser of SplitMix64, Steele et al. 2014), cut to 40 bits."""
    z = (sample + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> (64 - _BITS)


def digest(samples: Iterable[int]) -> int:
    """Sum of the hashes of `samples`."""
    return sum(map(sample_hash, samples))
