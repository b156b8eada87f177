"""One inventory out of several passes: every row as it was last seen; no I/O."""

from operator import itemgetter

import attrs

from nrm_async.listing.reading import Seen
from nrm_async.listing.seams import Seams
from nrm_async.models import Ani


@attrs.frozen(eq=False, repr=False)
class Merged:
    """Rows of all passes.

    Attributes:
        rows: Rows that may be there still, by ``id``.
        gone: Rows that are not where they were any more, and were not seen anywhere else.
    """

    rows: dict[str, Seen]
    gone: dict[str, Seen]

    def keep(self, key: str, row: Ani) -> None:
        """Take a row back that is there after all, with what is said of it now."""
        position, _ = self.gone.pop(key)
        self.rows[key] = position, row

    def in_order(self) -> tuple[Ani, ...]:
        """The rows in page order, as far as there is one while rows move."""
        return tuple([row for _, row in sorted(self.rows.values(), key=itemgetter(0))])


def merge(seams: Seams) -> Merged:
    """Put the passes, and the single looks after them, together.

    A row that only an earlier pass saw may have been lost by the later ones, so it stays, unless
    a later run holds what was on either side of it and not the row itself.
    """
    merged = Merged({}, {})
    for reading in reversed(seams.readings):
        for key, seen in reading.looked.items():
            merged.rows.setdefault(key, seen)
        for key, row in reading.rows.items():
            if key in merged.rows or key in merged.gone:
                continue
            group = merged.gone if seams.is_gone(reading, key) else merged.rows
            group[key] = reading.position_of(reading.places[key]), row
    return merged
