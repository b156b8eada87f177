"""The order in which a listing shows the rows, while numbers join and leave.

A reader that goes from page to page by offsets loses a row for each that leaves before it, and
sees one twice for each that joins in front: that is what drift means.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from itertools import chain, islice


class Order:
    """Positions from 0 to indices and back: those who joined, newest first, then the first ones.

    Only what has changed takes memory. Any position costs the logarithm of how many have left.
    """

    def __init__(self, count: int) -> None:
        self._first = count
        self._left: list[int] = []  # of the first ones, ascending
        self._ever_left: set[int] = set()
        self._joined: list[int] = []  # oldest first, without those who have left again
        self.next_index = count

    def __len__(self) -> int:
        return self._first - len(self._left) + len(self._joined)

    def __contains__(self, index: int) -> bool:
        return 0 <= index < self.next_index and index not in self._ever_left

    def join(self, index: int) -> None:
        """A row that was never there comes to stand in front."""
        self._joined.append(index)
        self.next_index = index + 1

    def leave(self, index: int) -> None:
        """A row goes, for good."""
        self._ever_left.add(index)
        if index < self._first:
            insort(self._left, index)
        else:
            self._joined.remove(index)

    def joined(self) -> list[int]:
        """Who joined and is still there, newest first."""
        return self._joined[::-1]

    def indices(self, start: int, stop: int) -> list[int]:
        """The indices at these positions, fewer at the end."""
        joined = self._joined[::-1]
        found = joined[start:stop]
        start, stop = max(start - len(joined), 0), max(stop - len(joined), 0)
        return found + list(self._of_the_first(start, stop - start))

    def _of_the_first(self, position: int, most: int) -> Iterator[int]:
        if not self._left:
            return iter(range(position, min(position + most, self._first)))
        # How many of those who left stood before this position: left[k] - k counts who stayed
        # before it, and ascends with k.
        before = bisect_right(range(len(self._left)), position, key=lambda k: self._left[k] - k)
        gaps = chain(self._left[before:], [self._first])
        return islice(_between(position + before, gaps), most)


def _between(start: int, gaps: Iterator[int]) -> Iterator[int]:
    for gap in gaps:
        yield from range(start, gap)
        start = gap + 1
