"""Half a million rows stream to a file in little memory, as measured by the benchmark."""

from pathlib import Path

import pytest

from benchmarks.files import measure

MOST = 150.0  # MB that resident memory may grow by, the libraries of the format included


@pytest.mark.soak
@pytest.mark.parametrize("task", ["write", "write stream"])
def test_half_a_million_rows_stream_to_parquet(tmp_path: Path, task: str) -> None:
    """Memory grows by less than 150 MB; the short form counts the rows that are alive."""
    assert measure(task, tmp_path / "numbers.parquet", 500_000)["rss_growth_mb"] < MOST
