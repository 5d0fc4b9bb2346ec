"""Ctrl-C, heard where it does no harm."""

from __future__ import annotations

import asyncio
import signal

import pytest

from stepflow.cli import session


def test_what_is_just_being_told_is_told_to_its_end() -> None:
    told: list[bool] = []

    async def wait() -> int:
        loop = asyncio.get_running_loop()
        outcome = loop.create_future()

        def tell() -> None:
            signal.raise_signal(signal.SIGINT)
            told.append(not outcome.cancelled())
            outcome.set_result(0)

        loop.call_soon(tell)
        await outcome
        await asyncio.sleep(60)
        return 0

    with pytest.raises(KeyboardInterrupt):
        session._run(wait())
    assert told == [True]


def test_a_second_one_does_not_wait_for_what_is_cleaned_up() -> None:
    async def hang() -> int:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
            await asyncio.sleep(60)
        return 0

    with pytest.raises(KeyboardInterrupt):
        session._run(hang())
