"""The users of this workspace, as `users.json` has them."""

import json
from pathlib import Path

from stepflow import ComponentError

FILE = Path(__file__).resolve().parents[1] / "users.json"


def users() -> list[dict]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def find_user(user_id: str) -> dict:
    """`ComponentError` NO_SUCH_USER."""
    for user in users():
        if user["id"] == user_id:
            return user
    raise ComponentError("NO_SUCH_USER", f"There is no user '{user_id}' in {FILE.name}", {"user_id": user_id})
