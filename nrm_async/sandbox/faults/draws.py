"""Chance from a seed: the same question always gets the same answer, in whatever order."""

import hashlib
import math
from statistics import NormalDist
from typing import Final

_RANGE: Final = 2.0**64
_NORMAL: Final = NormalDist()


def draw(*question: object) -> float:
    """A number from 0 up to 1, decided by the question alone.

    Example:
        >>> draw(1, "pause", 7) == draw(1, "pause", 7) != draw(1, "pause", 8)
        True
    """
    digest = hashlib.blake2b(repr(question).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / _RANGE


def lognormal(median: float, sigma: float, drawn: float) -> float:
    """The value that a lognormal distribution has at this draw.

    Example:
        >>> lognormal(0.1, 0.5, 0.5)
        0.1
    """
    return median * math.exp(sigma * _NORMAL.inv_cdf(min(max(drawn, 1e-12), 1 - 1e-12)))
