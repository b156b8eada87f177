"""Where a client is in its life, and the words for being in the wrong place."""

from enum import Enum
from typing import Final

CLOSED: Final = "the client is closed: make a new one"
OPEN_ALREADY: Final = "the client is open already: enter it once, before its first call"
TOO_LATE: Final = "not sent: the deadline had passed"
OTHER_LOOP: Final = "the client belongs to another event loop: make one client for each loop"
OTHER_PROCESS: Final = "the client belongs to the process it was forked from: make a new one"


class ClientState(Enum):
    """Where a client is in its life; it only ever moves forward."""

    UNOPENED = "unopened"
    OPENED = "opened"
    CLOSED = "closed"
