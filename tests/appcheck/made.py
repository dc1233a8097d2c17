"""Apps made for the tests: there is no Xcode and no Android SDK here to build real ones."""

import plistlib
import struct
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BUNDLE = "com.example.Calls"
INFO: dict[str, Any] = {
    "CFBundleIdentifier": BUNDLE, "CFBundleExecutable": "Calls",
    "CFBundleShortVersionString": "1.2", "UIBackgroundModes": ["voip", "remote-notification"],
    "NSMicrophoneUsageDescription": "So that others hear you.",
}  # fmt: skip
ENTITLED: dict[str, Any] = {
    "application-identifier": f"ABCDE12345.{BUNDLE}", "aps-environment": "production",
}  # fmt: skip
ANDROID = "http://schemas.android.com/apk/res/android"
IDS = {
    "name": 0x01010003, "exported": 0x01010010, "targetSdkVersion": 0x01010270,
    "foregroundServiceType": 0x01010599, "showWhenLocked": 0x01010569, "value": 0x01010024,
}  # fmt: skip


def program(entitlements: dict[str, Any] | None, *, fat: bool = False, bits: int = 64) -> bytes:
    """A Mach-O program: a header, a load command, code, and a signature of three blobs."""
    blobs = [
        (0, struct.pack(">II", 0xFADE0C02, 12) + b"code"),
        (2, struct.pack(">II", 0xFADE0C01, 8)),
    ]
    if entitlements is not None:
        text = plistlib.dumps(entitlements)
        blobs.insert(1, (5, struct.pack(">II", 0xFADE7171, 8 + len(text)) + text))
    at, index, body = 12 + 8 * len(blobs), b"", b""
    for slot, blob in blobs:
        index += struct.pack(">II", slot, at + len(body))
        body += blob
    signature = struct.pack(">III", 0xFADE0CC0, at + len(body), len(blobs)) + index + body
    segment = struct.pack("<II", 0x19, 72) + bytes(64)
    code = bytes(4096)
    header_size = 32 if bits == 64 else 28
    offset = header_size + len(segment) + 16 + len(code)
    commands = segment + struct.pack("<IIII", 0x1D, 16, offset, len(signature))
    magic = 0xFEEDFACF if bits == 64 else 0xFEEDFACE
    header = struct.pack("<7I", magic, 0x0100000C, 0, 2, 2, len(commands), 0)
    thin = header.ljust(header_size, b"\0") + commands + code + signature
    if not fat:
        return thin
    entry = struct.pack(">IIIII", 0x0100000C, 0, 4096, len(thin), 12)
    return (struct.pack(">II", 0xCAFEBABE, 1) + entry).ljust(4096, b"\0") + thin


