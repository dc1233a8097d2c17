"""Which problem codes each operation can tell, with their status and an example each.

The tests' clients hold every refusal against this table: a code that is told and not declared for
its operation fails the test that met it, and so does one that is declared and nowhere raised.
"""

from typing import Final

from app.credentials.files.refusals import EXPLANATIONS

CODES: Final[dict[str, tuple[int, str]]] = {
    "repeated_header": (400, "Authorization: is given twice, and differs"),
    "unsupported_header": (
        400,
        "If-Match: nothing here is changed on a condition: send the request without it",
    ),
    "missing_credential": (401, "send `Authorization: Bearer` with an API key or a user token"),
    "invalid_api_key": (401, "this API key is unknown or has been revoked"),
    "invalid_token": (401, "the token's signature does not fit"),
    "expired_token": (401, "this token has expired"),
    "token_not_yet_valid": (401, "the token's `nbf` or `iat` is ahead of the server's clock"),
    "token_lives_too_long": (401, "the token lives longer than may be"),
    "wrong_issuer": (401, "the token's `iss` is not the tenant's issuer"),
    "wrong_audience": (401, "the token's `aud` does not name the tenant"),
    "unknown_issuer": (401, "no tenant takes tokens of this `iss` and `aud` (`user_tokens`)"),
    "user_erased": (401, "this user was erased: a token must be made after that"),
    "token_revoked": (401, "this user's tokens were revoked: a token must be made after that"),
    "tenant_deleted": (401, "the tenant of this token was deleted"),
    "not_allowed": (403, "this needs an API key or a user token"),
    "missing_scope": (403, "this API key lacks the scope `calls`"),
    "wrong_user": (403, "user_id: this user token cannot act for another user"),
    "wrong_device": (403, "device_id: this token cannot act for another device"),
    "ringing_not_allowed": (403, "users of this tenant may not ring; ring with an API key"),
    "urgent_not_allowed": (403, "urgent: this tenant has no urgent rings (`urgent_allowed`)"),
    "handles_not_allowed": (403, "users of this tenant may not set handles; use an API key"),
    "not_the_caller": (403, "only the caller or the server can cancel a call"),
    "call_not_found": (404, "there is no such call"),
    "not_a_member": (404, "user_id: this user is no member of the call"),
    "device_not_found": (404, "there is no such device"),
    "user_not_found": (404, "there is no such user"),
    "credential_not_found": (404, "there is no such credential"),
    "subscription_not_found": (404, "this subscription is not registered any more: register it"),
    "nothing_to_ring": (404, "there is no phone with a live VoIP token to ring"),
    "webhook_not_found": (404, "there is no such webhook"),
    "delivery_not_found": (404, "this event was not for this webhook"),
    "secret_not_found": (404, "there is no such signing secret"),
    "key_not_found": (404, "there is no such live API key"),
    "block_not_found": (404, "this user has not blocked that one"),
    "handle_taken": (409, "handles.0: is another user's"),
    "too_many_blocks": (409, "a user blocks 1,000 others at most"),
    "ringing_stopped": (409, "this tenant has stopped all new ringing"),
    "call_in_progress": (409, "a call with this cid is live and the caller has not joined it"),
    "idempotency_key_reused": (409, "this key came with another body in the last 24 hours"),
    "answered_elsewhere": (409, "another device of this user has the call"),
    "call_active": (409, "somebody has joined: `leave` or `end` it instead"),
    "not_joined": (409, "this user has not joined the call"),
    "no_signing_secret": (409, "this tenant has no live signing secret: make one"),
    "issuer_taken": (409, "another tenant takes tokens of this issuer and audience"),
    "too_many_credentials": (
        409,
        "app_id: com.example.app has 50 credentials: delete those not used",
    ),
    "too_many_requests": (409, "20 keys wait for their certificate; delete those not needed"),
    "no_certificate_yet": (409, "this key still waits for its certificate"),
    "credential_exists": (409, "this certificate is stored already; to use it again, activate it"),
    "credential_expired": (409, "this certificate has expired; add a new one"),
    "credential_refused": (409, "Apple refuses this credential"),
    "too_many_keys": (409, "an app has at most 20 VAPID keys: delete those not used"),
    "key_in_use": (409, "3 browsers subscribed with this key: say so again with confirm=true"),
    "last_credential": (409, "this is the last working credential: say so with confirm=true"),
    "too_many_webhooks": (409, "a tenant has at most 20 webhooks"),
    "too_many_signing_secrets": (409, "two secrets are live: revoke one first"),
    "last_api_key": (409, "this is the only live API key: say so with confirm=true"),
    "last_signing_secret": (409, "this is the only live secret: say so with confirm=true"),
    "ring_settled": (410, "this ring is over: missed"),
    "call_ended": (410, "this call is over: completed"),
    "device_removed": (410, "this device is no more the user's: it cannot answer"),
    "body_too_large": (413, "the body is larger than 262144 bytes"),
    "unsupported_media_type": (
        415,
        "Content-Type: a body here is JSON in UTF-8: send it so, with `application/json`",
    ),
    "unsupported_encoding": (
        415,
        "Content-Encoding: nothing is unpacked here: send the body as it is, without it",
    ),
    "unknown_parameter": (
        422,
        "stat: there is no such parameter; did you mean `state`? There are: `state`, `limit`",
    ),
    "repeated_parameter": (422, "state: is given twice: give it once"),
    "unexpected_body": (422, "this operation reads no body, and nothing was done"),
    "duplicate_field": (422, "callees: is given twice in one object: give it once"),
    "invalid_json": (422, "the body is not valid JSON in UTF-8"),
    "invalid_field": (422, "video: must be a valid boolean"),
    "invalid_text": (422, "must not hold U+0000 or half a surrogate pair"),
    "missing_field": (422, "user_id: an API key must say for which user"),
    "unknown_field": (422, "this field is not known here; remove it or correct its spelling"),
    "invalid_user_id": (422, "must be 1 to 128 printable ASCII characters"),
    "invalid_device_id": (422, "must be 1 to 128 printable ASCII characters"),
    "invalid_call_type": (422, "must be 1 to 64 of a-z 0-9 _ -"),
    "invalid_id": (422, "must be 1 to 64 of A-Z a-z 0-9 _ -"),
    "invalid_app_id": (422, "must look like com.example.app: letters, digits, dots and hyphens"),
    "invalid_custom": (422, "must be JSON that others can read"),
    "custom_too_large": (422, "custom: must be at most 2048 bytes as JSON"),
    "invalid_avatar_url": (422, "scheme: must begin with https://"),
    "avatar_url_too_long": (422, "must have at most 1024 characters"),
    "invalid_handle": (422, "value: a phone number, such as +49 30 1234567"),
    "unknown_handle": (422, "callees.0.handle: no user has this handle"),
    "duplicate_handle": (422, "handles.1: is named twice"),
    "too_many_handles": (422, "handles: at most 20 handles"),
    "ring_time_out_of_bounds": (422, "ring_time: must be from 5 to 180 seconds"),
    "no_callees": (422, "callees: name at least one user to ring"),
    "duplicate_callee": (422, "callees.1: this user is named twice"),
    "caller_among_callees": (422, "callees.0: the caller cannot be rung by this call"),
    "too_many_members": (422, "callees: a call holds at most 350 members, the caller included"),
    "invalid_idempotency_key": (422, "must have 1 to 255 printable characters"),
    "no_tokens": (422, "tokens: a device is registered with at least one token"),
    "too_many_tokens": (422, "tokens: at most 8 for one device"),
    "duplicate_token": (422, "tokens.1: a device has one token of each kind for an app"),
    "unknown_kind": (
        422,
        (
            "tokens.0.kind: must be `voip` (PushKit), `alert` (UserNotifications), `fcm` (Android) "
            "or `webpush` (browsers)"
        ),
    ),
    "token_not_hex": (422, "must be hexadecimal digits: the bytes of PushKit's token"),
    "token_odd_length": (422, "has an odd number of digits: one was lost on the way"),
    "token_wrong_length": (422, "must have 64 to 200 hexadecimal digits"),
    "token_malformed": (422, "must be an FCM registration token, as `getToken()` gives it"),
    "invalid_endpoint": (422, "scheme: must begin with https://"),
    "invalid_subscription": (422, "must be base64url of 65 bytes"),
    "no_vapid_key": (422, "tokens.0.app_id: there is no VAPID key for https://app.example.com"),
    "unknown_vapid_key": (
        422,
        "tokens.0.application_server_key: this is no VAPID key that is in use",
    ),
    "invalid_subject": (422, "subject: mailto:push@example.com or https://example.com/contact"),
    "no_environment": (422, "environment: an fcm token has none"),
    "expiry_out_of_bounds": (422, "expires_in: must be from 300 to 15,552,000 seconds (180 days)"),
    "unknown_scope": (422, "scope: there is no 'call'; did you mean 'calls'?"),
    "invalid_base64": (422, "must be the file's bytes in base64, or the text of a PEM file"),
    "invalid_environments": (422, "must name production, sandbox or both"),
    "payload": (422, "the tenant's payload cannot be made"),
    "invalid_url": (422, "url: must begin with https://"),
    "https_required": (422, "url: must begin with https://"),
    "private_address": (422, "url: this address is not public"),
    "no_events": (422, "events: name at least one, or `*` for all"),
    "unknown_event": (
        422,
        "events.0: there is no such event; did you mean `call.started`? `*` is all",
    ),
    "too_many_events": (422, "events: at most 50 filters; `*` stands for all"),
    "invalid_cursor": (422, "cursor: give `next_cursor` of the page before, of this list"),
    "invalid_time": (422, "until: must be a time that a call can have, in the years 1970 to 2969"),
    "own_block": (422, "blocked_id: nobody can block themselves"),
    "unknown_time_zone": (422, "there is no IANA zone of this name: Europe/Berlin, say"),
    "too_many_periods": (422, "quiet_hours.periods: at most 28 periods"),
    "too_many_exceptions": (422, "quiet_hours.except: at most 200 users"),
    "unknown_limit": (422, "limits.rng: is not a limit; known are ring, away"),
    "unknown_rate_limit": (422, "rate_limits.rings: is not a rate limit; known are rings_per_key"),
    "rate_limit_out_of_bounds": (
        422,
        "rate_limits.rings_per_key: must be from 1 to 10000000 a minute",
    ),
    "limit_out_of_bounds": (422, "limits.ring: must be from 5 to 180"),
    "limits_disagree": (422, "limits.removed: must not be less than `away`"),
    "too_many_call_types": (422, "call_types: at most 200 call types"),
    "alert_rings_out_of_bounds": (422, "must be from 4 to 9 seconds"),
    "too_many_apps": (422, "profiles: at most 1,000 apps"),
    "unknown_profile": (422, "profiles.com.example.app: there is no profile of this name"),
    "invalid_template": (422, "templates.com.example.app: {{uuid}} is missing"),
    "missing_template": (422, "templates.com.example.app: its profile `custom` needs a template"),
    "invalid_jwks": (422, "keys: at least one public key (RS256 or ES256)"),
    "two_key_sets": (422, "user_tokens.jwks_url: give `jwks` or this, not both"),
    "missing_issuer": (422, "user_tokens.issuer: a JWKS needs one, by which its tenant is found"),
    "too_many_files": (429, "8 files of this tenant wait to be read; try again later"),
    "too_many_streams": (429, "a user may have 100 streams open"),
    "too_many_rings": (429, "rate limit `rings_per_callee`: 600 a minute; try again in 9 s"),
    "too_many_registrations": (429, "rate limit `registrations_per_user`: 600 a minute"),
    "database_unavailable": (503, "the database does not answer; try again"),
    "busy": (503, "another request holds what this one needs; try again"),
    "jwks_unavailable": (503, "the tenant's `jwks_url` gives no keys"),
    "shutting_down": (503, "this server is stopping; connect again"),
    "stopping": (503, "this process is about to stop"),
    "database_not_migrated": (503, "run `ringline migrate`: the database is older"),
    "wrong_secret_key": (503, "RINGLINE_SECRET_KEY is not the key of this database"),
    "database_read_only": (503, "the database takes no writes: it is a standby"),
    "no_worker": (503, "no worker is alive: start one with `ringline worker`"),
} | {code: (422, f"{one.what} {one.why}") for code, one in EXPLANATIONS.items()}

