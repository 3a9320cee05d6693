"""Amounts, compared with what the Kubernetes client makes of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from finetune_api.quantity import amount, gpus

NUMBERS = st.integers(0, 10**6) | st.decimals(0, 10**6, places=3)
UNITS = st.sampled_from(["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])


@given(NUMBERS, UNITS)
def test_amount(number: int | Decimal, unit: str):
    assert amount(f"{number}{unit}") == Fraction(parse_quantity(f"{number}{unit}"))


def test_a_whole_number_needs_no_quotes():
    assert amount(8) == amount("8") == amount("8000m") and amount("1Gi") > amount("1G")


@pytest.mark.parametrize("text", ["", "8GB", "-1", "1e3", "Gi", "0.5.1", "1 Gi"])
def test_what_is_no_amount(text: str):
    with pytest.raises(ValueError, match="is not a quantity"):
        amount(text)


def test_gpus_of_any_vendor():
    assert gpus({"nvidia.com/gpu": 4, "amd.com/gpu": "2", "cpu": "500m", "nvidia.com/mig-1g.5gb": 3}) == 6
    assert gpus({}) == 0
