"""What the operators and functions of expressions do with JSON values. Each is linear in its operands.

Whatever has no meaning raises `ExpressionError`, with what was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.flow import Json

MAX_DIGITS = 4000
"""Of an integer that arithmetic makes."""
MAX_TEXT = 10_000_000
"""Characters of a text that a function makes: `str` and `join` inside each other would make it grow without end."""
_MAX_BITS = int(MAX_DIGITS * math.log2(10))


def is_true(value: Json) -> bool:
    """False are false, null, 0 and "": and only those."""
    return not (value is None or value is False or value == "" or (value == 0 and type(value) in (int, float)))


def equal(left: Json, right: Json) -> bool:
    """As JSON: true is not 1, 1 is 1.0, however deep."""
    kind = type(left)
    if kind is type(right) and kind is not list and kind is not dict:
        return bool(left == right)
    if kind is list and type(right) is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if kind is dict and type(right) is dict:
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    return _is_number(left) and _is_number(right) and left == right


def different(left: Json, right: Json) -> bool:
    return not equal(left, right)


def contains(items: Json, item: Json) -> bool:
    """In a list, as a part of a text, among the keys of an object."""
    if type(items) is list:
        return any(equal(item, other) for other in items)
    if type(items) is str:
        if type(item) is not str:
            raise ExpressionError(f"A text contains text, not {kind_of(item)}")
        return item in items
    if type(items) is dict:
        return type(item) is str and item in items
    raise ExpressionError(f"{_shown(items)} is {kind_of(items)}; only lists, texts and objects contain something")


def _ordered(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Json, Json], bool]:
    def evaluate(left: Json, right: Json) -> bool:
        kind, other = type(left), type(right)
        if (kind is int or kind is float) and (other is int or other is float):
            return compare(left, right)
        if kind is str and other is str:
            return compare(left, right)
        raise ExpressionError(f"{kind_of(left)} {sign} {kind_of(right)}: only numbers with numbers, text with text")

    return evaluate


COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "==": equal,
    "!=": different,
    "<": _ordered("<", lambda left, right: left < right),
    "<=": _ordered("<=", lambda left, right: left <= right),
    ">": _ordered(">", lambda left, right: left > right),
    ">=": _ordered(">=", lambda left, right: left >= right),
    "in": lambda left, right: contains(right, left),
    "not in": lambda left, right: not contains(right, left),
}


def _is_number(value: Json) -> bool:
    return type(value) is int or type(value) is float


def kind_of(value: Json) -> str:
    """For messages."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)


def _shown(value: Json) -> str:
    text = jsontext.encode(value)
    return text if len(text) <= 40 else text[:40] + "…"


def _checked(number: int | float) -> Json:
    if isinstance(number, int):
        if number.bit_length() > _MAX_BITS:
            raise ExpressionError(f"The result has more than {MAX_DIGITS:,} digits")
    elif not math.isfinite(number):
        raise ExpressionError("The result is too large a number")
    return number


def arithmetic(sign: str, left: Json, right: Json) -> Json:
    """Numbers only. Integers stay integers, and so does a quotient that is one."""
    if not _is_number(left) or not _is_number(right):
        wrong = left if not _is_number(left) else right
        hint = '; join texts inside one text: "${{ a }}${{ b }}"' if type(wrong) is str and sign == "+" else ""
        raise ExpressionError(f"'{sign}' takes numbers, not {kind_of(wrong)}{hint}")
    try:
        match sign:
            case "+":
                return _checked(left + right)
            case "-":
                return _checked(left - right)
            case "*":
                return _checked(left * right)
            case "/":
                if type(left) is int and type(right) is int and right and left % right == 0:
                    return left // right
                return _checked(left / right)
            case _:
                return _checked(left % right)
    except ZeroDivisionError:
        raise ExpressionError(f"{_shown(left)} {sign} 0 has no value") from None
    except OverflowError:
        raise ExpressionError("The result is too large a number") from None


def negative(value: Json) -> Json:
    if not _is_number(value):
        raise ExpressionError(f"'-' takes a number, not {kind_of(value)}")
    return -value


