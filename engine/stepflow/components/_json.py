"""JSON from outside, with the place of what is wrong with it."""

from __future__ import annotations

import json
from typing import NoReturn

from stepflow.model.flow import Json


def parse_json(text: str) -> Json:
    """`ValueError` says what is wrong and where; NaN and infinity are, because they are not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")