_UNREAD: Final = (
    "unknown_parameter repeated_parameter repeated_header unsupported_header unsupported_encoding "
    "unsupported_media_type"
)
_ALL: Final = (
    "missing_credential invalid_api_key invalid_token expired_token unknown_issuer user_erased "
    "token_not_yet_valid token_lives_too_long wrong_issuer wrong_audience "
    "token_revoked tenant_deleted not_allowed database_unavailable "
    "database_not_migrated busy jwks_unavailable "
    f"{_UNREAD}"
)
_OF_NOBODY: Final = (
    f"invalid_token expired_token database_unavailable database_not_migrated busy {_UNREAD}"
)
_BODY: Final = (
    "body_too_large invalid_json invalid_field invalid_text missing_field unknown_field "
    "duplicate_field"
)
_ACT: Final = (
    f"{_BODY} missing_scope wrong_user wrong_device invalid_user_id invalid_device_id "
    "call_not_found not_a_member"
)
_DEVICE: Final = (
    "missing_scope wrong_user missing_field invalid_field invalid_user_id invalid_device_id"
)
_HISTORY: Final = (
    "missing_scope invalid_field invalid_text invalid_call_type invalid_time invalid_cursor"
)
_APP: Final = "app_id_missing app_id_malformed"
_FILE: Final = f"{_BODY} missing_scope invalid_base64 too_many_files {' '.join(EXPLANATIONS)}"
_WEBHOOK: Final = f"{_BODY} missing_scope"
_EVENTS: Final = (
    "invalid_url https_required private_address no_events unknown_event too_many_events"
)
_ONE: Final = "missing_scope invalid_field"

