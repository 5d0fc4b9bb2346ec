"""A run driven by hand: facts in, decisions out, the clock in the test's pocket."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.driver import Driver


@pytest.fixture
def drive() -> Callable[..., Driver]:
    return Driver
