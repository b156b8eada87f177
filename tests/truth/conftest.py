"""A model of the API behind a fake transport, with books to hold every label against.

The model is the API's state machine: a pause is taken only of an active number, an activation
only of a resting one, a remediation once. In front of it stands a fault for each request, and
behind it the books: what was handed over, what was applied, and by which action. Actions are
told apart by their ``note``.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, TypeVar

import attrs
import looptime
import pytest

from nrm_async import (
    Action,
    Activate,
    CallResult,
    ConfirmPolicy,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    Pause,
    Remediate,
    RetryPolicy,
    TransportError,
)
from nrm_async._flight import Flight
from nrm_async._wire import Request, Response
from nrm_async.models import ACTIVE

T = TypeVar("T")

KEY = "a-key-of-the-truth-tests-0123456789"
PAST = "2025-01-26"
AT_ONCE = ConfirmPolicy(settle=0, reads=2)
SOON_AGAIN = RetryPolicy(base=0)


class Fate(Enum):
    """What befalls one request; *before* and *after* tell whether the API has heard it."""

    NORMAL = "normal"
    NOT_SENT = "not sent"
    LOST_BEFORE = "lost before"
    LOST_AFTER = "lost after"
    LATE = "lost, and heard late"
    FAILED_BEFORE = "5xx before"
    FAILED_AFTER = "5xx after"
    THROTTLED = "429"
    TIMED_OUT_BEFORE = "408 before"
    TIMED_OUT_AFTER = "408 after"
    MIXED_UP_BEFORE = "wrong number before"
    MIXED_UP_AFTER = "wrong number after"
    GARBLED = "garbage after"


_HEARD = frozenset(
    {
        Fate.NORMAL,
        Fate.LOST_AFTER,
        Fate.FAILED_AFTER,
        Fate.TIMED_OUT_AFTER,
        Fate.MIXED_UP_AFTER,
        Fate.GARBLED,
    }
)
_WORDS = {"/pause": "paused", "/activate": "active", "/remediate": "received request"}


def always_well(request: Request) -> Fate:
    return Fate.NORMAL


@attrs.define
class World:
    """The API, what stands in front of it, and its books.

    Attributes:
        active: Whether each number of the inventory is in service.
        fate: Decides what befalls a request.
        patience: After how many further requests on its number a late one is heard.
        pause: Awaited at each stage of a request.
        handed: How often each action was handed over and not provably turned away.
        applied: How often each action was applied.
        was_so: Actions whose number was as they asked when they first came.
        arrivals: The actions that came for each number, in order.
        sent: How often it was tried to send each action.
        overlaps: Numbers on which two requests were under way at once.
        requests: Everything that was handed over.
    """

    active: dict[str, bool]
    fate: Callable[[Request], Fate] = always_well
    patience: Callable[[], int] = lambda: 1
    pause: Callable[[], Coroutine[Any, Any, None]] = lambda: asyncio.sleep(0)
    handed: Counter[str] = attrs.field(factory=Counter)
    applied: Counter[str] = attrs.field(factory=Counter)
    was_so: set[str] = attrs.field(factory=set)
    arrivals: dict[str, list[str]] = attrs.field(factory=dict)
    sent: Counter[str] = attrs.field(factory=Counter)
    overlaps: list[str] = attrs.field(factory=list)
    requests: list[Request] = attrs.field(factory=list)
    _remediated: set[str] = attrs.field(factory=set)
    _under_way: Counter[str] = attrs.field(factory=Counter)
    _late: dict[str, list[tuple[int, str, str]]] = attrs.field(factory=dict)

    async def exchange(self, request: Request, flight: Flight) -> Response | NRMError:
        """One request, from connecting to its answer."""
        said = json.loads(request.body or b"{}")
        ani, note = str(said.get("ani", "")), str(said.get("note", ""))
        if ani and self._under_way[ani]:
            self.overlaps.append(ani)
        self._under_way[ani] += 1
        self.sent[note] += 1
        try:
            await self.pause()  # connecting
            fate = self.fate(request)
            if fate is Fate.NOT_SENT:
                return NotSentError("the request was not sent: no connection")
            flight.is_exposed = True
            self._take(request, ani, note, fate)
            await self.pause()  # on its way
            answer = self._answer(request, ani, note, fate)
            await self.pause()  # on its way back
            return answer
        finally:
            self._under_way[ani] -= 1

    def settle(self) -> None:
        """Hear everything that is late."""
        for ani in list(self._late):
            self._hear_late(ani, all_of_it=True)

    def _take(self, request: Request, ani: str, note: str, fate: Fate) -> None:
        self.requests.append(request)
        if not ani:
            return
        arrivals = self.arrivals.setdefault(ani, [])
        if not arrivals or arrivals[-1] != note:
            # Who comes next must not be blamed for what was late before: nobody could tell.
            self._hear_late(ani, all_of_it=True)
            arrivals.append(note)
            wanted = {"/pause": False, "/activate": True}.get(request.path)
            if wanted is not None and self.active.get(ani) is wanted:
                self.was_so.add(note)
        if fate is not Fate.THROTTLED:
            self.handed[note] += 1

    def _answer(self, request: Request, ani: str, note: str, fate: Fate) -> Response | NRMError:
        subject = ani or (request.query or {}).get("number", "")
        self._hear_late(subject, all_of_it=False)
        if fate is Fate.LATE and ani:
            self._late.setdefault(ani, []).append((self.patience(), request.path, note))
        said: dict[str, object] = {"message": "try again"}
        if not ani:
            said = self._page(subject)
        elif fate in _HEARD:
            said = self._judge(request.path, ani, note)
        match fate:
            case Fate.LOST_BEFORE | Fate.LOST_AFTER | Fate.LATE:
                return TransportError("no usable answer: the connection was reset")
            case Fate.FAILED_BEFORE | Fate.FAILED_AFTER:
                return _response(502, said)
            case Fate.THROTTLED:
                return _response(429, said)
            case Fate.TIMED_OUT_BEFORE | Fate.TIMED_OUT_AFTER:
                return _response(408, said)
            case Fate.MIXED_UP_BEFORE | Fate.MIXED_UP_AFTER if ani:
                return _response(200, {"status": _WORDS[request.path], "ani": "9999999999"})
            case Fate.NORMAL:
                return _response(200, said)
        return Response(200, b"<html>hello</html>")

    def _judge(self, path: str, ani: str, note: str) -> dict[str, object]:
        if not self._takes(path, ani):
            if path == "/remediate":
                return {"status": "within cooldown", "ani": ani}
            return {"success": False, "message": "not in that state"}
        self.applied[note] += 1
        if path == "/remediate":
            self._remediated.add(ani)
        else:
            self.active[ani] = path == "/activate"
        return {"status": _WORDS[path], "ani": ani}

    def _takes(self, path: str, ani: str) -> bool:
        if path == "/remediate":
            return ani in self.active and ani not in self._remediated
        return self.active.get(ani) is (path == "/pause")

    def _hear_late(self, ani: str, *, all_of_it: bool) -> None:
        waiting = self._late.pop(ani, [])
        for patience, path, note in waiting:
            if all_of_it or patience <= 1:
                self._judge(path, ani, note)
            else:
                self._late.setdefault(ani, []).append((patience - 1, path, note))

    def _page(self, prefix: str) -> dict[str, object]:
        # Only whole numbers are asked for here, and none is the beginning of another.
        rows = [
            {"id": int(ani), "phone": ani, "status": ACTIVE if self.active[ani] else "COOLING_OFF"}
            for ani in [prefix]
            if ani in self.active
        ]
        count = len(rows)
        return {
            "count": count,
            "total_anis": count,
            "total_pages": 1,
            "can_next_page": False,
            "data": rows,
        }


def _response(status: int, said: object) -> Response:
    return Response(status, json.dumps(said).encode())


class Verbatim:
    """Takes no secrets out: the model has none."""

    def text(self, text: str) -> str:
        return text


class FakeTransport:
    """Stands where the real one would, in front of a world instead of a network."""

    most_connections: int | None = None

    def __init__(self, world: World) -> None:
        self._world = world
        self.scrub = Verbatim()

    async def send(self, request: Request, flight: Flight) -> Response | NRMError:
        flight.attempts += 1
        flight.is_exposed = False
        answer = await self._world.exchange(request, flight)
        if isinstance(answer, NotSentError):
            flight.is_exposed = False
        return answer

    async def aclose(self) -> None: ...

    def drop(self) -> None: ...


@asynccontextmanager
async def open_client(world: World, **settings: Any) -> AsyncIterator[NRMClient]:
    """A client of the world, which looks for the truth at once."""
    chosen: dict[str, Any] = {
        "confirm": AT_ONCE,
        "retry": SOON_AGAIN,
        "max_concurrency": 8,
    } | settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nrm_async._session.Transport", lambda settings, lent: FakeTransport(world))
        async with NRMClient(KEY, **chosen) as nrm:
            yield nrm


def on_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run it on an event loop of its own, where waiting takes no time, and has an end."""

    async def bounded() -> T:
        async with asyncio.timeout(1e6):
            return await work

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(bounded())


