"""A seeded order of the numbers below a size, computed for each number alone, both ways.

A list shuffled once would take memory and time for every number of a million; this takes neither.
"""

import hashlib
import math
from typing import Final

_ROUNDS: Final = 4
_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # 2**64 over the golden ratio: spreads neighbours apart
_MASK: Final = 2**64 - 1


class Shuffle:
    """A permutation of ``range(size)``: a Feistel network on the two coordinates of a rectangle.

    Args:
        size: How many numbers there are; at least 1.
        key: Same key, same permutation.

    Example:
        >>> order = Shuffle(1000, "a key")
        >>> sorted(map(order, range(1000))) == list(range(1000))
        True
        >>> order.inverse(order(7))
        7
    """

    def __init__(self, size: int, key: str) -> None:
        self._size = size
        self._width = math.isqrt(size - 1) + 1
        self._height = -(-size // self._width)
        digest = hashlib.blake2b(key.encode(), digest_size=8 * _ROUNDS).digest()
        self._keys = [
            int.from_bytes(digest[8 * part : 8 * part + 8], "little") for part in range(_ROUNDS)
        ]

    def __call__(self, number: int) -> int:
        """Where ``number`` comes to stand."""
        number = self._forth(number)
        while number >= self._size:  # the rectangle is a little larger than the range
            number = self._forth(number)
        return number

    def inverse(self, place: int) -> int:
        """Which number comes to stand at ``place``."""
        place = self._back(place)
        while place >= self._size:
            place = self._back(place)
        return place

    def _forth(self, number: int) -> int:
        row, column = divmod(number, self._width)
        for a, b in zip(self._keys[::2], self._keys[1::2], strict=True):
            row = (row + (((column ^ a) * _GOLDEN & _MASK) >> 20)) % self._height
            column = (column + (((row ^ b) * _GOLDEN & _MASK) >> 20)) % self._width
        return row * self._width + column

    def _back(self, place: int) -> int:
        row, column = divmod(place, self._width)
        for a, b in zip(self._keys[-2::-2], self._keys[::-2], strict=True):
            column = (column - (((row ^ b) * _GOLDEN & _MASK) >> 20)) % self._width
            row = (row - (((column ^ a) * _GOLDEN & _MASK) >> 20)) % self._height
        return row * self._width + column
