"""Ids and TRNs: how runs and templates are named outside the storage."""

from __future__ import annotations

import os
import re
import threading
import time
import unicodedata

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME_CHARS = 8
_RANDOM_CHARS = 8
_RANDOM_SPACE = 36**_RANDOM_CHARS

RUN_PREFIX = "exec_"
DEFAULT_TENANT = "default"

_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

_RUN_TRNS = tuple(
    f"trn:stepflow:{tenant}:{what}/" for tenant in (DEFAULT_TENANT, "...") for what in ("execution", "exec")
)

_lock = threading.Lock()
_last_ms = 0
_last_random = 0


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def generate_id() -> str:
    """16 characters: 8 of base36 milliseconds, 8 random. Ordered in time, also within a millisecond and when the
    clock steps back, for one process."""
    global _last_ms, _last_random
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_ms:
            _last_ms = now
            # The top bit is left free, so that counting up within a millisecond never overflows.
            _last_random = int.from_bytes(os.urandom(6), "big") % (_RANDOM_SPACE // 2)
        else:
            _last_random += 1 + os.urandom(1)[0]
        return _base36(_last_ms, _TIME_CHARS) + _base36(_last_random, _RANDOM_CHARS)


def new_run_id() -> str:
    return RUN_PREFIX + generate_id()


def first_run_id(at: int) -> str:
    """No run made at or after the instant `at` has a smaller id."""
    return RUN_PREFIX + _base36(at, _TIME_CHARS)


def run_trn(run_id: str, template: str, tenant: str = DEFAULT_TENANT) -> str:
    return f"trn:stepflow:{tenant}:execution/{template}/{run_id.removeprefix(RUN_PREFIX)}"


def short_run_trn(run_id: str) -> str:
    """As tables print it: `trn:stepflow:...:exec/abc123`."""
    return f"trn:stepflow:...:exec/{run_id.removeprefix(RUN_PREFIX)}"


def template_trn(name: str, tenant: str = DEFAULT_TENANT) -> str:
    return f"trn:stepflow:{tenant}:template/{name}"


def template_name(ref: str) -> str:
    """What a user typed for a template, its name or its TRN, as its name."""
    return ref.removeprefix(template_trn(""))


def is_template_name(text: str) -> bool:
    return _TEMPLATE_NAME.fullmatch(text) is not None


def template_name_of(title: str) -> str:
    """`Größe of Orders` is `grosse-of-orders`; empty: nothing of it can stand in a name."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", title.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")


def run_id_prefix(ref: str) -> str:
    """What a user typed for an execution (id, id without prefix, TRN, abbreviated TRN, prefix) as the beginning of a
    run id: `exec_` and the characters that are known."""
    ref = ref.strip()
    if ref.startswith(_RUN_TRNS):
        ref = ref.rsplit("/", 1)[-1]
    return RUN_PREFIX + ref.removeprefix(RUN_PREFIX)
