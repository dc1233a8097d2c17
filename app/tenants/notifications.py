"""What a tenant has notifications say, for each call type and event."""

from functools import cached_property
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from app.core.frozen import replace
from app.core.language import LANGUAGE_PATTERN, best_language, language_tag
from app.core.payload import AlertTexts, PayloadError, check_alert
from app.infra.fields import AtMost, Flag, Request, Text, refuse

MOST_ARGS = 10
MOST_LANGUAGES = 30
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


class WordsIn(Request):
    """The same in another language; what is absent is as in the notification itself."""

    title: Said | None = Field(None, description="its title", examples=["Verpasster Anruf"])
    body: Said | None = Field(None, description="its text", examples=["von {{caller_label}}"])

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.title is None and self.body is None:
            raise refuse("missing_field", "a language says a title, a body or both", at="title")
        return self


def _spelled(value: str) -> str:
    return language_tag(value) or value


Language = Annotated[str, Field(max_length=12, pattern=LANGUAGE_PATTERN), AfterValidator(_spelled)]


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
    languages: Annotated[
        dict[Language, WordsIn],
        AtMost(MOST_LANGUAGES, "too_many_languages", f"at most {MOST_LANGUAGES} languages"),
    ] = Field(
        {},
        description="title and body for devices whose `locale` is such: `zh-Hant-TW` is told in "
        "`zh-Hant-TW`, else `zh-Hant`, else `zh`, else as above",
        examples=[{"de": {"title": "Verpasster Anruf"}}],
    )
    sound: Key | None = Field(None, description="a sound of the app's", examples=["default"])
    category: Key | None = Field(None, description="Apple's category, for actions")
    channel_id: Key | None = Field(None, description="Android's notification channel")
    badge: Flag = Field(
        True, description="of a missed call: the app's icon shows how many are unseen"
    )

    @cached_property
    def texts(self) -> AlertTexts:
        """As payloads are made of it."""
        return AlertTexts(
            self.title, self.body, self.title_key, tuple(self.title_args), self.body_key,
            tuple(self.body_args), self.sound, self.category, self.channel_id, self.badge,
        )  # fmt: skip

    @cached_property
    def translated(self) -> dict[str, AlertTexts]:
        """The same by language; words take the place of the name of a text."""
        return {one: _translated(self.texts, words) for one, words in self.languages.items()}

    def in_language(self, locale: str | None) -> AlertTexts:
        """What a device of this language is told."""
        best = None if locale is None else best_language(locale, self.languages)
        return self.texts if best is None else self.translated[best]


def _translated(texts: AlertTexts, words: WordsIn) -> AlertTexts:
    if words.title is not None:
        texts = replace(texts, title=words.title, title_key=None, title_args=())
    if words.body is not None:
        texts = replace(texts, body=words.body, body_key=None, body_args=())
    return texts


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
            for where, texts in {"": said.texts, **said.translated}.items():
                try:
                    check_alert(event, texts)
                except PayloadError as error:
                    place = f"{event}.languages.{where}" if where else event
                    raise refuse("invalid_template", str(error), at=place) from error
        if self.mode == "notify" and self.notify is None:
            raise refuse("missing_template", "the mode `notify` needs what it says", at="notify")
        return self
