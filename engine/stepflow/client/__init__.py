"""The client: all that the command line, the screens and programs may do with a storage.

It reads, writes templates and requests, and never performs a step; workers do. `Client` is put together from one file a
subject.
"""

from __future__ import annotations

from stepflow.client.checks import Checks
from stepflow.client.health import Health
from stepflow.client.redrives import Redrives
from stepflow.client.requests import Requests
from stepflow.client.runs import Page, Runs
from stepflow.client.search import LogPage, Search
from stepflow.client.stats import Statistics
from stepflow.client.templates import SavedTemplate
from stepflow.client.upkeep import Upkeep
from stepflow.client.workers import WorkerProcess, Workers
from stepflow.client.workspace import Workspace

__all__ = ["Client", "LogPage", "Page", "SavedTemplate", "WorkerProcess"]


class Client(Runs, Requests, Redrives, Checks, Workers, Health, Statistics, Search, Workspace, Upkeep):
    """`async with Client() as client:`. `url` None: STEPFLOW_DB, else the nearest workspace's database, else the
    user's own. `run` is anything a person may type for an execution; `RunNotFoundError` where it names none."""
