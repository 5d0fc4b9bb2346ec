"""`/user/…`: what is known of a user."""

from components._users import find_user

from stepflow import ComponentError, component


@component("/user/load")
def load(user_id: str) -> dict:
    """A user, without what nobody else may know."""
    return {key: value for key, value in find_user(user_id).items() if key not in ("token_sha256", "profile")}


@component("/user/preferences")
def preferences(user_id: str) -> dict:
    """What a user has chosen, over what applies to everybody."""
    return {"language": "en", "theme": "light", **find_user(user_id)["preferences"]}


@component("/user/check_level")
def check_level(user_id: str) -> dict:
    """Whether a user is basic or premium, and the visits that are to be analysed."""
    user = find_user(user_id)
    is_premium = user["level"] == "premium"
    return {
        "user_id": user_id,
        "is_basic_user": not is_premium,
        "is_premium_user": is_premium,
        "visits": user["visits"],
    }


@component("/user/enrich")
def enrich(user_id: str) -> dict:
    """What a user's profile adds; fails where there is none."""
    profile = find_user(user_id)["profile"]
    if profile is None:
        raise ComponentError("NO_PROFILE", f"User '{user_id}' has no profile", {"user_id": user_id})
    return {"enriched": True, "additional_data": profile}
