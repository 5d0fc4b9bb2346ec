"""A process whose threads meet a type together, each for the first time."""

from __future__ import annotations

import subprocess
import sys

import pytest

FLOW = """
from stepflow.model.flow import Flow
text = '{"name": "x", "steps": [{"key": "a", "component": "/builtin/noop"}]}'
read = lambda: Flow.from_json(text)
"""
PARAMETERS = """
import __main__, msgspec
from stepflow.components._parameters import read_parameters
source = "from __future__ import annotations\\nimport msgspec\\n"
for number in range(40):
    source += f"class T{number}(msgspec.Struct):\\n    a: {f'T{number - 1} | None' if number else 'int'} = None\\n"
exec(source + "def do(given: T39): ...", __main__.__dict__)
parameters = read_parameters(__main__.do, "/x/do")
read = lambda: parameters.arguments({"a": {"a": None}}, None)
"""
TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-6)
gate = threading.Barrier(4)
def go():
    gate.wait()
    read()
threads = [threading.Thread(target=go) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.full
@pytest.mark.parametrize("makes", [FLOW, PARAMETERS], ids=["flow", "parameters"])
def test_threads_may_be_the_first_to_read_a_type_together(makes: str) -> None:
    """One try in five crashed where each thread had to find out what the type is."""
    for _ in range(30):
        done = subprocess.run([sys.executable, "-c", makes + TOGETHER], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
