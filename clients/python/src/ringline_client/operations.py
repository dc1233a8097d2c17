"""One method for each operation of the API.

Made from the OpenAPI document by `make reference`: change the server, not this file.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, cast

from ringline_client.models import (
    Accepted,
    ApiKeys,
    Attempt,
    AuditLine,
    Block,
    Blocks,
    Call,
    CallerIn,
    Credential,
    Credentials,
    Delivery,
    Device,
    Devices,
    EventTypes,
    Exceptions,
    HandleIn,
    Handles,
    ListedCall,
    Missed,
    NewSecret,
    NewSigningSecret,
    NewWebhook,
    NotificationsIn,
    OwnCall,
    PastCall,
    PersonIn,
    PhoneReportIn,
    PreferencesIn,
    Preview,
    QuietHours,
    Registered,
    Resent,
    Revoked,
    Ringing,
    SigningSecrets,
    TenantSettings,
    TestPush,
    Timeline,
    TokenIn,
    UserToken,
    UserTokenRules,
    VapidKey,
    Webhook,
    Webhooks,
)
from ringline_client.requests import AsyncSender, Request, Sender, segment


class Operations(Sender):
    """Every operation; each waits."""

    def list_api_keys(self) -> ApiKeys:
        """The tenant's API keys, without the keys. New ones are made by an administrator
        alone.
        """
        return cast("ApiKeys", self._send(Request("GET", "/v1/api-keys", repeatable=True)))

    def revoke_api_key(self, key_id: str, *, confirm: bool | None = None) -> None:
        """Revoke an API key, also the one that asks: within a second it is good for nothing."""
        self._send(
            Request(
                "DELETE",
                f"/v1/api-keys/{segment(key_id)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    def list_signing_secrets(self) -> SigningSecrets:
        """The tenant's signing secrets, without the secrets."""
        return cast(
            "SigningSecrets", self._send(Request("GET", "/v1/signing-secrets", repeatable=True))
        )

    def create_signing_secret(self) -> NewSigningSecret:
        """Make a second signing secret; the first stays good until it is revoked. At most two
        live.
        """
        return cast(
            "NewSigningSecret", self._send(Request("POST", "/v1/signing-secrets", repeatable=False))
        )

    def revoke_signing_secret(self, kid: str, *, confirm: bool | None = None) -> None:
        """Revoke a signing secret: within two seconds no user token signed with it is good."""
        self._send(
            Request(
                "DELETE",
                f"/v1/signing-secrets/{segment(kid)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    def list_calls(
        self,
        *,
        user_id: str | None = None,
        state: Literal["ringing", "active", "ended"] | None = None,
        reason: Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None = None,
        type: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
    ) -> Iterator[ListedCall]:
        """The tenant's calls, the newest first. A page may be short and still have a next one.

        `since` and `until` bound `created_at`, the latter exclusively.
        """
        return cast(
            "Iterator[ListedCall]",
            self._pages(
                Request(
                    "GET",
                    "/v1/calls",
                    repeatable=True,
                    query={
                        "user_id": user_id,
                        "state": state,
                        "reason": reason,
                        "type": type,
                        "since": since,
                        "until": until,
                        "limit": limit,
                    },
                ),
                "calls",
            ),
        )

    def ring(
        self,
        *,
        caller: CallerIn,
        callees: list[str | PersonIn],
        type: str | None = None,
        title: str | None = None,
        id: str | None = None,
        video: bool | None = None,
        mode: Literal["ring", "notify"] | None = None,
        urgent: bool | None = None,
        ring_time: float | None = None,
        custom: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Call:
        """Ring: start a call, or ring more members of a live one. Returns the call."""
        return cast(
            "Call",
            self._send(
                Request(
                    "POST",
                    "/v1/calls",
                    repeatable=True,
                    body={
                        "caller": caller,
                        "callees": callees,
                        "type": type,
                        "title": title,
                        "id": id,
                        "video": video,
                        "mode": mode,
                        "urgent": urgent,
                        "ring_time": ring_time,
                        "custom": custom,
                    },
                    keyed=True,
                    idempotency_key=idempotency_key,
                )
            ),
        )

    def list_user_calls(
        self,
        user_id: str,
        *,
        direction: Literal["incoming", "outgoing"] | None = None,
        missed: bool | None = None,
        state: Literal["ringing", "active", "ended"] | None = None,
        type: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
    ) -> Iterator[PastCall]:
        """A user's own calls, the newest first, with direction, what was missed, and what is
        unseen.

        By a key, or by the user's own token. The first page says how many are missed and
        unseen.
        """
        return cast(
            "Iterator[PastCall]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/users/{segment(user_id)}/calls",
                    repeatable=True,
                    query={
                        "direction": direction,
                        "missed": missed,
                        "state": state,
                        "type": type,
                        "since": since,
                        "until": until,
                        "limit": limit,
                    },
                ),
                "calls",
            ),
        )

    def see_user_calls(self, user_id: str, *, until: str | None = None) -> Missed:
        """Mark what was missed as seen, on all the user's devices; returns what is still
        unseen.
        """
        return cast(
            "Missed",
            self._send(
                Request(
                    "POST",
                    f"/v1/users/{segment(user_id)}/calls/seen",
                    repeatable=True,
                    body={"until": until},
                )
            ),
        )

    def read_call(self, reference: str) -> OwnCall | Call:
        """A call by `type:id` (the live one, else the latest) or by the id of its session.

        With an ETag. A call token is shown its own member, its ring, and how many others
        there are.
        """
        return cast(
            "OwnCall | Call",
            self._send(Request("GET", f"/v1/calls/{segment(reference)}", repeatable=True)),
        )

    def report_ring(
        self,
        reference: str,
        *,
        status: Literal["delivered", "unavailable"],
        user_id: str | None = None,
        device_id: str | None = None,
        ring: str | None = None,
    ) -> None:
        """The ring is on this device's screen (`delivered`), or cannot be (`unavailable`).

        With a call token of its ring and device; a page that rings by its stream says
        `device_id`. The first word of each device is told as `member.ringing` to who is in
        the call.
        """
        self._send(
            Request(
                "POST",
                f"/v1/calls/{segment(reference)}/report",
                repeatable=True,
                body={"status": status, "user_id": user_id, "device_id": device_id, "ring": ring},
            )
        )

    def accept_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Accepted:
        """Answer. The first device wins; the same device again gets the same answer.

        `heartbeat_every`: the device must show life at least so often, in seconds, by `POST
        .../heartbeat` or an open stream; silent for three times that it is away, then
        removed. None: it need not.
        """
        return cast(
            "Accepted",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/accept",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def join_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Accepted:
        """Answer, or come back into a call that is still active after leaving or missing it."""
        return cast(
            "Accepted",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/join",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def decline_call(
        self,
        reference: str,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        reason: Literal["declined", "busy"] | None = None,
        reach: Literal["user", "device"] | None = None,
    ) -> OwnCall | Call:
        """Decline for all devices of this member, or for this one. Late or repeated: no harm.

        With `reach` `device` the others ring on; once none is left the member has declined.
        """
        return cast(
            "OwnCall | Call",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/decline",
                    repeatable=True,
                    body={
                        "user_id": user_id,
                        "device_id": device_id,
                        "reason": reason,
                        "reach": reach,
                    },
                )
            ),
        )

    def cancel_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """Give up before anyone has joined: the caller, or the server."""
        return cast(
            "Call",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/cancel",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def leave_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """Leave; the others go on. Late or repeated: no harm."""
        return cast(
            "Call",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/leave",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def end_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """End the call for everyone: a member who has joined, or the server."""
        return cast(
            "Call",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/end",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def heartbeat(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> OwnCall:
        """Keep a joined member: silence makes it away, then takes it out. Returns its own
        part.
        """
        return cast(
            "OwnCall",
            self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/heartbeat",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def list_event_types(self) -> EventTypes:
        """Every type of event, with an example and its JSON Schema, and what webhooks may ask
        for.
        """
        return cast("EventTypes", self._send(Request("GET", "/v1/events/types", repeatable=True)))

    def read_timeline(self, reference: str) -> Timeline:
        """Everything that happened in a call, in order: events, pushes, what phones reported."""
        return cast(
            "Timeline",
            self._send(Request("GET", f"/v1/calls/{segment(reference)}/timeline", repeatable=True)),
        )

    def register_device(
        self,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        name: str | None = None,
        platform: str | None = None,
        locale: str | None = None,
        tokens: list[TokenIn] | None = None,
        report: PhoneReportIn | None = None,
        expires_in: int | None = None,
    ) -> Registered:
        """Register a device with its tokens, or refresh it. Doing so again changes only the
        expiry.
        """
        return cast(
            "Registered",
            self._send(
                Request(
                    "POST",
                    "/v1/devices",
                    repeatable=True,
                    body={
                        "user_id": user_id,
                        "device_id": device_id,
                        "name": name,
                        "platform": platform,
                        "locale": locale,
                        "tokens": tokens,
                        "report": report,
                        "expires_in": expires_in,
                    },
                )
            ),
        )

    def list_devices(self, *, user_id: str | None = None) -> Devices:
        """A user's devices, the newest first; of each token the last four digits."""
        return cast(
            "Devices",
            self._send(Request("GET", "/v1/devices", repeatable=True, query={"user_id": user_id})),
        )

    def unregister_device(self, *, token: str, user_id: str | None = None) -> None:
        """Remove the device that holds a push token, with all its tokens: it will not ring
        again.

        For apps that know only their token when a person signs out. A token never stands in
        a URL.
        """
        self._send(
            Request(
                "POST",
                "/v1/devices/unregister",
                repeatable=True,
                body={"token": token, "user_id": user_id},
            )
        )

    def read_web_push_key(self, *, app_id: str) -> VapidKey:
        """With which public VAPID key the browsers of a web app subscribe."""
        return cast(
            "VapidKey",
            self._send(
                Request("GET", "/v1/web-push/key", repeatable=True, query={"app_id": app_id})
            ),
        )

    def activate_subscription(self, *, token: str) -> None:
        """Show that pushes to a subscription arrive: the activation push brought this token.

        The token is all that is needed, since a service worker has no login. From then on
        the subscription is rung; if its user is being rung, it rings at once.
        """
        self._send(Request("POST", "/v1/devices/activate", repeatable=True, body={"token": token}))

    def change_device(self, device_id: str, *, rings: bool, user_id: str | None = None) -> Device:
        """Turn ringing of a device off, or on again, from the next ring on.

        A device that is off gets no rings and no notifications; it may answer, and its
        streams go on. Registering again, or a new token, leaves it off.
        """
        return cast(
            "Device",
            self._send(
                Request(
                    "PATCH",
                    f"/v1/devices/{segment(device_id)}",
                    repeatable=True,
                    body={"rings": rings, "user_id": user_id},
                )
            ),
        )

    def remove_device(self, device_id: str, *, user_id: str | None = None) -> None:
        """Remove a device with its tokens: it will not ring again."""
        self._send(
            Request(
                "DELETE",
                f"/v1/devices/{segment(device_id)}",
                repeatable=True,
                query={"user_id": user_id},
            )
        )

    def erase_user(self, user_id: str) -> None:
        """Erase a user: devices, tokens and events; past calls keep a tombstone in their
        place.
        """
        self._send(Request("DELETE", f"/v1/users/{segment(user_id)}", repeatable=True))

    def create_user_token(
        self,
        user_id: str,
        *,
        expires_in: int | None = None,
        scopes: list[Literal["devices", "calls", "ring", "history"]] | None = None,
    ) -> UserToken:
        """A user token for this user's app, signed by Ringline with the tenant's secret."""
        return cast(
            "UserToken",
            self._send(
                Request(
                    "POST",
                    f"/v1/users/{segment(user_id)}/tokens",
                    repeatable=True,
                    body={"expires_in": expires_in, "scopes": scopes},
                )
            ),
        )

    def revoke_user_tokens(self, user_id: str) -> Revoked:
        """Revoke every token of this user issued by now: user, call and member tokens.

        Within two seconds no process takes them, and streams opened with them have ended. A
        token whose `iat` is in this very second is dead too, as is one without `iat`; later
        ones are good.
        """
        return cast(
            "Revoked",
            self._send(Request("POST", f"/v1/users/{segment(user_id)}/revoke", repeatable=True)),
        )

    def preview_credential(
        self,
        *,
        file: str,
        password: str | None = None,
        app_id: str | None = None,
        key_id: str | None = None,
        team_id: str | None = None,
        environments: list[Literal["production", "sandbox"]] | None = None,
    ) -> Preview:
        """What is understood of a file; nothing is stored, and Apple is not asked."""
        return cast(
            "Preview",
            self._send(
                Request(
                    "POST",
                    "/v1/credentials/preview",
                    repeatable=False,
                    body={
                        "file": file,
                        "password": password,
                        "app_id": app_id,
                        "key_id": key_id,
                        "team_id": team_id,
                        "environments": environments,
                    },
                )
            ),
        )

    def add_credential(
        self,
        *,
        file: str,
        password: str | None = None,
        app_id: str | None = None,
        key_id: str | None = None,
        team_id: str | None = None,
        environments: list[Literal["production", "sandbox"]] | None = None,
    ) -> Credential:
        """Add a credential. Apple is asked about it, so this takes up to 5 s."""
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST",
                    "/v1/credentials",
                    repeatable=False,
                    body={
                        "file": file,
                        "password": password,
                        "app_id": app_id,
                        "key_id": key_id,
                        "team_id": team_id,
                        "environments": environments,
                    },
                )
            ),
        )

    def list_credentials(self, *, app_id: str | None = None) -> Credentials:
        """Every credential, the newest first; of one app if `app_id` is given."""
        return cast(
            "Credentials",
            self._send(
                Request("GET", "/v1/credentials", repeatable=True, query={"app_id": app_id})
            ),
        )

    def request_certificate(self, *, app_id: str) -> Credential:
        """Make a key that never leaves, and the signing request (`request`) for Apple's
        portal.
        """
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST", "/v1/credentials/requests", repeatable=False, body={"app_id": app_id}
                )
            ),
        )

    def make_vapid_key(self, *, app_id: str, subject: str) -> Credential:
        """Make a VAPID key for a web app; `key_id` is what its browsers subscribe with from
        now on.

        Browsers that have subscribed before go on by the key that they know.
        """
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST",
                    "/v1/credentials/vapid",
                    repeatable=False,
                    body={"app_id": app_id, "subject": subject},
                )
            ),
        )

    def complete_certificate(
        self, credential_id: str, *, file: str, password: str | None = None
    ) -> Credential:
        """Bring the `.cer` that Apple gave for a signing request."""
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST",
                    f"/v1/credentials/{segment(credential_id)}/certificate",
                    repeatable=False,
                    body={"file": file, "password": password},
                )
            ),
        )

    def test_push(self, *, user_id: str, device_id: str | None = None) -> TestPush:
        """Ring a user's phones (or one of them) once, marked as a test: what Apple says of
        each.
        """
        return cast(
            "TestPush",
            self._send(
                Request(
                    "POST",
                    "/v1/credentials/test-push",
                    repeatable=False,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    def read_credential(self, credential_id: str) -> Credential:
        """One credential."""
        return cast(
            "Credential",
            self._send(
                Request("GET", f"/v1/credentials/{segment(credential_id)}", repeatable=True)
            ),
        )

    def delete_credential(self, credential_id: str, *, confirm: bool | None = None) -> None:
        """Delete it and its private key for good. The last working one, and a VAPID key that
        browsers know, want `?confirm=true`.
        """
        self._send(
            Request(
                "DELETE",
                f"/v1/credentials/{segment(credential_id)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    def probe_credential(self, credential_id: str) -> Credential:
        """Ask Apple now whether it takes this credential, and in which environments."""
        return cast(
            "Credential",
            self._send(
                Request("POST", f"/v1/credentials/{segment(credential_id)}/probe", repeatable=False)
            ),
        )

    def activate_credential(self, credential_id: str) -> Credential:
        """Use this one from now on: brings back one that was replaced or retired."""
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST", f"/v1/credentials/{segment(credential_id)}/activate", repeatable=False
                )
            ),
        )

    def retire_credential(self, credential_id: str, *, confirm: bool | None = None) -> Credential:
        """Use it no more, but keep it. The last working one, and a VAPID key that browsers
        know, want `{"confirm": true}`.
        """
        return cast(
            "Credential",
            self._send(
                Request(
                    "POST",
                    f"/v1/credentials/{segment(credential_id)}/retire",
                    repeatable=False,
                    body={"confirm": confirm},
                )
            ),
        )

    def read_audit_log(
        self, *, limit: int | None = None, target: str | None = None
    ) -> Iterator[AuditLine]:
        """Who did what, when and from where, the newest first. `cursor` is `next_cursor` of
        before.
        """
        return cast(
            "Iterator[AuditLine]",
            self._pages(
                Request(
                    "GET", "/v1/audit", repeatable=True, query={"limit": limit, "target": target}
                ),
                "audit",
            ),
        )

    def list_webhooks(self) -> Webhooks:
        """Every webhook of the tenant."""
        return cast("Webhooks", self._send(Request("GET", "/v1/webhooks", repeatable=True)))

    def create_webhook(
        self, *, url: str, events: list[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """A new webhook. Its `secret` is shown this once."""
        return cast(
            "NewWebhook",
            self._send(
                Request(
                    "POST",
                    "/v1/webhooks",
                    repeatable=False,
                    body={"url": url, "events": events, "description": description},
                )
            ),
        )

    def read_webhook(self, webhook_id: str) -> Webhook:
        """One webhook, and how it does."""
        return cast(
            "Webhook",
            self._send(Request("GET", f"/v1/webhooks/{segment(webhook_id)}", repeatable=True)),
        )

    def change_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: list[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change a webhook, turn it off, or on again."""
        return cast(
            "Webhook",
            self._send(
                Request(
                    "PATCH",
                    f"/v1/webhooks/{segment(webhook_id)}",
                    repeatable=True,
                    body={
                        "url": url,
                        "events": events,
                        "description": description,
                        "enabled": enabled,
                    },
                )
            ),
        )

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook; what waits for it is not sent."""
        self._send(Request("DELETE", f"/v1/webhooks/{segment(webhook_id)}", repeatable=True))

    def rotate_webhook_secret(self, webhook_id: str, *, overlap: float | None = None) -> NewSecret:
        """A new secret, shown this once. The old one signs too for a while: two signatures."""
        return cast(
            "NewSecret",
            self._send(
                Request(
                    "POST",
                    f"/v1/webhooks/{segment(webhook_id)}/rotate",
                    repeatable=False,
                    body={"overlap": overlap},
                )
            ),
        )

    def list_deliveries(
        self,
        webhook_id: str,
        *,
        state: Literal["pending", "sending", "delivered", "failed"] | None = None,
        limit: int | None = None,
    ) -> Iterator[Delivery]:
        """What was sent to a webhook, or waits to be, the newest first."""
        return cast(
            "Iterator[Delivery]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/webhooks/{segment(webhook_id)}/deliveries",
                    repeatable=True,
                    query={"state": state, "limit": limit},
                ),
                "deliveries",
            ),
        )

    def list_attempts(
        self, webhook_id: str, *, event_id: str | None = None, limit: int | None = None
    ) -> Iterator[Attempt]:
        """Every try, with the beginning of what the endpoint answered, the newest first."""
        return cast(
            "Iterator[Attempt]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/webhooks/{segment(webhook_id)}/attempts",
                    repeatable=True,
                    query={"event_id": event_id, "limit": limit},
                ),
                "attempts",
            ),
        )

    def resend_delivery(self, webhook_id: str, event_id: str) -> Resent:
        """Send an event once more, whatever came of it before."""
        return cast(
            "Resent",
            self._send(
                Request(
                    "POST",
                    f"/v1/webhooks/{segment(webhook_id)}/deliveries/{segment(event_id)}/resend",
                    repeatable=False,
                )
            ),
        )

    def read_settings(self) -> TenantSettings:
        """The tenant's settings, those that have their default included."""
        return cast("TenantSettings", self._send(Request("GET", "/v1/settings", repeatable=True)))

    def replace_settings(
        self,
        *,
        limits: dict[str, Any] | None = None,
        call_types: dict[str, dict[str, Any]] | None = None,
        rate_limits: dict[str, Any] | None = None,
        when_busy: Literal["ring", "busy", "quiet"] | None = None,
        busy_call_types: dict[str, Literal["ring", "busy", "quiet"]] | None = None,
        users_may_ring: bool | None = None,
        urgent_allowed: bool | None = None,
        tell_suppressed: bool | None = None,
        users_may_set_handles: bool | None = None,
        store_and_forward: bool | None = None,
        voip_stops: bool | None = None,
        end_unreachable: bool | None = None,
        decline_reach: Literal["user", "device"] | None = None,
        presence: bool | None = None,
        profiles: dict[str, str] | None = None,
        android_profiles: dict[str, str] | None = None,
        android_v2: list[str] | None = None,
        templates: dict[str, dict[str, Any]] | None = None,
        notifications: dict[str, NotificationsIn] | None = None,
        alert_rings: dict[str, float] | None = None,
        user_tokens: UserTokenRules | None = None,
        keep_events_days: float | None = None,
        keep_calls_days: float | None = None,
    ) -> TenantSettings:
        """Replace the settings; what is not named has its default. In force within a second.

        Calls that live keep the limits they began with.
        """
        return cast(
            "TenantSettings",
            self._send(
                Request(
                    "PUT",
                    "/v1/settings",
                    repeatable=True,
                    body={
                        "limits": limits,
                        "call_types": call_types,
                        "rate_limits": rate_limits,
                        "when_busy": when_busy,
                        "busy_call_types": busy_call_types,
                        "users_may_ring": users_may_ring,
                        "urgent_allowed": urgent_allowed,
                        "tell_suppressed": tell_suppressed,
                        "users_may_set_handles": users_may_set_handles,
                        "store_and_forward": store_and_forward,
                        "voip_stops": voip_stops,
                        "end_unreachable": end_unreachable,
                        "decline_reach": decline_reach,
                        "presence": presence,
                        "profiles": profiles,
                        "android_profiles": android_profiles,
                        "android_v2": android_v2,
                        "templates": templates,
                        "notifications": notifications,
                        "alert_rings": alert_rings,
                        "user_tokens": user_tokens,
                        "keep_events_days": keep_events_days,
                        "keep_calls_days": keep_calls_days,
                    },
                )
            ),
        )

    def read_ringing(self) -> Ringing:
        """Whether all new ringing is stopped."""
        return cast("Ringing", self._send(Request("GET", "/v1/settings/ringing", repeatable=True)))

    def switch_ringing(self, *, stopped: bool) -> Ringing:
        """Stop all new ringing at once, or let it go on. Calls that live are not touched."""
        return cast(
            "Ringing",
            self._send(
                Request("PUT", "/v1/settings/ringing", repeatable=True, body={"stopped": stopped})
            ),
        )

    def read_preferences(self, user_id: str) -> PreferencesIn:
        """What a user wants of rings; by a key, or by the user's own token."""
        return cast(
            "PreferencesIn",
            self._send(
                Request("GET", f"/v1/users/{segment(user_id)}/preferences", repeatable=True)
            ),
        )

    def replace_preferences(
        self,
        user_id: str,
        *,
        do_not_disturb_until: str | None = None,
        quiet_hours: QuietHours | None = None,
        call_types: dict[str, Literal["ring", "notify", "nothing"]] | None = None,
        exceptions: Exceptions | None = None,
    ) -> PreferencesIn:
        """Replace what a user wants of rings; what is absent wants nothing. The next ring
        obeys it.

        A ring that it stops is not pushed, and told to nobody of the user's; to the caller
        it rings until its time is over.
        """
        return cast(
            "PreferencesIn",
            self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/preferences",
                    repeatable=True,
                    body={
                        "do_not_disturb_until": do_not_disturb_until,
                        "quiet_hours": quiet_hours,
                        "call_types": call_types,
                        "exceptions": exceptions,
                    },
                )
            ),
        )

    def list_blocks(self, user_id: str) -> Blocks:
        """Whom a user has blocked, by id; at most 1,000."""
        return cast(
            "Blocks",
            self._send(Request("GET", f"/v1/users/{segment(user_id)}/blocks", repeatable=True)),
        )

    def block_user(self, user_id: str, blocked_id: str) -> Block:
        """Block another user: their rings reach nobody of this user's, and they are not told
        so.
        """
        return cast(
            "Block",
            self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/blocks/{segment(blocked_id)}",
                    repeatable=True,
                )
            ),
        )

    def unblock_user(self, user_id: str, blocked_id: str) -> None:
        """Take a block back."""
        self._send(
            Request(
                "DELETE",
                f"/v1/users/{segment(user_id)}/blocks/{segment(blocked_id)}",
                repeatable=True,
            )
        )

    def list_handles(self, user_id: str) -> Handles:
        """By which handles a user may be rung, as they were given."""
        return cast(
            "Handles",
            self._send(Request("GET", f"/v1/users/{segment(user_id)}/handles", repeatable=True)),
        )

    def replace_handles(self, user_id: str, *, handles: list[HandleIn]) -> Handles:
        """Replace a user's handles: `POST /v1/calls` may name who is rung by them.

        Of one kind a handle is one user's: 409 `handle_taken`, and nothing is changed. By
        the user's own token where the setting `users_may_set_handles` is on.
        """
        return cast(
            "Handles",
            self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/handles",
                    repeatable=True,
                    body={"handles": handles},
                )
            ),
        )


