"""start: import time of this package compared with ``import aiohttp``, in new interpreters.

Importing and creating a client is measured too, so that lazy imports cannot hide any cost. The
page decoder is not measured; it is built with the first page, in 1 ms.

The bytecode is compiled in advance into a temporary folder, as it would be after an installation
with pip. Otherwise, a source tree would be compiled each time if writing bytecode is disabled.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from benchmarks.measurement import Aim, Figure
from benchmarks.options import Options

_CODE: Final = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
_RIVAL: Final = "import aiohttp"
_OURS: Final = {
    "import nrm_async": "import nrm_async",
    "from nrm_async import NRMClient": "from nrm_async import NRMClient",
    "the same, and create a client": "from nrm_async import NRMClient; NRMClient('key')",
}


def seconds(statement: str, bytecode: str) -> float:
    """Return the CPU seconds of a statement in a new interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": bytecode},
    )
    return float(run.stdout)


def measure(options: Options) -> Iterator[Figure]:
    """Yield one figure per statement, measured alternately with the rival."""
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as bytecode:
        seconds("import nrm_async", bytecode)  # write the bytecode, including that of aiohttp
        rounds = [
            {statement: seconds(statement, bytecode) for statement in (_RIVAL, *_OURS.values())}
            for _ in range(4 * options.rounds)
        ]
    for what, statement in _OURS.items():
        yield _figure(what, [(times[statement], times[_RIVAL]) for times in rounds])


def _figure(what: str, pairs: list[tuple[float, float]]) -> Figure:
    return Figure(
        what,
        _RIVAL,
        "ms CPU",
        1e3 * statistics.median(ours for ours, _ in pairs),
        1e3 * statistics.median(theirs for _, theirs in pairs),
        [ours / theirs for ours, theirs in pairs],
        aim=Aim("<=", 1.3),
    )
