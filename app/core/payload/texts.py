"""What a tenant has a notification say."""

from app.core.frozen import frozen


@frozen
class AlertTexts:
    """What a tenant has a notification say. `badge`: it carries how many missed calls are unseen.

    `title_key` and `body_key` name texts of the app's; the args are theirs, and may hold holes.
    """

    title: str | None = None
    body: str | None = None
    title_key: str | None = None
    title_args: tuple[str, ...] = ()
    body_key: str | None = None
    body_args: tuple[str, ...] = ()
    sound: str | None = None
    category: str | None = None
    channel: str | None = None
    badge: bool = True