def as_text(value: Json) -> str:
    """As it stands inside a text: strings bare, everything else as JSON."""
    return value if type(value) is str else jsontext.encode(value)


def _check_length(characters: int) -> None:
    if characters > MAX_TEXT:
        raise ExpressionError(f"The result has more than {MAX_TEXT:,} characters")


# Functions. `now`, `exists` and `default` are made where the scope is known.


def _wrong(name: str, wanted: str, value: Json) -> NoReturn:
    raise ExpressionError(f"{name}() takes {wanted}, not {kind_of(value)}")


def _length(value: Json) -> int:
    if type(value) not in (list, str, dict):
        _wrong("len", "a list, a text or an object", value)
    return len(value)


def _lower(value: Json) -> str:
    return str(value.lower()) if type(value) is str else _wrong("lower", "a text", value)


def _upper(value: Json) -> str:
    return str(value.upper()) if type(value) is str else _wrong("upper", "a text", value)


def _str(value: Json) -> str:
    text = as_text(value)
    _check_length(len(text))
    return text


def _int(value: Json) -> int:
    if type(value) is str and len(value) > MAX_DIGITS:
        raise ExpressionError(f"int() takes at most {MAX_DIGITS:,} characters")
    if type(value) not in (int, float, str, bool):
        _wrong("int", "a number or a text", value)
    try:
        return int(value)
    except ValueError:
        raise ExpressionError(f"int() takes a whole number, not {_shown(value)}") from None


def _float(value: Json) -> float:
    if type(value) not in (int, float, str, bool):
        _wrong("float", "a number or a text", value)
    try:
        number = float(value)
    except OverflowError:
        raise ExpressionError(f"{_shown(value)} is too large a number for float()") from None
    except ValueError:
        number = math.nan
    if type(value) is str and not math.isfinite(number):
        raise ExpressionError(f"float() takes a number, not {_shown(value)}")
    return number


def _extreme(name: str, better: Callable[[Json, Json], bool]) -> Callable[..., Json]:
    def evaluate(*values: Json) -> Json:
        items = values[0] if len(values) == 1 and type(values[0]) is list else list(values)
        if not items:
            raise ExpressionError(f"{name}() of an empty list has no value")
        best = items[0]
        better(best, best)  # also a single item must be of a kind that has an order
        for item in items[1:]:
            if better(item, best):
                best = item
        return best

    return evaluate


def _sum(values: Json) -> Json:
    if type(values) is not list:
        _wrong("sum", "a list", values)
    total: Json = 0
    for value in values:
        total = arithmetic("+", total, value)
    return total


def _any(values: Json) -> bool:
    return any(map(is_true, values)) if type(values) is list else _wrong("any", "a list", values)


def _all(values: Json) -> bool:
    return all(map(is_true, values)) if type(values) is list else _wrong("all", "a list", values)


def _keys(value: Json) -> Json:
    return list(value) if type(value) is dict else _wrong("keys", "an object", value)


def _values(value: Json) -> Json:
    return list(value.values()) if type(value) is dict else _wrong("values", "an object", value)


def _join(values: Json, between: Json = "") -> str:
    if type(values) is not list:
        _wrong("join", "a list", values)
    if type(between) is not str:
        _wrong("join", "a text between the items", between)
    texts = list(map(as_text, values))
    _check_length(sum(map(len, texts)) + len(between) * len(texts))
    return str(between.join(texts))


def _split(text: Json, between: Json = None) -> Json:
    if type(text) is not str:
        _wrong("split", "a text", text)
    if between is not None and (type(between) is not str or not between):
        raise ExpressionError("split() takes a text of at least one character to split at")
    return text.split(between)


FUNCTIONS: Mapping[str, Callable[..., Json]] = {
    "len": _length,
    "lower": _lower,
    "upper": _upper,
    "str": _str,
    "int": _int,
    "float": _float,
    "min": _extreme("min", COMPARISONS["<"]),
    "max": _extreme("max", COMPARISONS[">"]),
    "sum": _sum,
    "any": _any,
    "all": _all,
    "keys": _keys,
    "values": _values,
    "join": _join,
    "split": _split,
    "contains": contains,
}
