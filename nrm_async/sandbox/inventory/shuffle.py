"""A seeded order of the numbers below a size, computed for each number alone, both ways.

A list shuffled once would take memory and time for every number of a million; this takes neither.
"""

import hashlib
import math
import struct
from typing import Final

_GOLDEN: Final = 0x9E37_79B1  # 2**32 over the golden ratio, a prime: spreads neighbours apart


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
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        self._keys: tuple[int, int, int, int] = struct.unpack("<4I", digest)

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
        # Written out, not as a loop: every row of every page comes through here.
        width, height = self._width, self._height
        a, b, c, d = self._keys
        row, column = divmod(number, width)
        row = (row + ((column ^ a) * _GOLDEN >> 12)) % height
        column = (column + ((row ^ b) * _GOLDEN >> 12)) % width
        row = (row + ((column ^ c) * _GOLDEN >> 12)) % height
        column = (column + ((row ^ d) * _GOLDEN >> 12)) % width
        return row * width + column

    def _back(self, place: int) -> int:
        width, height = self._width, self._height
        a, b, c, d = self._keys
        row, column = divmod(place, width)
        column = (column - ((row ^ d) * _GOLDEN >> 12)) % width
        row = (row - ((column ^ c) * _GOLDEN >> 12)) % height
        column = (column - ((row ^ b) * _GOLDEN >> 12)) % width
        row = (row - ((column ^ a) * _GOLDEN >> 12)) % height
        return row * width + column
