"""firebase-admin as its users run it: a process of its own, told on standard input what to send.

    {"account": {...}, "messages": [{"token": "...", "data": {...}, "validate_only": false, ...}]}

Prints, as JSON, for each the name that Google gave it, or the library's own word for the refusal.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import firebase_admin
from firebase_admin import credentials, exceptions, messaging


def sent(one: dict[str, Any]) -> dict[str, Any]:
    android = messaging.AndroidConfig(
        priority=one.get("priority"), ttl=timedelta(seconds=one.get("ttl", 30))
    )
    message = messaging.Message(data=one.get("data"), token=one["token"], android=android)
    try:
        return {"name": messaging.send(message, dry_run=one.get("validate_only", False))}
    except exceptions.FirebaseError as error:
        return {"refused": type(error).__name__, "code": error.code}


def main() -> None:
    given = json.load(sys.stdin)
    firebase_admin.initialize_app(credentials.Certificate(given["account"]))
    print(json.dumps([sent(one) for one in given["messages"]]))


if __name__ == "__main__":
    main()
