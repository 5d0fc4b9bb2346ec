"""`/response/create`: the answer to a user."""

from stepflow import component


@component("/response/create")
def create(user_data: dict, enriched_data: dict) -> dict:
    """Greets a user, with what is known beyond the name."""
    city = enriched_data.get("additional_data", {}).get("city")
    greeting = f"Hello, {user_data['name']}" + (f" of {city}" if city else "")
    return {"greeting": greeting, "enriched": enriched_data["enriched"]}
