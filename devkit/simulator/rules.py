"""Apple's checks of a request, in Apple's order.

Sources: "Sending notification requests to APNs", "Handling notification responses from APNs",
and what APNs was seen to answer where those are silent. Duplicate headers come first, then
apns-id, method, topic, collapse-id, priority, push-type, expiration, path and token,
authentication, what is known of the token, and payload. Nothing known of a token is told to
somebody who may not push to it.
"""

import json
import re
import uuid
from collections.abc import Callable
from typing import Protocol

from devkit.simulator.answers import Refusal
from devkit.simulator.devices import Device, Environment
from devkit.simulator.identity import CertificateIdentity
from devkit.simulator.requests import PushRequest

VOIP_PAYLOAD_LIMIT = 5120
PAYLOAD_LIMIT = 4096
_COLLAPSE_ID_LIMIT = 64
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_TOKEN = re.compile(r"[0-9a-fA-F]{64,200}")
_DEVICE_PATH = "/3/device/"

TOPIC_SUFFIX_OF_TYPE = {
    "alert": "",
    "background": "",
    "complication": ".complication",
    "controls": ".push-type.controls",
    "fileprovider": ".pushkit.fileprovider",
    "liveactivity": ".push-type.liveactivity",
    "location": ".location-query",
    "mdm": "",
    "pushtotalk": ".voip-ptt",
    "voip": ".voip",
    "widgets": ".push-type.widgets",
}


class Sender(Protocol):
    """What the rules need to know of the connection a request came on."""

    environment: Environment
    identity: CertificateIdentity | None

    def authenticate_token(self, authorization: str | None) -> frozenset[str] | None:
        """Check a provider token; give the bundle ids of its key (None: any)."""


DeviceFinder = Callable[[str, str, Environment], Device]


def judge(request: PushRequest, sender: Sender, find_device: DeviceFinder) -> Device:
    """Run all checks; give the device that the push is for, or raise Refusal.

    Fills in `apns_id` (one is made when the request has none), `topic` and `expiration`.
    """
    if request.repeated:
        raise Refusal("DuplicateHeaders")
    _check_apns_id(request)
    if request.method != "POST":
        raise Refusal("MethodNotAllowed")
    _check_topic(request, sender.identity)
    if len(request.fields.get("apns-collapse-id", "").encode("latin-1")) > _COLLAPSE_ID_LIMIT:
        raise Refusal("BadCollapseId")
    push_type = request.fields.get("apns-push-type")
    _check_priority(request, push_type)
    _check_push_type(push_type, request.topic)
    _check_expiration(request)
    _check_path(request)
    _check_authentication(request, sender)
    device = find_device(request.token, request.topic, sender.environment)
    if push_type == "voip" and not request.topic.endswith(".voip"):
        # Seen of APNs: a VoIP push needs the bundle id with `.voip`, as its token belongs to that.
        raise Refusal("DeviceTokenNotForTopic")
    _check_payload(request, push_type)
    return device


def _check_apns_id(request: PushRequest) -> None:
    if "apns-id" not in request.fields:
        request.apns_id = str(uuid.uuid4()).upper()
    elif _UUID.fullmatch(request.apns_id) is None:
        raise Refusal("BadMessageId")


def _check_topic(request: PushRequest, identity: CertificateIdentity | None) -> None:
    """Check apns-topic; a certificate for a single topic makes it optional."""
    if "apns-topic" not in request.fields:
        if identity is None or len(identity.topics) != 1:
            raise Refusal("MissingTopic")
        request.topic = identity.topics[0]
    if _TOPIC.fullmatch(request.topic) is None or len(request.topic) > 255:
        raise Refusal("BadTopic")
    if request.topic.endswith(".voip.voip"):
        raise Refusal("BadTopic")


def _check_priority(request: PushRequest, push_type: str | None) -> None:
    """Check apns-priority: 10, 5 or 1; 10 is an error for a background push."""
    priority = request.fields.get("apns-priority")
    if priority is None:
        return
    if priority not in ("10", "5", "1") or (push_type == "background" and priority == "10"):
        raise Refusal("BadPriority")


def _check_push_type(push_type: str | None, topic: str) -> None:
    """Check apns-push-type: a known one, and none but `voip` for a VoIP topic.

    APNs was seen to refuse `alert` and `background` for a `.voip` topic, and to accept the header's
    absence.
    """
    if push_type is None:
        return
    if push_type not in TOPIC_SUFFIX_OF_TYPE:
        raise Refusal("InvalidPushType")
    if topic.endswith(".voip") and push_type != "voip":
        raise Refusal("InvalidPushType")


def _check_expiration(request: PushRequest) -> None:
    """Read apns-expiration: seconds since 1970, 0 for "once, now"; absent: Apple's own policy."""
    text = request.fields.get("apns-expiration")
    if text is None:
        return
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise Refusal("BadExpirationDate")
    request.expiration = int(text)


def _check_path(request: PushRequest) -> None:
    path = request.path
    if path in ("/3/device", _DEVICE_PATH):
        raise Refusal("MissingDeviceToken")
    if not path.startswith(_DEVICE_PATH):
        raise Refusal("BadPath")
    token = path[len(_DEVICE_PATH) :]
    if "/" in token:
        raise Refusal("BadPath")
    if _TOKEN.fullmatch(token) is None or len(token) % 2:
        raise Refusal("BadDeviceToken")


def _check_authentication(request: PushRequest, sender: Sender) -> None:
    """Check certificate or provider token; with a certificate, APNs ignores the token."""
    identity = sender.identity
    if identity is None:
        bundles = sender.authenticate_token(request.fields.get("authorization"))
        if bundles is not None and not any(_belongs(request.topic, b) for b in bundles):
            raise Refusal("TopicDisallowed")
        return
    if not identity.usable:
        raise Refusal("BadCertificate")
    if sender.environment not in identity.environments:
        raise Refusal("BadCertificateEnvironment")
    if request.topic not in identity.topics:
        raise Refusal("TopicDisallowed")


def _belongs(topic: str, bundle: str) -> bool:
    return topic == bundle or any(
        suffix and topic == bundle + suffix for suffix in TOPIC_SUFFIX_OF_TYPE.values()
    )


def _check_payload(request: PushRequest, push_type: str | None) -> None:
    """Check the payload: a JSON object of at most 5,120 bytes for VoIP, 4,096 otherwise."""
    voip = push_type == "voip" or (push_type is None and request.topic.endswith(".voip"))
    if request.size > (VOIP_PAYLOAD_LIMIT if voip else PAYLOAD_LIMIT):
        raise Refusal("PayloadTooLarge")
    try:
        payload = json.loads(request.body)
    except ValueError:
        payload = None
    if not isinstance(payload, dict) or not payload:
        # Apple lists no reason for a payload that is there but not JSON; this is the nearest.
        raise Refusal("PayloadEmpty")
