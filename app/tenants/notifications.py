"""What a tenant has notifications say, for each call type and event."""

from functools import cached_property
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from app.core.payload import AlertTexts, PayloadError, check_alert
from app.infra.fields import AtMost, Request, Text, refuse

MOST_ARGS = 10
NotificationEvent = Literal[
    "missed",
    "notify",
    "ring",
    "answered_elsewhere",
    "declined_elsewhere",
    "ended",
    "failed",
    "activation",
]
"""Of what a notification may tell."""
EVERY_TYPE: Final = "default"
"""The call type whose words are said where there is no call."""
EVENTS: Final[tuple[NotificationEvent, ...]] = get_args(NotificationEvent)
Said = Annotated[Text, Field(min_length=1, max_length=500)]
Key = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!-~]([ -~]*[!-~])?$")]
Args = Annotated[list[Said], AtMost(MOST_ARGS, "too_many_args", f"at most {MOST_ARGS} args")]


class NotificationIn(Request):
    """What a notification says: texts with holes, or keys of texts that the app brings."""

    title: Said | None = Field(None, description="its title", examples=["Missed call"])
    body: Said | None = Field(None, description="its text", examples=["{{caller_label}} called"])
    title_key: Key | None = Field(
        None,
        description="the app's own title, in the phone's language: Apple's `title-loc-key`, "
        "Google's `title_loc_key`, a browser's `data.texts.title_key`",
        examples=["missed_call"],
    )
    title_args: Args = Field([], description="what goes into that title")
    body_key: Key | None = Field(
        None,
        description="the same of its text: Apple's `loc-key`, Google's `body_loc_key`, a "
        "browser's `data.texts.body_key`",
        examples=["missed_call_from"],
    )
    body_args: Args = Field(
        [], description="what goes into that text", examples=[["{{caller_label}}"]]
    )
    sound: Key | None = Field(None, description="a sound of the app's", examples=["default"])
    category: Key | None = Field(None, description="Apple's category, for actions")
    channel_id: Key | None = Field(None, description="Android's notification channel")
    badge: bool = Field(
        True, description="of a missed call: the app's icon shows how many are unseen"
    )

    @cached_property
    def texts(self) -> AlertTexts:
        """As payloads are made of it."""
        return AlertTexts(
            self.title, self.body, self.title_key, tuple(self.title_args), self.body_key,
            tuple(self.body_args), self.sound, self.category, self.channel_id, self.badge,
        )  # fmt: skip


class NotificationsIn(Request):
    """The notifications of one call type; what is absent is not sent."""

    mode: Literal["ring", "notify"] = Field(
        "ring",
        description="how a call of this type begins that does not say so itself: `notify` by a "
        "notification, without a call screen",
    )
    notify: NotificationIn | None = Field(None, description="of a call that does not ring")
    missed: NotificationIn | None = Field(None, description="after a ring that nobody answered")
    ring: NotificationIn | None = Field(
        None,
        description="where notifications ring: in browsers, and by `alert_rings`; without it, in "
        "English, as all that follows",
    )
    answered_elsewhere: NotificationIn | None = Field(
        None, description="in place of these, once another device has answered"
    )
    declined_elsewhere: NotificationIn | None = Field(
        None, description="in place of these, once another device has declined"
    )
    ended: NotificationIn | None = Field(
        None, description="in place of a browser's ring, once its call is over"
    )
    failed: NotificationIn | None = Field(
        None, description="in place of a browser's ring, once its call has failed"
    )
    activation: NotificationIn | None = Field(
        None,
        description="what a browser says once it has subscribed; of call type `default` alone, and "
        "without placeholders",
    )

    def of(self, event: str) -> NotificationIn | None:
        """What is said of an event; None: nothing."""
        said: NotificationIn | None = getattr(self, event) if event in EVENTS else None
        return said

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for event in EVENTS:
            said = self.of(event)
            if said is None:
                continue
            try:
                check_alert(event, said.texts)
            except PayloadError as error:
                raise refuse("invalid_template", f"{event}: {error}") from error
        if self.mode == "notify" and self.notify is None:
            raise refuse("missing_template", "notify: the mode `notify` needs what it says")
        return self
