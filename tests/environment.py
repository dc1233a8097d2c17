"""What processes that tests start have in their environment."""

import os

STRONG = "q8Zk2vWm5TnB7xRj4LpY9sDf3HgC6aEu"


def own_environment() -> dict[str, str]:
    """Ours, without what is set of Ringline for us."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGLINE_")}


def environment_of(**settings: str) -> dict[str, str]:
    """The same with these settings, and a good secret key."""
    settings = {"secret_key": STRONG} | settings
    return own_environment() | {f"RINGLINE_{k.upper()}": value for k, value in settings.items()}
