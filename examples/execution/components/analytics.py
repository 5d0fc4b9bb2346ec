"""`/analytics/…`: counts, of visits and of records."""

from collections import Counter

from stepflow import ComponentError, component
from stepflow.contracts.component import ComponentContext


@component("/analytics/behavior")
def behavior(value: dict) -> dict:
    """How often a user came, and where to most."""
    visits = value["user_data"]["visits"]
    return {"visits": len(visits), "favourite": _most_visited(visits)}


@component("/analytics/premium")
def premium(value: dict) -> dict:
    """The visits of a user, page by page."""
    visits = value["user_data"]["visits"]
    return {"analysis": "premium", "favourite": _most_visited(visits), "pages": dict(Counter(visits).most_common())}


@component("/analytics/basic")
def basic(value: dict) -> dict:
    """The number of a user's visits."""
    return {"analysis": "basic", "visits": len(value["user_data"]["visits"])}


@component("/analytics/process")
def process(data_blob: str, filter: str, ctx: ComponentContext) -> dict:  # noqa: A002 - the name of the input's key
    """The sum of a blob's records that pass a filter like `category=A`."""
    key, equals, wanted = filter.partition("=")
    if not equals:
        raise ComponentError("INVALID_FILTER", f"'{filter}' is not a filter; write it like category=A")
    amounts = [record["amount"] for record in ctx.get_blob(data_blob)["data"] if str(record.get(key)) == wanted]
    return {"filter": filter, "records": len(amounts), "total": sum(amounts)}


def _most_visited(visits: list[str]) -> str | None:
    return Counter(visits).most_common(1)[0][0] if visits else None
