"""Listings without one order: simulated, and never complete and wrong."""

import pytest

from benchmarks.unsteady_listing import KINDS, STEADY, Kind, run

CHURN = (0.0, 0.02, 0.1, 0.3, 1.0)  # rows that come or go, per answer
SHORT_RUNS = 5
SOAK_RUNS = 210  # of each kind


def check(kind: Kind, runs: int) -> None:
    """Read listings of one kind, still ones and ones that change."""
    trials = [run(kind, seed, churn=CHURN[seed % len(CHURN)]) for seed in range(runs)]
    assert [trial.seed for trial in trials if trial.is_wrong] == []
    assert all((trial.why is None) is trial.is_complete for trial in trials)
    assert max(trial.passes for trial in trials) <= 4
    if kind in STEADY:
        assert sum(trial.is_complete for trial in trials) >= 0.98 * runs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.fault(51)
def test_complete_is_true_in_any_order(kind: Kind) -> None:
    """What calls itself complete has every row that stood, even if it moved."""
    check(kind, SHORT_RUNS)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_complete_is_true_in_any_order_in_many_runs(kind: Kind) -> None:
    """The same over 2,520 inventories; with one order of a unique key, 98 % are complete."""
    check(kind, SOAK_RUNS)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_total_proves_no_other_rows(kind: Kind) -> None:
    """A total that counts rows which are not listed makes nothing complete and wrong."""
    trials = [run(kind, seed, churn=0.0, surplus=400) for seed in range(SHORT_RUNS)]
    assert [trial.seed for trial in trials if trial.is_wrong] == []
    if kind in STEADY:
        assert all(trial.is_complete for trial in trials)


def test_rows_of_an_earlier_pass_are_kept() -> None:
    """Two passes agree without a row that an earlier one and a look-up saw: it is not dropped."""
    trial = run("few moves", 160, churn=0.0)
    assert trial.is_complete
    assert not trial.is_wrong