OF_OPERATION: Final[dict[str, str]] = {
    "ring": f"{_BODY} missing_scope wrong_user ringing_stopped ringing_not_allowed invalid_user_id "
    "invalid_device_id invalid_call_type invalid_id invalid_custom custom_too_large "
    "invalid_avatar_url avatar_url_too_long invalid_handle unknown_handle ring_time_out_of_bounds "
    "urgent_not_allowed "
    "no_callees duplicate_callee caller_among_callees too_many_members missing_template "
    "invalid_idempotency_key "
    "idempotency_key_reused call_in_progress too_many_rings",
    "read_call": "missing_scope call_not_found",
    "list_calls": f"{_HISTORY} invalid_user_id",
    "list_user_calls": f"{_HISTORY} {_DEVICE}",
    "see_user_calls": f"{_DEVICE} {_BODY} invalid_time",
    "report_ring": _ACT,
    "accept_call": f"{_ACT} answered_elsewhere ring_settled call_ended device_removed",
    "join_call": f"{_ACT} answered_elsewhere ring_settled call_ended",
    "decline_call": _ACT,
    "cancel_call": f"{_ACT} not_the_caller call_active",
    "leave_call": _ACT,
    "end_call": _ACT,
    "heartbeat": f"{_ACT} answered_elsewhere call_ended not_joined",
    "stream_events": f"{_DEVICE} too_many_streams shutting_down",
    "list_event_types": "",
    "read_timeline": "missing_scope call_not_found",
    "register_device": f"{_DEVICE} {_BODY} invalid_app_id no_tokens too_many_tokens "
    "duplicate_token unknown_kind token_not_hex token_odd_length token_wrong_length "
    "token_malformed no_environment expiry_out_of_bounds invalid_endpoint invalid_subscription "
    "no_vapid_key unknown_vapid_key private_address too_many_registrations",
    "activate_subscription": f"{_BODY} subscription_not_found",
    "read_web_push_key": "missing_scope missing_field invalid_field invalid_text invalid_app_id "
    "credential_not_found",
    "list_devices": _DEVICE,
    "unregister_device": f"{_DEVICE} {_BODY} token_not_hex token_odd_length token_wrong_length "
    "token_malformed invalid_endpoint device_not_found",
    "change_device": f"{_DEVICE} {_BODY} device_not_found",
    "remove_device": f"{_DEVICE} device_not_found",
    "erase_user": f"{_DEVICE} user_not_found",
    "create_user_token": f"{_DEVICE} {_BODY} unknown_scope no_signing_secret",
    "revoke_user_tokens": _DEVICE,
    "read_preferences": _DEVICE,
    "replace_preferences": (
        f"{_DEVICE} {_BODY} invalid_call_type too_many_call_types unknown_time_zone "
        "too_many_periods too_many_exceptions"
    ),
    "list_blocks": _DEVICE,
    "list_handles": _DEVICE,
    "replace_handles": f"{_DEVICE} {_BODY} invalid_handle duplicate_handle too_many_handles "
    "handles_not_allowed handle_taken",
    "block_user": f"{_DEVICE} own_block too_many_blocks",
    "unblock_user": f"{_DEVICE} block_not_found",
    "preview_credential": f"{_FILE} invalid_environments",
    "add_credential": f"{_FILE} invalid_environments credential_exists too_many_credentials",
    "list_credentials": f"{_ONE} invalid_app_id",
    "request_certificate": f"{_BODY} missing_scope {_APP} too_many_requests too_many_files "
    "too_many_credentials",
    "make_vapid_key": f"{_BODY} missing_scope {_APP} invalid_subject too_many_keys "
    "too_many_credentials",
    "complete_certificate": f"{_FILE} credential_not_found credential_exists too_many_credentials",
    "test_push": f"{_BODY} missing_scope invalid_user_id invalid_device_id nothing_to_ring payload",
    "read_credential": f"{_ONE} credential_not_found",
    "delete_credential": f"{_ONE} credential_not_found last_credential key_in_use",
    "probe_credential": f"{_ONE} credential_not_found no_certificate_yet",
    "activate_credential": f"{_ONE} credential_not_found no_certificate_yet credential_expired "
    "credential_refused",
    "retire_credential": f"{_ONE} {_BODY} credential_not_found last_credential key_in_use",
    "read_audit_log": f"{_ONE} invalid_text invalid_cursor",
    "list_webhooks": "missing_scope",
    "create_webhook": f"{_WEBHOOK} {_EVENTS} too_many_webhooks",
    "read_webhook": f"{_ONE} webhook_not_found",
    "change_webhook": f"{_WEBHOOK} {_EVENTS} webhook_not_found",
    "delete_webhook": f"{_ONE} webhook_not_found",
    "rotate_webhook_secret": f"{_WEBHOOK} webhook_not_found",
    "list_deliveries": f"{_ONE} invalid_text invalid_cursor webhook_not_found",
    "list_attempts": f"{_ONE} invalid_text invalid_cursor webhook_not_found",
    "resend_delivery": f"{_ONE} invalid_text webhook_not_found delivery_not_found",
    "list_api_keys": "missing_scope",
    "revoke_api_key": f"{_ONE} key_not_found last_api_key",
    "list_signing_secrets": "missing_scope",
    "create_signing_secret": "missing_scope too_many_signing_secrets",
    "revoke_signing_secret": f"{_ONE} secret_not_found last_signing_secret",
    "read_settings": "missing_scope",
    "read_ringing": "missing_scope",
    "switch_ringing": f"{_BODY} missing_scope",
    "replace_settings": f"{_BODY} missing_scope invalid_app_id invalid_call_type unknown_limit "
    "unknown_rate_limit rate_limit_out_of_bounds "
    "limit_out_of_bounds limits_disagree too_many_call_types too_many_apps unknown_profile "
    "alert_rings_out_of_bounds "
    "invalid_template missing_template invalid_jwks two_key_sets missing_issuer issuer_taken "
    "invalid_url https_required private_address",
    "is_alive": "",
    "is_ready": "stopping database_unavailable database_not_migrated wrong_secret_key "
    "database_read_only no_worker",
}

HEALTH: Final = frozenset({"is_alive", "is_ready"})
"""What monitors ask, each in its own way: whatever else they say is passed over."""


def codes_of(operation_id: str) -> dict[int, list[str]]:
    """The codes that an operation can tell, by status."""
    said = OF_OPERATION[operation_id].split()
    if operation_id == "activate_subscription":
        said += _OF_NOBODY.split()
    elif operation_id not in HEALTH:
        said += _ALL.split()
    if operation_id not in HEALTH and "invalid_json" not in said:
        said.append("unexpected_body")
    found: dict[int, list[str]] = {}
    for code in sorted(set(said)):
        found.setdefault(CODES[code][0], []).append(code)
    return dict(sorted(found.items()))
