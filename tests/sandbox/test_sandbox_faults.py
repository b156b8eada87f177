"""Tests of faults: values, text and JSON forms, and deterministic selection."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async.sandbox.faults import (
    KINDS,
    ConcurrencyCap,
    Drift,
    Engine,
    Fault,
    Latency,
    RateCap,
    Reset,
    ServerFailure,
    ServerLoad,
    TooManyRequests,
    fault_to_dict,
    parse_fault,
)
from nrm_async.sandbox.values import Endpoint

QUIET = ServerLoad(0.0, 1, 1)
ENDPOINT = st.sampled_from(["anis", "pause", "activate", "remediate"])


def hits(engine: Engine, endpoint: Endpoint, requests: int) -> list[int]:
    """Plan requests, and return the numbers, from 1, of those that fail."""
    plans = [engine.plan(endpoint, QUIET) for _ in range(requests)]
    return [number for number, plan in enumerate(plans, start=1) if plan.fault is not None]


@given(st.integers(0, 2**32), st.lists(ENDPOINT, max_size=60))
def test_plan_is_deterministic(seed: int, endpoints: list[Endpoint]) -> None:
    """Two engines with the same seed make the same plans, including delays."""
    faults = [
        TooManyRequests(share=0.3, endpoint="pause"),
        Latency(median=0.1, sigma=1.0, share=0.5),
        Reset(share=0.2, applied=True, count=5),
        Drift(share=0.5),
    ]
    one, two = Engine(seed, faults), Engine(seed, faults)
    assert [one.plan(name, QUIET) for name in endpoints] == [
        two.plan(name, QUIET) for name in endpoints
    ]


@given(st.integers(0, 2**32), st.permutations(["pause"] * 20 + ["anis"] * 20))
def test_endpoints_are_independent(seed: int, mixed: list[Endpoint]) -> None:
    """Requests to one endpoint do not affect decisions at another."""
    faults = [ServerFailure(share=0.4)]
    engine, alone = Engine(seed, faults), Engine(seed, faults)
    seen = [engine.plan(name, QUIET).fault for name in mixed]
    pauses = [ending for name, ending in zip(mixed, seen, strict=True) if name == "pause"]
    assert pauses == [alone.plan("pause", QUIET).fault for _ in range(20)]


def test_another_seed_gives_other_decisions() -> None:
    """Different seeds select different requests."""
    faults = [Reset(share=0.5)]
    assert hits(Engine(1, faults), "pause", 50) != hits(Engine(2, faults), "pause", 50)


def test_share_of_requests() -> None:
    """A share of 0.1 selects about a tenth of 5,000 requests."""
    assert 400 < len(hits(Engine(1, [Reset(share=0.1)]), "pause", 5_000)) < 600


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("1", [1]), ("2,4-5,8-", [2, 4, 5, 8, 9]), ([3, 1], [1, 3]), (7, [7]), (" 1 , 2", [1, 2])],
)
def test_schedule_counts_per_endpoint(schedule: Any, expected: list[int]) -> None:
    """A schedule, in any notation, selects requests by their number at each endpoint."""
    engine = Engine(1, [Reset(schedule=schedule)])
    assert hits(engine, "pause", 9) == expected
    assert hits(engine, "anis", 9) == expected


def test_count_limits_hits() -> None:
    """A count limits the hits across all endpoints."""
    engine = Engine(1, [Reset(count=3)])
    assert hits(engine, "pause", 2) == [1, 2]
    assert hits(engine, "anis", 5) == [1]


def test_fault_of_one_endpoint() -> None:
    """Requests to other endpoints are unaffected, and do not count toward the schedule."""
    engine = Engine(1, [Reset(endpoint="pause", schedule=2)])
    assert hits(engine, "anis", 3) == []
    assert hits(engine, "pause", 3) == [2]


def test_oldest_fault_ends_and_delays_add_up() -> None:
    """Only the oldest fault ends a request, other faults keep their count, and delays add up."""
    first, second = Reset(schedule=1), ServerFailure(count=1)
    engine = Engine(1, [Latency(seconds=0.25), first, second, Latency(seconds=0.5)])
    plans = [engine.plan("pause", QUIET) for _ in range(3)]
    assert [plan.fault for plan in plans] == [first, second, None]
    assert [plan.delay for plan in plans] == [0.75] * 3
    assert [plan.name for plan in plans] == ["reset", "5xx", "latency"]


def test_remove_and_clear_faults() -> None:
    """Faults are removed individually or together, and a new fault counts requests from 1."""
    engine = Engine(1)
    number = engine.inject(Reset(schedule="1"))
    engine.inject(ServerFailure(schedule="2"))
    assert engine.remove(number)
    assert not engine.remove(number)
    assert hits(engine, "pause", 3) == [2]
    assert [one.hits for one in engine.injected] == [1]
    engine.clear()
    assert hits(engine, "pause", 3) == []
    engine.inject(ServerFailure(schedule="2"))
    assert hits(engine, "pause", 3) == [2]


def test_rate_cap_is_a_token_bucket() -> None:
    """The burst is allowed immediately, followed by one request per tenth of a second."""
    engine = Engine(1, [RateCap(rate=10, burst=2)])
    times = [0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 5.0, 5.0, 5.0]
    ended = [engine.plan("pause", ServerLoad(time, 1, 1)).fault is not None for time in times]
    assert ended == [False, False, True, True, False, True, False, False, True]


def test_concurrency_cap_counts_requests_in_flight() -> None:
    """A cap counts the requests in flight at its endpoint, or at all endpoints."""
    engine = Engine(1, [ConcurrencyCap(limit=2, endpoint="pause")])
    assert engine.plan("pause", ServerLoad(0, 9, 2)).fault is None
    assert engine.plan("pause", ServerLoad(0, 9, 3)).fault is not None
    engine = Engine(1, [ConcurrencyCap(limit=8)])
    assert engine.plan("pause", ServerLoad(0, 9, 1)).fault is not None


def test_lognormal_latency() -> None:
    """A sample of 2,000 delays has the given median and a lognormal tail."""
    engine = Engine(1, [Latency(median=0.1, sigma=0.5)])
    delays = sorted(engine.plan("anis", QUIET).delay for _ in range(2_000))
    assert delays[1_000] == pytest.approx(0.1, rel=0.1)
    assert delays[1_950] / delays[1_000] == pytest.approx(2.66, rel=0.15)


SPECS: list[tuple[str, Mapping[str, Any], Fault]] = [
    (
        "429:share=0.1,retry_after=2",
        {"fault": "429", "share": 0.1, "retry_after": 2},
        TooManyRequests(share=0.1, retry_after=2),
    ),
    (
        "reset:applied=yes,schedule=1,3,5-8,count=2,endpoint=pause",
        {"fault": "reset", "applied": True, "schedule": "1,3,5-8", "count": 2, "endpoint": "pause"},
        Reset(applied=True, schedule="1,3,5-8", count=2, endpoint="pause"),
    ),
    ("429:retry-after=date:5", {"fault": "429", "retry_after": "date:5"},
     TooManyRequests(retry_after="date:5")),
    ("429:retry_after=-1", {"fault": "429", "retry_after": -1}, TooManyRequests(retry_after=-1)),
    ("latency:median=0.2,sigma=1", {"fault": "latency", "median": 0.2, "sigma": 1},
     Latency(median=0.2, sigma=1)),
    ("5xx", {"fault": "5xx"}, ServerFailure()),
    ("rate-cap:rate=20", {"fault": "rate-cap", "rate": 20}, RateCap(rate=20)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "object_", "fault"), SPECS, ids=[spec[0] for spec in SPECS])
def test_fault_as_text_and_object(text: str, object_: Mapping[str, Any], fault: Fault) -> None:
    """The string and the object give the same fault, which converts back to the object."""
    assert parse_fault(text) == parse_fault(object_) == parse_fault(fault) == fault
    assert fault_to_dict(fault) == object_


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("teapot", "unknown fault 'teapot': known are latency, rate-cap, concurrency-cap, 429, "),
        ("", "unknown fault ''"),
        ({}, "unknown fault None"),
        (5, "a fault must be a string, an object or a Fault, not 5"),
        ("reset:when=now", "unknown option 'when' of fault reset: known are endpoint, share"),
        ("reset:now", "a fault must be written NAME:OPTION=VALUE"),
        ("rate-cap", "fault rate-cap needs rate"),
        ("rate-cap:rate=0", "rate must be above 0"),
        ("concurrency-cap:limit=0", "limit must be a whole number of at least 1"),
        ("latency", "latency requires either seconds or median"),
        ("latency:seconds=1,median=1", "latency requires either seconds or median"),
        ("latency:seconds=nan", "seconds must be a finite number of seconds"),
        ("reset:share=1.5", "share must be from 0 to 1"),
        ("reset:share=0.1,schedule=1", "share and schedule are mutually exclusive"),
        ("reset:schedule=0", "schedule must be like '1,3,10-20,50-'"),
        ("reset:schedule=5-2", "schedule must be like"),
        ("reset:schedule=", "schedule must be like"),
        ({"fault": "reset", "schedule": []}, "schedule must contain at least one request number"),
        ("reset:count=0", "count must be a whole number of at least 1"),
        ("reset:endpoint=delete", "endpoint must be one of anis, pause, activate, remediate"),
        ("reset:applied=maybe", "applied must be true or false"),
        ("5xx:status=404", "status must be a whole number from 500 to 599"),
        ("429:retry_after=later", "retry_after must be seconds or one of date, huge, negative"),
        ("truncate:keep=2", "keep must be from 0 to 1"),
        ({"fault": "truncate", "keep": None}, "keep must be a finite number"),
        ("latency:median=1,sigma=1000", "sigma must be from 0 to 10"),
        ({"fault": "latency", "median": 1, "sigma": None}, "sigma must be a finite number"),
        ("drift:rows=1000000", "rows must be a whole number from 1 to 10000"),
        ({"fault": "reset", "schedule": 1.5}, "fault reset: "),
        ("drift:change=all", "change must be churn, join or leave"),
        ("drift:endpoint=pause", "drift is only available for the endpoint anis"),
    ],
)
def test_invalid_fault(spec: Any, message: str) -> None:
    """Invalid faults raise a one-line ValueError that names the fault or the option."""
    with pytest.raises(ValueError, match=r".") as error:
        parse_fault(spec)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_every_kind_has_a_name_and_a_description() -> None:
    """Every kind has a unique name, and a docstring for --explain."""
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.name and kind.__doc__ for kind in KINDS)