class AsyncOperations(AsyncSender):
    """Every operation, awaited."""

    async def list_api_keys(self) -> ApiKeys:
        """The tenant's API keys, without the keys. New ones are made by an administrator
        alone.
        """
        return cast("ApiKeys", await self._send(Request("GET", "/v1/api-keys", repeatable=True)))

    async def revoke_api_key(self, key_id: str, *, confirm: bool | None = None) -> None:
        """Revoke an API key, also the one that asks: within a second it is good for nothing."""
        await self._send(
            Request(
                "DELETE",
                f"/v1/api-keys/{segment(key_id)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    async def list_signing_secrets(self) -> SigningSecrets:
        """The tenant's signing secrets, without the secrets."""
        return cast(
            "SigningSecrets",
            await self._send(Request("GET", "/v1/signing-secrets", repeatable=True)),
        )

    async def create_signing_secret(self) -> NewSigningSecret:
        """Make a second signing secret; the first stays good until it is revoked. At most two
        live.
        """
        return cast(
            "NewSigningSecret",
            await self._send(Request("POST", "/v1/signing-secrets", repeatable=False)),
        )

    async def revoke_signing_secret(self, kid: str, *, confirm: bool | None = None) -> None:
        """Revoke a signing secret: within two seconds no user token signed with it is good."""
        await self._send(
            Request(
                "DELETE",
                f"/v1/signing-secrets/{segment(kid)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    def list_calls(
        self,
        *,
        user_id: str | None = None,
        state: Literal["ringing", "active", "ended"] | None = None,
        reason: Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None = None,
        type: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ListedCall]:
        """The tenant's calls, the newest first. A page may be short and still have a next one.

        `since` and `until` bound `created_at`, the latter exclusively.
        """
        return cast(
            "AsyncIterator[ListedCall]",
            self._pages(
                Request(
                    "GET",
                    "/v1/calls",
                    repeatable=True,
                    query={
                        "user_id": user_id,
                        "state": state,
                        "reason": reason,
                        "type": type,
                        "since": since,
                        "until": until,
                        "limit": limit,
                    },
                ),
                "calls",
            ),
        )

    async def ring(
        self,
        *,
        caller: CallerIn,
        callees: list[str | PersonIn],
        type: str | None = None,
        title: str | None = None,
        id: str | None = None,
        video: bool | None = None,
        mode: Literal["ring", "notify"] | None = None,
        urgent: bool | None = None,
        ring_time: float | None = None,
        custom: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Call:
        """Ring: start a call, or ring more members of a live one. Returns the call."""
        return cast(
            "Call",
            await self._send(
                Request(
                    "POST",
                    "/v1/calls",
                    repeatable=True,
                    body={
                        "caller": caller,
                        "callees": callees,
                        "type": type,
                        "title": title,
                        "id": id,
                        "video": video,
                        "mode": mode,
                        "urgent": urgent,
                        "ring_time": ring_time,
                        "custom": custom,
                    },
                    keyed=True,
                    idempotency_key=idempotency_key,
                )
            ),
        )

    def list_user_calls(
        self,
        user_id: str,
        *,
        direction: Literal["incoming", "outgoing"] | None = None,
        missed: bool | None = None,
        state: Literal["ringing", "active", "ended"] | None = None,
        type: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[PastCall]:
        """A user's own calls, the newest first, with direction, what was missed, and what is
        unseen.

        By a key, or by the user's own token. The first page says how many are missed and
        unseen.
        """
        return cast(
            "AsyncIterator[PastCall]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/users/{segment(user_id)}/calls",
                    repeatable=True,
                    query={
                        "direction": direction,
                        "missed": missed,
                        "state": state,
                        "type": type,
                        "since": since,
                        "until": until,
                        "limit": limit,
                    },
                ),
                "calls",
            ),
        )

    async def see_user_calls(self, user_id: str, *, until: str | None = None) -> Missed:
        """Mark what was missed as seen, on all the user's devices; returns what is still
        unseen.
        """
        return cast(
            "Missed",
            await self._send(
                Request(
                    "POST",
                    f"/v1/users/{segment(user_id)}/calls/seen",
                    repeatable=True,
                    body={"until": until},
                )
            ),
        )

    async def read_call(self, reference: str) -> OwnCall | Call:
        """A call by `type:id` (the live one, else the latest) or by the id of its session.

        With an ETag. A call token is shown its own member, its ring, and how many others
        there are.
        """
        return cast(
            "OwnCall | Call",
            await self._send(Request("GET", f"/v1/calls/{segment(reference)}", repeatable=True)),
        )

    async def report_ring(
        self,
        reference: str,
        *,
        status: Literal["delivered", "unavailable"],
        user_id: str | None = None,
        device_id: str | None = None,
        ring: str | None = None,
    ) -> None:
        """The ring is on this device's screen (`delivered`), or cannot be (`unavailable`).

        With a call token of its ring and device; a page that rings by its stream says
        `device_id`. The first word of each device is told as `member.ringing` to who is in
        the call.
        """
        await self._send(
            Request(
                "POST",
                f"/v1/calls/{segment(reference)}/report",
                repeatable=True,
                body={"status": status, "user_id": user_id, "device_id": device_id, "ring": ring},
            )
        )

    async def accept_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Accepted:
        """Answer. The first device wins; the same device again gets the same answer.

        `heartbeat_every`: the device must show life at least so often, in seconds, by `POST
        .../heartbeat` or an open stream; silent for three times that it is away, then
        removed. None: it need not.
        """
        return cast(
            "Accepted",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/accept",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def join_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Accepted:
        """Answer, or come back into a call that is still active after leaving or missing it."""
        return cast(
            "Accepted",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/join",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def decline_call(
        self,
        reference: str,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        reason: Literal["declined", "busy"] | None = None,
        reach: Literal["user", "device"] | None = None,
    ) -> OwnCall | Call:
        """Decline for all devices of this member, or for this one. Late or repeated: no harm.

        With `reach` `device` the others ring on; once none is left the member has declined.
        """
        return cast(
            "OwnCall | Call",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/decline",
                    repeatable=True,
                    body={
                        "user_id": user_id,
                        "device_id": device_id,
                        "reason": reason,
                        "reach": reach,
                    },
                )
            ),
        )

    async def cancel_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """Give up before anyone has joined: the caller, or the server."""
        return cast(
            "Call",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/cancel",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def leave_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """Leave; the others go on. Late or repeated: no harm."""
        return cast(
            "Call",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/leave",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def end_call(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> Call:
        """End the call for everyone: a member who has joined, or the server."""
        return cast(
            "Call",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/end",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def heartbeat(
        self, reference: str, *, user_id: str | None = None, device_id: str | None = None
    ) -> OwnCall:
        """Keep a joined member: silence makes it away, then takes it out. Returns its own
        part.
        """
        return cast(
            "OwnCall",
            await self._send(
                Request(
                    "POST",
                    f"/v1/calls/{segment(reference)}/heartbeat",
                    repeatable=True,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def list_event_types(self) -> EventTypes:
        """Every type of event, with an example and its JSON Schema, and what webhooks may ask
        for.
        """
        return cast(
            "EventTypes", await self._send(Request("GET", "/v1/events/types", repeatable=True))
        )

    async def read_timeline(self, reference: str) -> Timeline:
        """Everything that happened in a call, in order: events, pushes, what phones reported."""
        return cast(
            "Timeline",
            await self._send(
                Request("GET", f"/v1/calls/{segment(reference)}/timeline", repeatable=True)
            ),
        )

    async def register_device(
        self,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        name: str | None = None,
        platform: str | None = None,
        locale: str | None = None,
        tokens: list[TokenIn] | None = None,
        report: PhoneReportIn | None = None,
        expires_in: int | None = None,
    ) -> Registered:
        """Register a device with its tokens, or refresh it. Doing so again changes only the
        expiry.
        """
        return cast(
            "Registered",
            await self._send(
                Request(
                    "POST",
                    "/v1/devices",
                    repeatable=True,
                    body={
                        "user_id": user_id,
                        "device_id": device_id,
                        "name": name,
                        "platform": platform,
                        "locale": locale,
                        "tokens": tokens,
                        "report": report,
                        "expires_in": expires_in,
                    },
                )
            ),
        )

    async def list_devices(self, *, user_id: str | None = None) -> Devices:
        """A user's devices, the newest first; of each token the last four digits."""
        return cast(
            "Devices",
            await self._send(
                Request("GET", "/v1/devices", repeatable=True, query={"user_id": user_id})
            ),
        )

    async def unregister_device(self, *, token: str, user_id: str | None = None) -> None:
        """Remove the device that holds a push token, with all its tokens: it will not ring
        again.

        For apps that know only their token when a person signs out. A token never stands in
        a URL.
        """
        await self._send(
            Request(
                "POST",
                "/v1/devices/unregister",
                repeatable=True,
                body={"token": token, "user_id": user_id},
            )
        )

    async def read_web_push_key(self, *, app_id: str) -> VapidKey:
        """With which public VAPID key the browsers of a web app subscribe."""
        return cast(
            "VapidKey",
            await self._send(
                Request("GET", "/v1/web-push/key", repeatable=True, query={"app_id": app_id})
            ),
        )

    async def activate_subscription(self, *, token: str) -> None:
        """Show that pushes to a subscription arrive: the activation push brought this token.

        The token is all that is needed, since a service worker has no login. From then on
        the subscription is rung; if its user is being rung, it rings at once.
        """
        await self._send(
            Request("POST", "/v1/devices/activate", repeatable=True, body={"token": token})
        )

    async def change_device(
        self, device_id: str, *, rings: bool, user_id: str | None = None
    ) -> Device:
        """Turn ringing of a device off, or on again, from the next ring on.

        A device that is off gets no rings and no notifications; it may answer, and its
        streams go on. Registering again, or a new token, leaves it off.
        """
        return cast(
            "Device",
            await self._send(
                Request(
                    "PATCH",
                    f"/v1/devices/{segment(device_id)}",
                    repeatable=True,
                    body={"rings": rings, "user_id": user_id},
                )
            ),
        )

    async def remove_device(self, device_id: str, *, user_id: str | None = None) -> None:
        """Remove a device with its tokens: it will not ring again."""
        await self._send(
            Request(
                "DELETE",
                f"/v1/devices/{segment(device_id)}",
                repeatable=True,
                query={"user_id": user_id},
            )
        )

    async def erase_user(self, user_id: str) -> None:
        """Erase a user: devices, tokens and events; past calls keep a tombstone in their
        place.
        """
        await self._send(Request("DELETE", f"/v1/users/{segment(user_id)}", repeatable=True))

    async def create_user_token(
        self,
        user_id: str,
        *,
        expires_in: int | None = None,
        scopes: list[Literal["devices", "calls", "ring", "history"]] | None = None,
    ) -> UserToken:
        """A user token for this user's app, signed by Ringline with the tenant's secret."""
        return cast(
            "UserToken",
            await self._send(
                Request(
                    "POST",
                    f"/v1/users/{segment(user_id)}/tokens",
                    repeatable=True,
                    body={"expires_in": expires_in, "scopes": scopes},
                )
            ),
        )

    async def revoke_user_tokens(self, user_id: str) -> Revoked:
        """Revoke every token of this user issued by now: user, call and member tokens.

        Within two seconds no process takes them, and streams opened with them have ended. A
        token whose `iat` is in this very second is dead too, as is one without `iat`; later
        ones are good.
        """
        return cast(
            "Revoked",
            await self._send(
                Request("POST", f"/v1/users/{segment(user_id)}/revoke", repeatable=True)
            ),
        )

    async def preview_credential(
        self,
        *,
        file: str,
        password: str | None = None,
        app_id: str | None = None,
        key_id: str | None = None,
        team_id: str | None = None,
        environments: list[Literal["production", "sandbox"]] | None = None,
    ) -> Preview:
        """What is understood of a file; nothing is stored, and Apple is not asked."""
        return cast(
            "Preview",
            await self._send(
                Request(
                    "POST",
                    "/v1/credentials/preview",
                    repeatable=False,
                    body={
                        "file": file,
                        "password": password,
                        "app_id": app_id,
                        "key_id": key_id,
                        "team_id": team_id,
                        "environments": environments,
                    },
                )
            ),
        )

    async def add_credential(
        self,
        *,
        file: str,
        password: str | None = None,
        app_id: str | None = None,
        key_id: str | None = None,
        team_id: str | None = None,
        environments: list[Literal["production", "sandbox"]] | None = None,
    ) -> Credential:
        """Add a credential. Apple is asked about it, so this takes up to 5 s."""
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST",
                    "/v1/credentials",
                    repeatable=False,
                    body={
                        "file": file,
                        "password": password,
                        "app_id": app_id,
                        "key_id": key_id,
                        "team_id": team_id,
                        "environments": environments,
                    },
                )
            ),
        )

    async def list_credentials(self, *, app_id: str | None = None) -> Credentials:
        """Every credential, the newest first; of one app if `app_id` is given."""
        return cast(
            "Credentials",
            await self._send(
                Request("GET", "/v1/credentials", repeatable=True, query={"app_id": app_id})
            ),
        )

    async def request_certificate(self, *, app_id: str) -> Credential:
        """Make a key that never leaves, and the signing request (`request`) for Apple's
        portal.
        """
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST", "/v1/credentials/requests", repeatable=False, body={"app_id": app_id}
                )
            ),
        )

    async def make_vapid_key(self, *, app_id: str, subject: str) -> Credential:
        """Make a VAPID key for a web app; `key_id` is what its browsers subscribe with from
        now on.

        Browsers that have subscribed before go on by the key that they know.
        """
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST",
                    "/v1/credentials/vapid",
                    repeatable=False,
                    body={"app_id": app_id, "subject": subject},
                )
            ),
        )

    async def complete_certificate(
        self, credential_id: str, *, file: str, password: str | None = None
    ) -> Credential:
        """Bring the `.cer` that Apple gave for a signing request."""
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST",
                    f"/v1/credentials/{segment(credential_id)}/certificate",
                    repeatable=False,
                    body={"file": file, "password": password},
                )
            ),
        )

    async def test_push(self, *, user_id: str, device_id: str | None = None) -> TestPush:
        """Ring a user's phones (or one of them) once, marked as a test: what Apple says of
        each.
        """
        return cast(
            "TestPush",
            await self._send(
                Request(
                    "POST",
                    "/v1/credentials/test-push",
                    repeatable=False,
                    body={"user_id": user_id, "device_id": device_id},
                )
            ),
        )

    async def read_credential(self, credential_id: str) -> Credential:
        """One credential."""
        return cast(
            "Credential",
            await self._send(
                Request("GET", f"/v1/credentials/{segment(credential_id)}", repeatable=True)
            ),
        )

    async def delete_credential(self, credential_id: str, *, confirm: bool | None = None) -> None:
        """Delete it and its private key for good. The last working one, and a VAPID key that
        browsers know, want `?confirm=true`.
        """
        await self._send(
            Request(
                "DELETE",
                f"/v1/credentials/{segment(credential_id)}",
                repeatable=True,
                query={"confirm": confirm},
            )
        )

    async def probe_credential(self, credential_id: str) -> Credential:
        """Ask Apple now whether it takes this credential, and in which environments."""
        return cast(
            "Credential",
            await self._send(
                Request("POST", f"/v1/credentials/{segment(credential_id)}/probe", repeatable=False)
            ),
        )

    async def activate_credential(self, credential_id: str) -> Credential:
        """Use this one from now on: brings back one that was replaced or retired."""
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST", f"/v1/credentials/{segment(credential_id)}/activate", repeatable=False
                )
            ),
        )

    async def retire_credential(
        self, credential_id: str, *, confirm: bool | None = None
    ) -> Credential:
        """Use it no more, but keep it. The last working one, and a VAPID key that browsers
        know, want `{"confirm": true}`.
        """
        return cast(
            "Credential",
            await self._send(
                Request(
                    "POST",
                    f"/v1/credentials/{segment(credential_id)}/retire",
                    repeatable=False,
                    body={"confirm": confirm},
                )
            ),
        )

    def read_audit_log(
        self, *, limit: int | None = None, target: str | None = None
    ) -> AsyncIterator[AuditLine]:
        """Who did what, when and from where, the newest first. `cursor` is `next_cursor` of
        before.
        """
        return cast(
            "AsyncIterator[AuditLine]",
            self._pages(
                Request(
                    "GET", "/v1/audit", repeatable=True, query={"limit": limit, "target": target}
                ),
                "audit",
            ),
        )

    async def list_webhooks(self) -> Webhooks:
        """Every webhook of the tenant."""
        return cast("Webhooks", await self._send(Request("GET", "/v1/webhooks", repeatable=True)))

    async def create_webhook(
        self, *, url: str, events: list[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """A new webhook. Its `secret` is shown this once."""
        return cast(
            "NewWebhook",
            await self._send(
                Request(
                    "POST",
                    "/v1/webhooks",
                    repeatable=False,
                    body={"url": url, "events": events, "description": description},
                )
            ),
        )

    async def read_webhook(self, webhook_id: str) -> Webhook:
        """One webhook, and how it does."""
        return cast(
            "Webhook",
            await self._send(
                Request("GET", f"/v1/webhooks/{segment(webhook_id)}", repeatable=True)
            ),
        )

    async def change_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: list[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change a webhook, turn it off, or on again."""
        return cast(
            "Webhook",
            await self._send(
                Request(
                    "PATCH",
                    f"/v1/webhooks/{segment(webhook_id)}",
                    repeatable=True,
                    body={
                        "url": url,
                        "events": events,
                        "description": description,
                        "enabled": enabled,
                    },
                )
            ),
        )

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook; what waits for it is not sent."""
        await self._send(Request("DELETE", f"/v1/webhooks/{segment(webhook_id)}", repeatable=True))

    async def rotate_webhook_secret(
        self, webhook_id: str, *, overlap: float | None = None
    ) -> NewSecret:
        """A new secret, shown this once. The old one signs too for a while: two signatures."""
        return cast(
            "NewSecret",
            await self._send(
                Request(
                    "POST",
                    f"/v1/webhooks/{segment(webhook_id)}/rotate",
                    repeatable=False,
                    body={"overlap": overlap},
                )
            ),
        )

    def list_deliveries(
        self,
        webhook_id: str,
        *,
        state: Literal["pending", "sending", "delivered", "failed"] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Delivery]:
        """What was sent to a webhook, or waits to be, the newest first."""
        return cast(
            "AsyncIterator[Delivery]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/webhooks/{segment(webhook_id)}/deliveries",
                    repeatable=True,
                    query={"state": state, "limit": limit},
                ),
                "deliveries",
            ),
        )

    def list_attempts(
        self, webhook_id: str, *, event_id: str | None = None, limit: int | None = None
    ) -> AsyncIterator[Attempt]:
        """Every try, with the beginning of what the endpoint answered, the newest first."""
        return cast(
            "AsyncIterator[Attempt]",
            self._pages(
                Request(
                    "GET",
                    f"/v1/webhooks/{segment(webhook_id)}/attempts",
                    repeatable=True,
                    query={"event_id": event_id, "limit": limit},
                ),
                "attempts",
            ),
        )

    async def resend_delivery(self, webhook_id: str, event_id: str) -> Resent:
        """Send an event once more, whatever came of it before."""
        return cast(
            "Resent",
            await self._send(
                Request(
                    "POST",
                    f"/v1/webhooks/{segment(webhook_id)}/deliveries/{segment(event_id)}/resend",
                    repeatable=False,
                )
            ),
        )

    async def read_settings(self) -> TenantSettings:
        """The tenant's settings, those that have their default included."""
        return cast(
            "TenantSettings", await self._send(Request("GET", "/v1/settings", repeatable=True))
        )

    async def replace_settings(
        self,
        *,
        limits: dict[str, Any] | None = None,
        call_types: dict[str, dict[str, Any]] | None = None,
        rate_limits: dict[str, Any] | None = None,
        when_busy: Literal["ring", "busy", "quiet"] | None = None,
        busy_call_types: dict[str, Literal["ring", "busy", "quiet"]] | None = None,
        users_may_ring: bool | None = None,
        urgent_allowed: bool | None = None,
        tell_suppressed: bool | None = None,
        users_may_set_handles: bool | None = None,
        store_and_forward: bool | None = None,
        voip_stops: bool | None = None,
        end_unreachable: bool | None = None,
        decline_reach: Literal["user", "device"] | None = None,
        presence: bool | None = None,
        profiles: dict[str, str] | None = None,
        android_profiles: dict[str, str] | None = None,
        android_v2: list[str] | None = None,
        templates: dict[str, dict[str, Any]] | None = None,
        notifications: dict[str, NotificationsIn] | None = None,
        alert_rings: dict[str, float] | None = None,
        user_tokens: UserTokenRules | None = None,
        keep_events_days: float | None = None,
        keep_calls_days: float | None = None,
    ) -> TenantSettings:
        """Replace the settings; what is not named has its default. In force within a second.

        Calls that live keep the limits they began with.
        """
        return cast(
            "TenantSettings",
            await self._send(
                Request(
                    "PUT",
                    "/v1/settings",
                    repeatable=True,
                    body={
                        "limits": limits,
                        "call_types": call_types,
                        "rate_limits": rate_limits,
                        "when_busy": when_busy,
                        "busy_call_types": busy_call_types,
                        "users_may_ring": users_may_ring,
                        "urgent_allowed": urgent_allowed,
                        "tell_suppressed": tell_suppressed,
                        "users_may_set_handles": users_may_set_handles,
                        "store_and_forward": store_and_forward,
                        "voip_stops": voip_stops,
                        "end_unreachable": end_unreachable,
                        "decline_reach": decline_reach,
                        "presence": presence,
                        "profiles": profiles,
                        "android_profiles": android_profiles,
                        "android_v2": android_v2,
                        "templates": templates,
                        "notifications": notifications,
                        "alert_rings": alert_rings,
                        "user_tokens": user_tokens,
                        "keep_events_days": keep_events_days,
                        "keep_calls_days": keep_calls_days,
                    },
                )
            ),
        )

    async def read_ringing(self) -> Ringing:
        """Whether all new ringing is stopped."""
        return cast(
            "Ringing", await self._send(Request("GET", "/v1/settings/ringing", repeatable=True))
        )

    async def switch_ringing(self, *, stopped: bool) -> Ringing:
        """Stop all new ringing at once, or let it go on. Calls that live are not touched."""
        return cast(
            "Ringing",
            await self._send(
                Request("PUT", "/v1/settings/ringing", repeatable=True, body={"stopped": stopped})
            ),
        )

    async def read_preferences(self, user_id: str) -> PreferencesIn:
        """What a user wants of rings; by a key, or by the user's own token."""
        return cast(
            "PreferencesIn",
            await self._send(
                Request("GET", f"/v1/users/{segment(user_id)}/preferences", repeatable=True)
            ),
        )

    async def replace_preferences(
        self,
        user_id: str,
        *,
        do_not_disturb_until: str | None = None,
        quiet_hours: QuietHours | None = None,
        call_types: dict[str, Literal["ring", "notify", "nothing"]] | None = None,
        exceptions: Exceptions | None = None,
    ) -> PreferencesIn:
        """Replace what a user wants of rings; what is absent wants nothing. The next ring
        obeys it.

        A ring that it stops is not pushed, and told to nobody of the user's; to the caller
        it rings until its time is over.
        """
        return cast(
            "PreferencesIn",
            await self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/preferences",
                    repeatable=True,
                    body={
                        "do_not_disturb_until": do_not_disturb_until,
                        "quiet_hours": quiet_hours,
                        "call_types": call_types,
                        "exceptions": exceptions,
                    },
                )
            ),
        )

    async def list_blocks(self, user_id: str) -> Blocks:
        """Whom a user has blocked, by id; at most 1,000."""
        return cast(
            "Blocks",
            await self._send(
                Request("GET", f"/v1/users/{segment(user_id)}/blocks", repeatable=True)
            ),
        )

    async def block_user(self, user_id: str, blocked_id: str) -> Block:
        """Block another user: their rings reach nobody of this user's, and they are not told
        so.
        """
        return cast(
            "Block",
            await self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/blocks/{segment(blocked_id)}",
                    repeatable=True,
                )
            ),
        )

    async def unblock_user(self, user_id: str, blocked_id: str) -> None:
        """Take a block back."""
        await self._send(
            Request(
                "DELETE",
                f"/v1/users/{segment(user_id)}/blocks/{segment(blocked_id)}",
                repeatable=True,
            )
        )

    async def list_handles(self, user_id: str) -> Handles:
        """By which handles a user may be rung, as they were given."""
        return cast(
            "Handles",
            await self._send(
                Request("GET", f"/v1/users/{segment(user_id)}/handles", repeatable=True)
            ),
        )

    async def replace_handles(self, user_id: str, *, handles: list[HandleIn]) -> Handles:
        """Replace a user's handles: `POST /v1/calls` may name who is rung by them.

        Of one kind a handle is one user's: 409 `handle_taken`, and nothing is changed. By
        the user's own token where the setting `users_may_set_handles` is on.
        """
        return cast(
            "Handles",
            await self._send(
                Request(
                    "PUT",
                    f"/v1/users/{segment(user_id)}/handles",
                    repeatable=True,
                    body={"handles": handles},
                )
            ),
        )
