"""JSON Schema 2020-12, always offline: what is wrong with a value, and with a schema."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stepflow.model import jsontext
from stepflow.model.flow import Json

MOST_PROBLEMS = 20


def check_value(schema: Json, value: Json) -> list[str]:
    """What is wrong with `value`, each with its path; empty: nothing."""
    problems = []
    for error in _validator(jsontext.encode(schema)).iter_errors(value):
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
        problems.append(f"${where}: {error.message}" if where else error.message)
        if len(problems) == MOST_PROBLEMS:
            break
    return problems


def check_schema(schema: Json) -> list[str]:
    """What is wrong with a schema; a `$ref` that would have to be fetched is."""
    import jsonschema_rs

    try:
        _validator(jsontext.encode(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return [getattr(error, "message", None) or str(error)]
    return []


@lru_cache(maxsize=256)
def _validator(text: str) -> Any:
    import jsonschema_rs

    def refuse(uri: str) -> Any:
        raise ValueError(f"schemas are never fetched: {uri}; write it out in `$defs`")

    return jsonschema_rs.Draft202012Validator(jsontext.decode(text), retriever=refuse)
