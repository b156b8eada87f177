"""Run a TypeScript SDK as a rival, with Node.

``--typescript PATH`` (or ``NRM_TYPESCRIPT_SDK``) is the path of an ES module, built from a checkout
of the SDK, with two async functions::

    pauses(url, key, phones, concurrency)   pause all; resolve to the number of applied pauses
    pages(url, key, count, concurrency)     read ``count`` pages of 1,000; resolve to the row count

Each function is called twice, and only the second call is measured. The first call is a warm-up.
"""

import asyncio
import json
import shutil
from typing import Final

from benchmarks.measurement import Timing
from benchmarks.pages import ROWS, phone_numbers

_DRIVER: Final = """
const [module, what, url, key, input, expected, concurrency] = JSON.parse(process.argv[1]);
const run = (await import(module))[what];
await run(url, key, input, concurrency);
const before = process.cpuUsage(), started = process.hrtime.bigint();
const done = await run(url, key, input, concurrency);
const wall = Number(process.hrtime.bigint() - started) / 1e9, spent = process.cpuUsage(before);
if (done !== expected) throw new Error(`${done} done, not ${expected}`);
console.log(JSON.stringify([(spent.user + spent.system) / 1e6, wall]));
process.exit(0);
"""


async def typescript(
    module: str, what: str, url: str, key: str, count: int, concurrency: int
) -> Timing:
    """Measure ``count`` pauses or pages.

    Raises:
        RuntimeError: Node is not installed, or the module fails or does not complete the work.
    """
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("a TypeScript SDK requires node on the PATH")
    work = list(phone_numbers(count)) if what == "pauses" else count
    units = count if what == "pauses" else count * ROWS
    arguments = [module, what, url, key, work, units, concurrency]
    process = await asyncio.create_subprocess_exec(
        node,
        "--input-type=module",
        "-e",
        _DRIVER,
        json.dumps(arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the TypeScript SDK's module failed; its error is above")
    cpu, wall = json.loads(out)
    return Timing(cpu, wall, units)
