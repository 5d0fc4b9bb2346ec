"""`/auth/…`: who somebody is, and what they may do."""

import hashlib
import hmac

from components._users import users

from stepflow import ComponentError, component

ALLOWED = {"reader": ["read"], "editor": ["read", "write"]}


@component("/auth/verify")
def verify(token: str) -> dict:
    """The user that a token belongs to; only its hash is on file."""
    given = hashlib.sha256(token.encode()).hexdigest()
    for user in users():
        if hmac.compare_digest(user["token_sha256"], given):
            return {"user_id": user["id"], "name": user["name"]}
    raise ComponentError("INVALID_TOKEN", "The token belongs to nobody")


@component("/auth/permissions")
def permissions(value: dict) -> dict:
    """What the roles of a user allow."""
    roles = value["user_data"]["roles"]
    return {"permissions": sorted({allowed for role in roles for allowed in ALLOWED.get(role, [])})}
