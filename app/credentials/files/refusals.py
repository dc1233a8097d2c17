"""Why a file cannot ring a phone: one stable code each, and a sentence that teaches.

Each says what the file is, why it will not do, and which menu gives the right one. Menus are
those of Apple's developer portal and of Keychain Access in 2026. The sentences of certificates
follow "Establishing a certificate-based connection to APNs", those of keys "Establishing a
token-based connection to APNs".
"""

from typing import Final, NamedTuple

from app.infra.errors import Invalid

PORTAL = "developer.apple.com > Account > Certificates, Identifiers & Profiles"
NEW_VOIP = (
    f"make one at {PORTAL} > Certificates > + > Services > VoIP Services Certificate, "
    "for the App ID of this app"
)
NEW_KEY = f"make one at {PORTAL} > Keys > + > Apple Push Notifications service (APNs)"
NEW_ACCOUNT = (
    "make a key at console.firebase.google.com > Project settings > Service accounts > "
    "Generate new private key, and bring that JSON file"
)
EXPORT = (
    "in Keychain Access open login > My Certificates, open the triangle beside the VoIP Services "
    "certificate so that its key shows, select the certificate (not the key), choose "
    "File > Export Items and the format .p12"
)
REQUEST = "or let `ringline credential request` make key and request here, and bring back the .cer"


FIELDS: Final = ("app_id", "key_id", "team_id", "environments")
"""What is given beside a file: a refusal of one names it."""


class Refused(Invalid):
    """A file or a credential that cannot be used, with what to do about it as `remedy`."""


class Explanation(NamedTuple):
    """What it is, why it will not do, what to do. `{}` fields are filled with public facts."""

    what: str
    why: str
    remedy: str