def audit(world: World, results: Iterable[CallResult]) -> list[str]:
    """Everything that is wrong with these labels, held against the books.

    A number that was already as asked, and of which the client had never heard, is the one case
    in which ``CONFIRMED`` may stand for an action that was not the one that was applied: the
    state asked for is there, and that is all that this label says.
    """
    world.settle()
    by_note = {result.action.note or "": result for result in results if result.action}
    unheard_of = _unheard_of(world, by_note)
    wrong = [f"two requests at once on {ani}" for ani in world.overlaps]
    for ani, notes in world.arrivals.items():
        if len(set(notes)) != len(notes):
            wrong.append(f"actions on {ani} were interleaved: {notes}")
    for note, result in by_note.items():
        problem = _problem(world, note, result, is_unheard_of=note in unheard_of)
        if problem:
            wrong.append(f"{problem}: {result}")
    return wrong


def _problem(world: World, note: str, result: CallResult, *, is_unheard_of: bool) -> str | None:
    applied, handed = world.applied[note], world.handed[note]
    is_remediation = isinstance(result.action, Remediate)
    if result.attempts != world.sent[note]:
        return f"sent {world.sent[note]} times"
    if applied > 1:
        return "applied twice"
    if is_remediation and handed > 1:
        return "a remediation that may have been sent was sent again"
    match result.outcome:
        case Outcome.REJECTED | Outcome.NOT_APPLIED if applied:
            return "applied, but not called so"
        case Outcome.NOT_APPLIED if handed:
            return "may have been applied when it was called not applied"
        case Outcome.APPLIED if not applied:
            return "called applied, but was not"
        case Outcome.CONFIRMED if is_remediation:
            return "a remediation cannot be confirmed"
        case Outcome.CONFIRMED if not applied and not (is_unheard_of and note in world.was_so):
            return "called confirmed, but was not"
    return None


def _unheard_of(world: World, by_note: dict[str, CallResult]) -> set[str]:
    """The actions before which a client had no way to know anything of their number."""
    unheard_of = set[str]()
    for notes in world.arrivals.values():
        for note in notes:
            unheard_of.add(note)
            result = by_note.get(note)
            if result is None or isinstance(result.action, Remediate):
                continue
            if result.ok or result.outcome is Outcome.UNKNOWN:
                break
    return unheard_of


def numbers(count: int) -> list[str]:
    return [str(2_000_000_000 + number) for number in range(count)]


def make_action(kind: str, ani: str, note: object) -> Action:
    """An action of this kind, told apart from all others by its note."""
    if kind == "pause":
        return Pause(ani, note=str(note))
    if kind == "activate":
        return Activate(ani, date=PAST, note=str(note))
    return Remediate(ani, note=str(note))