def profile(entitlements: dict[str, Any], ends: datetime = NOW + timedelta(days=90)) -> bytes:
    """A provisioning profile: a property list in a signed message."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A signer of the tests")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plist = {
        "Name": "Ad hoc",
        "ExpirationDate": ends.replace(tzinfo=None),
        "Entitlements": entitlements,
    }
    signed = pkcs7.PKCS7SignatureBuilder().set_data(plistlib.dumps(plist))
    return signed.add_signer(made, key, hashes.SHA256()).sign(
        serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary]
    )


def ipa(path: Path, **changes: Any) -> Path:
    """An .ipa. `info`, `entitlements` (None: unsigned), `profile` (bytes), `program` (bytes)."""
    info = {
        name: value for name, value in (INFO | changes.get("info", {})).items() if value is not None
    }
    files = {
        "Info.plist": plistlib.dumps(info, fmt=plistlib.FMT_BINARY),
        "Calls": changes.get("program", program(changes.get("entitlements", ENTITLED), fat=True)),
    }
    if "profile" in changes:
        files["embedded.mobileprovision"] = changes["profile"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"Payload/Calls.app/{name}", data)
    return path


class Axml:
    """Text XML as the binary form of `aapt2`: a pool of strings, ids of attributes, a tree."""

    def __init__(self, text: str, *, utf8: bool = False, nameless: bool = False) -> None:
        self._strings: list[str] = []
        self._utf8 = utf8
        top = ET.fromstring(text)
        used = {name.rpartition("}")[2] for one in top.iter() for name in one.attrib}
        known = [name for name in IDS if name in used]
        self._known = dict(zip(known, range(len(known)), strict=True))
        # attributes with an id come first in the pool, so that the ids are a list beside it
        self._strings += ["" if nameless else name for name in known]
        body = self._element(top)
        ids = self._chunk(0x0180, struct.pack(f"<{len(known)}I", *(IDS[name] for name in known)))
        parts = self._pool() + ids + body
        self.data = struct.pack("<HHI", 0x0003, 8, 8 + len(parts)) + parts

    def _string(self, text: str) -> int:
        if text not in self._strings[len(self._known) :]:
            self._strings.append(text)
        return self._strings.index(text, len(self._known))

    def _chunk(self, kind: int, body: bytes, extra: bytes = b"") -> bytes:
        return struct.pack("<HHI", kind, 8 + len(extra), 8 + len(extra) + len(body)) + extra + body

    def _pool(self) -> bytes:
        flags, data, offsets = (0x100 if self._utf8 else 0), b"", b""
        for text in self._strings:
            offsets += struct.pack("<I", len(data))
            if self._utf8:
                raw = text.encode()
                data += self._length8(len(text)) + self._length8(len(raw)) + raw + b"\0"
            else:
                data += struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0"
        data += b"\0" * (-len(data) % 4)
        count = len(self._strings)
        start = 28 + len(offsets)
        extra = struct.pack("<5I", count, 0, flags, start, 0)
        return self._chunk(0x0001, offsets + data, extra)

    @staticmethod
    def _length8(number: int) -> bytes:
        return bytes([number]) if number < 0x80 else bytes([0x80 | number >> 8, number & 0xFF])

    def _element(self, one: Any) -> bytes:
        attributes = b""
        for name, text in one.attrib.items():
            short = name.rpartition("}")[2]
            key = self._known[short] if short in self._known else self._string(short)
            kind, value = self._value(short, text)
            raw = value if kind == 0x03 else 0xFFFFFFFF
            attributes += struct.pack("<IIIHBBI", 0xFFFFFFFF, key, raw, 8, 0, kind, value)
        line = struct.pack("<II", 1, 0xFFFFFFFF)
        count = len(one.attrib)
        ext = struct.pack("<IIHHHHHH", 0xFFFFFFFF, self._string(one.tag), 20, 20, count, 0, 0, 0)
        begin = self._chunk(0x0102, ext + attributes, line)
        end = self._chunk(0x0103, struct.pack("<II", 0xFFFFFFFF, self._string(one.tag)), line)
        return begin + b"".join(map(self._element, one)) + end

    def _value(self, name: str, text: str) -> tuple[int, int]:
        if text in {"true", "false"}:
            return 0x12, 0xFFFFFFFF if text == "true" else 0
        if name == "foregroundServiceType":
            flags = {"phoneCall": 4, "microphone": 0x80}
            return 0x11, sum(flags[one] for one in text.split("|"))
        if text.isdecimal():
            return 0x10, int(text)
        if text.startswith("@"):
            return 0x01, 0x7F010001
        return 0x03, self._string(text)


PERMISSIONS = (
    "INTERNET", "POST_NOTIFICATIONS", "USE_FULL_SCREEN_INTENT", "RECORD_AUDIO", "MANAGE_OWN_CALLS",
    "FOREGROUND_SERVICE", "FOREGROUND_SERVICE_PHONE_CALL", "FOREGROUND_SERVICE_MICROPHONE",
)  # fmt: skip


def manifest(without: str = "", permissions: tuple[str, ...] = PERMISSIONS) -> str:
    """A manifest that lacks nothing, but for one piece of text."""
    asked = "".join(
        f'<uses-permission android:name="android.permission.{name}"/>' for name in permissions
    )
    text = f"""<manifest xmlns:android="{ANDROID}" package="com.example.calls">
      <uses-sdk android:targetSdkVersion="35"/>{asked}
      <application android:label="@string/app_name">
        <activity android:name=".CallActivity" android:showWhenLocked="true"/>
        <meta-data android:name="com.google.firebase.messaging.default_notification_channel_id"
          android:value="calls"/>
        <service android:name=".Messaging" android:exported="false"><intent-filter>
          <action android:name="com.google.firebase.MESSAGING_EVENT"/></intent-filter></service>
        <service android:name=".Calls" android:foregroundServiceType="phoneCall|microphone"/>
      </application></manifest>"""
    assert without in text
    return text.replace(without, "") if without else text


def apk(path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("AndroidManifest.xml", data)
        archive.writestr("classes.dex", b"dex")
    return path
