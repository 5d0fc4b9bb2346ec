"""The fuzzer by hand, on all cores: `python -m tests.fuzz --seconds 600 --seed 7`, or `--inputs 1000000`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from tests.fuzz.campaign import run_campaign
from tests.fuzz.run import run


def main() -> int:
    options = _options()
    if options.only is not None:
        (failure,) = run(options.seed, [options.only])
        print(failure or "It holds.")
        return failure is not None
    print(f"seed {options.seed}", flush=True)
    began = time.time()
    inputs, deadline = (
        (sys.maxsize, began + options.seconds) if options.inputs is None else (options.inputs, float("inf"))
    )
    done, found = run_campaign(options.seed, inputs, deadline, options.jobs)
    seconds = time.time() - began
    print(f"{done:,} inputs in {seconds:.0f} s ({done / seconds:,.0f} a second), {found.total()} failures")
    for what, times in found.most_common():
        print(f"{times:6} {what}")
    return bool(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long; default: 60")
    parser.add_argument("--inputs", type=int, help="how many, however long that takes")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="default: another one each time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: one for each core")
    parser.add_argument("--only", type=int, metavar="INDEX", help="one input, as a failure names it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