EXPLANATIONS: dict[str, Explanation] = {
    "empty_file": Explanation(
        "The file is empty.",
        "There is nothing in it to push with.",
        f"Export it again: {EXPORT}.",
    ),
    "file_too_large": Explanation(
        "The file is larger than any certificate or key: more than {limit} bytes.",
        "A .p12 with its chain has about 5,000 bytes, a .p8 about 250.",
        f"Choose the right file, or export it again: {EXPORT}.",
    ),
    "not_a_credential": Explanation(
        "This is {what}, not a certificate or a key.",
        "APNs knows a caller by a VoIP Services certificate (.p12, PEM) or a key (.p8), FCM by a "
        "service account (JSON).",
        f"If it is an archive or a message, take the file out of it first; else {NEW_VOIP}.",
    ),
    "truncated": Explanation(
        "The file is cut short.",
        "It begins as a certificate or key does and then stops, as after a broken download.",
        f"Copy the whole file, as binary and not as text, or export it again: {EXPORT}.",
    ),
    "unreadable": Explanation(
        "The file begins as a certificate or key does, but what follows makes no sense ({why}).",
        "It was damaged, for instance by an editor or by being copied as text.",
        f"Export it again: {EXPORT}.",
    ),
    "wrong_password": Explanation(
        "The password does not open this file.",
        "It is the one typed when the file was exported, not that of the Mac or of the Apple ID.",
        f"Try again, or export the file with a new password: {EXPORT}.",
    ),
    "password_too_long": Explanation(
        "The password has more than {limit} characters.",
        "No exporter takes such a one; a file may have been pasted in its place.",
        f"Give the password typed at the export, or export it again: {EXPORT}.",
    ),
    "password_missing": Explanation(
        "This file is locked with a password, and none was given.",
        "Without it the private key cannot be read.",
        f"Give the password typed at the export, or export it again: {EXPORT}.",
    ),
    "too_costly": Explanation(
        "Opening this file would take far more work than any exporter asks for.",
        "Its iteration counts are so high that reading it would hold up this server.",
        f"Export it again with usual settings: {EXPORT}.",
    ),
    "unknown_encryption": Explanation(
        "This file is locked in a way that Ringline does not know.",
        "Usual ones are AES, 3DES and RC2 under a password; this one may need a smart card or key.",
        f"Export it again: {EXPORT}.",
    ),
    "too_many_parts": Explanation(
        "The file holds far more parts than a certificate, its chain and a key.",
        "It looks like a whole keychain or a bundle of authorities.",
        f"Export the one certificate: {EXPORT}.",
    ),
    "two_keys": Explanation(
        "The file holds {count} different private keys.",
        "Which of them is meant cannot be told, and pushing with the wrong one rings nobody.",
        f"Export only the VoIP Services certificate: {EXPORT}.",
    ),
    "two_certificates": Explanation(
        "The file holds several certificates and no key that tells which one is meant.",
        "One credential is one certificate.",
        "Upload them one by one.",
    ),
    "no_private_key": Explanation(
        "This is the certificate alone ({subject}), without its private key.",
        "Apple's .cer only says who owns a key; pushing needs the key, which stayed on the "
        "computer where the certificate signing request was made.",
        f"On that Mac double-click the .cer, then {EXPORT}; {REQUEST}.",
    ),
    "no_certificate": Explanation(
        "This is a private key alone, without its certificate.",
        "In Keychain the key was selected for the export, not the certificate above it.",
        f"Export the certificate with its key: {EXPORT}.",
    ),
    "key_mismatch": Explanation(
        "The private key in this file is not the key of the certificate ({subject}).",
        "Apple takes a certificate only from whoever holds its own key; often this is the key of "
        "last year's certificate.",
        f"On the Mac where the request was made {EXPORT}; {REQUEST}.",
    ),
    "weak_key": Explanation(
        "The key of this certificate is too short or too long ({bits} bits).",
        "TLS libraries refuse RSA keys below 2,048 bits; Apple's requests are made with 2,048.",
        f"Make a new request with 2,048 bits and with it {NEW_VOIP}.",
    ),
    "wrong_key_type": Explanation(
        "This is a private key of the kind {kind}, and without a certificate.",
        "A .p8 key for APNs is always an elliptic-curve key on P-256. An RSA key belongs to a "
        "certificate, or to a service account of Google's, whose whole JSON file is wanted; a "
        "P-384 or Ed25519 key comes from elsewhere.",
        f"For a key, {NEW_KEY}; for a certificate, give it and its key together.",
    ),
    "unusable_key": Explanation(
        "The private key in this file is damaged or of a kind that TLS cannot use.",
        "Its numbers do not belong together, or its curve is unknown.",
        f"Export it again: {EXPORT}.",
    ),
    "key_id_missing": Explanation(
        "This is an APNs key (.p8), and its key id was not given.",
        "Apple finds the key by the id of ten letters and digits, which is not in the file.",
        f"The id is in the name of the file (AuthKey_<key id>.p8) and at {PORTAL} > Keys.",
    ),
    "team_id_missing": Explanation(
        "This is an APNs key (.p8), and its team id was not given.",
        "A key pushes for the apps of one team, and Apple wants the team's id in each token.",
        "The team id of ten letters and digits is at developer.apple.com > Account > "
        "Membership details.",
    ),
    "key_id_malformed": Explanation(
        "The key id given is not ten letters and digits.",
        "Apple's key ids look like ABC123DEFG.",
        f"Copy it from {PORTAL} > Keys.",
    ),
    "team_id_malformed": Explanation(
        "The team id given is not ten letters and digits.",
        "Apple's team ids look like DEF123GHIJ.",
        "Copy it from developer.apple.com > Account > Membership details.",
    ),
    "app_id_missing": Explanation(
        "No app was given for this key (a .p8, or a service account's JSON).",
        "It holds good for every app of its team or project; here each credential serves one app.",
        "Give the bundle id as in Xcode > target > General > Identity, or the Android package.",
    ),
    "app_id_malformed": Explanation(
        "The app's name is not letters, digits, hyphens and underscores between single dots.",
        "Apple allows no others, and compares them exactly; a web app's name is its origin.",
        "Copy it from Xcode > target > General > Identity.",
    ),
    "app_id_of_the_web": Explanation(
        "This is the origin of a web app ({given}).",
        "Apple pushes to an app by its bundle id; browsers are pushed to with a VAPID key.",
        "Give the app's bundle id, as in Xcode > target > General > Identity; for a web app make a "
        "VAPID key.",
    ),
    "app_id_ambiguous": Explanation(
        "The file holds certificates of one key for several apps: {apps}.",
        "One credential serves one app.",
        "Say which app is meant; the same file may be brought again for each.",
    ),
    "app_id_mismatch": Explanation(
        "This certificate is for {found}, not for {given}.",
        "Apple refuses pushes for any other app (TopicDisallowed).",
        f"Correct the bundle id, or for {{given}} {NEW_VOIP}.",
    ),
    "expired": Explanation(
        "This certificate ({subject}) expired on {not_after}.",
        "Apple refuses it since.",
        f"Certificates cannot be renewed: {NEW_VOIP}; it may run beside the old one.",
    ),
    "not_yet_valid": Explanation(
        "This certificate ({subject}) is valid from {not_before} only.",
        "Until then Apple refuses it; if that time is not in the future, this server's clock is "
        "wrong.",
        "Check the server's clock; else come back at that time.",
    ),
    "no_voip_topic": Explanation(
        "This is an APNs certificate ({subject}) that holds no VoIP topic.",
        "It sends alerts, but a phone rings only by pushes to the topic <bundle id>.voip.",
        f"For ringing, {NEW_VOIP}.",
    ),
    "development_certificate": Explanation(
        "This certificate ({subject}) is for development only.",
        "It reaches builds run from Xcode (sandbox); apps from TestFlight and the App Store would "
        "never ring.",
        f"For production {NEW_VOIP}; to use this one for sandbox alone, say environments "
        '["sandbox"].',
    ),
    "production_certificate": Explanation(
        "This certificate ({subject}) is for production only.",
        "Builds run from Xcode (sandbox) would never ring.",
        f'Say environments ["production"], or {NEW_VOIP}, which serves both.',
    ),
    "signing_certificate": Explanation(
        "This is a certificate for signing apps ({subject}).",
        "It is for Xcode and the App Store; APNs does not know it.",
        f"For ringing, {NEW_VOIP}.",
    ),
    "authority_certificate": Explanation(
        "This is the certificate of an authority ({subject}).",
        "It vouches for others and pushes nothing.",
        f"Upload your own VoIP Services certificate: {EXPORT}.",
    ),
    "not_a_push_certificate": Explanation(
        "This certificate ({subject}) is not one for APNs.",
        "It carries none of the marks by which Apple tells push certificates.",
        f"For ringing, {NEW_VOIP}.",
    ),
    "signing_request": Explanation(
        "This is a certificate signing request, not a certificate.",
        "It is what Apple is asked with; it cannot push.",
        f"Upload it at {PORTAL} > Certificates > + > Services > VoIP Services Certificate, and "
        "bring the .cer that you download there.",
    ),
    "provisioning_profile": Explanation(
        "This is a provisioning profile.",
        "It lets an app run on devices and has nothing to push with.",
        f"For ringing, {NEW_VOIP}.",
    ),
    "certificates_only": Explanation(
        "This is a bundle of certificates (PKCS#7), without any private key.",
        "Pushing needs the private key as well.",
        f"Export both together: {EXPORT}; {REQUEST}.",
    ),
    "public_key": Explanation(
        "This is a public key.",
        "Pushing needs the private key, which Apple lets you download once, as AuthKey_<id>.p8.",
        f"Look for that file; if it is lost, revoke the key and {NEW_KEY}.",
    ),
    "ssh_key": Explanation(
        "This is an SSH key.",
        "APNs knows none.",
        f"For a key, {NEW_KEY}; for a certificate, {NEW_VOIP}.",
    ),
    "google_services_json": Explanation(
        "This is google-services.json, which an Android app is built with.",
        "It says where the app belongs; it lets nobody send.",
        f"For sending, {NEW_ACCOUNT}.",
    ),
    "google_legacy_key": Explanation(
        "This is {what}.",
        "Google switched the API that took such keys off in 2024; FCM now knows service accounts.",
        f"To send, {NEW_ACCOUNT}.",
    ),
    "google_user_credential": Explanation(
        "This is a user's own login at Google (gcloud's `authorized_user`).",
        "It stands for a person, ends when they log out, and is not meant for servers.",
        f"For a server, {NEW_ACCOUNT}.",
    ),
    "google_oauth_client": Explanation(
        "This is an OAuth client, by which an app lets people log in.",
        "It cannot send without a person who agrees.",
        f"For a server, {NEW_ACCOUNT}.",
    ),
    "google_external_account": Explanation(
        "This is a credential of Google's of another kind ({kind}).",
        "It has no key of its own; Ringline signs by a service account's.",
        f"For that, {NEW_ACCOUNT}.",
    ),
    "google_other_universe": Explanation(
        "This service account is of {domain}, a cloud of its own beside Google's public one.",
        "Phones get their messages from googleapis.com alone, which does not know this account.",
        f"For that, in a project of the public cloud, {NEW_ACCOUNT}.",
    ),
    "google_unreadable": Explanation(
        "This is a service account, but no JSON any more ({why}).",
        "The file was edited, cut short, or put into another text.",
        f"Take the file as Google gave it, or {NEW_ACCOUNT}.",
    ),
    "google_incomplete": Explanation(
        "This service account's `{name}` is missing or is none.",
        "The file was changed, or only a part of it was copied.",
        f"Take the file as Google gave it, or {NEW_ACCOUNT}.",
    ),
    "google_other_project": Explanation(
        "This account is of the project {found}; the app's credential in use is of {given}.",
        "A phone's token is good for one project: with another, every phone would be refused.",
        "Choose the account of the same project; or, if the app has moved, retire the credential "
        "in use first.",
    ),
    "environments_not_googles": Explanation(
        "Environments are said of a service account, with sandbox among them.",
        "Sandbox and production are Apple's; Google has one service, by which every phone would "
        "ring.",
        'Leave `environments` away, or say ["production"] (`--environment production`), which is '
        "the same.",
    ),
    "unusable_certificate": Explanation(
        "The TLS library of this server does not take this certificate ({why}).",
        "It could not be shown to Apple.",
        f"With a new request of 2,048 bits {NEW_VOIP}.",
    ),
}


def reject(code: str, **facts: object) -> Refused:
    """The refusal of that code. `facts` are public: never a byte of what was uploaded unread."""
    lesson = EXPLANATIONS[code]
    remedy = lesson.remedy.format(**facts) if facts else lesson.remedy
    parts = (lesson.what.format(**facts), lesson.why, remedy[0].upper() + remedy[1:])
    field = next((one for one in FIELDS if code.startswith(f"{one}_")), "")
    fault = {"field": field, "code": code, "detail": " ".join(parts)}
    return Refused(code, fault["detail"], remedy=parts[2], errors=[fault])
