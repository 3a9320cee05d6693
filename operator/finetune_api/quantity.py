"""Amounts as Kubernetes writes them (500m, 8, 64Gi), as numbers that can be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from finetune_api.part import QUANTITY

_UNITS = {"": Fraction(1), "m": Fraction(1, 1000)}
_UNITS |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)}
_UNITS |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)}
_QUANTITY = re.compile(QUANTITY)


def amount(quantity: str | int) -> Fraction:
    """The exact number: "500m" -> 1/2, "1Ki" -> 1024, 8 -> 8. Bytes, cores or pieces, as the resource has it.

    Raises:
        ValueError: it is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        raise ValueError(f"{quantity!r} is not a quantity")
    unit = match[2] or ""
    return Fraction(str(quantity).removesuffix(unit)) * _UNITS[unit]


def gpus(limits: Mapping[str, str | int]) -> int:
    """GPUs in resources.limits, of any vendor: nvidia.com/gpu, amd.com/gpu. A rule sees to it that their number is whole."""
    return sum(int(amount(count)) for name, count in limits.items() if name.endswith("/gpu"))
