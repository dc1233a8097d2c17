"""A toy sender, added as `docs/guides/a-new-sender.md` says: a folder, and a line of the registry.

In a copy of the tree, and in a process of its own: what a registry knows is read once.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SERVICE = '''
"""A sender that hands pushes to nobody and always succeeds."""

import asyncio
from dataclasses import dataclass

from app.core.answer_rows import ACCEPTED, Row, Table, follow
from app.core.outcome import Ended
from app.core.payload import alert_payload, android_ring, android_stop
from app.core.push import TokenKind
from app.core.push_policy import TokenAction
from app.http2.sender import SenderStats

TABLE = Table({"nobody": Row("nobody", 404, token=TokenAction.RETIRE)}, {201: ACCEPTED})


@dataclass(eq=False)
class Pending:
    future: asyncio.Future
    stream: int = 0


class Sender:
    def __init__(self):
        self.sent = []

    def start(self, request, deadline, start_by=float("inf")):
        loop = asyncio.get_running_loop()
        pending = Pending(loop.create_future(), 1)
        self.sent.append(request)
        code, reason = (404, "nobody") if request.token == "gone" else (201, None)
        pending.future.set_result(Ended(loop.time(), loop.time(), code=code, reason=reason))
        return pending

    def start_all(self, requests, deadline, start_by=float("inf")):
        return [self.start(one, deadline, start_by) for one in requests]

    async def send(self, request, deadline):
        return await self.start(request, deadline).future

    def renew(self, pending, start_by): ...
    def is_held_back(self, pending): return False
    def abandon(self, pending): ...
    async def warm(self, within=10.0): return True
    async def drain(self, deadline): ...
    async def close(self): ...
    def stats(self): return SenderStats(1, 0, 0, 0, 1, 0, 0, None)


class Toy:
    name, title, label = "toy", "Toy", "TOY"
    token_kinds = ring_kinds = alert_kinds = frozenset({TokenKind.TOY})
    stop_kinds = {TokenKind.TOY: TokenKind.TOY}
    activated_kinds = shown_kinds = frozenset()
    environments = ("production",)
    credential_kinds = frozenset({"toy_key"})
    device_refusals = proofs = elsewhere = frozenset()

    def topic(self, kind, app_id): return app_id
    def key_of(self, token): return None
    def open(self, secret, environment, settings, wall_clock, *, connections=None): return Sender()
    def ring_payload(self, profile, facts, template): return android_ring("ringline", facts)
    def stop_payload(self, kind, profile, facts, reason, template): return android_stop(facts, reason)
    def alert_payload(self, event, texts, facts):
        return alert_payload("fcm", event, texts, facts)
    def request(self, push): return push
    def alike(self, push): return None
    def react(self, attempt, known, random):
        row = TABLE.row_for(attempt.status, attempt.reason, attempt.no_answer)
        return follow(row, attempt, known, random)
    def row_of_stored(self, status, reason): return TABLE.row_of_stored(status, reason)
    def probe(self, app_id, topics): return None


TOY = Toy()
'''

USE = """
import asyncio
from app import senders
from app.api.models.devices import TokenOut
from app.core.credential import CredentialKind, CredentialState
from app.core.payload import sample_facts
from app.core.push import Environment, Purpose, TokenKind
from app.core.push_policy import Known, TokenAction, Verdict
from app.credentials.usable import Usable
from app.infra.ids import uuid7
from app.infra.sender import OutgoingPush, Secret
from app.push import records, store, tokens
from app.push.breakers import Breakers
from app.push.deciding import CredentialSet, choose
from tests.push.values import claimed

assert "toy" in TokenOut.model_json_schema()["properties"]["kind"]["enum"]
assert "'toy'" in tokens.RINGABLE.text and "('toy', 'toy')" in store.STOPS.text
assert "'toy'" in records.RECORD.text  # a phone's next address
push = claimed(kind=TokenKind.TOY, app_id="com.example.app")
usable = Usable(
    id=uuid7(), version=1, tenant_id=push.tenant_id, app_id=push.app_id,
    kind=CredentialKind.TOY_KEY, environments=(Environment.PRODUCTION,), topics=(push.app_id,),
    team_id=None, key_id=None, state=CredentialState.ACTIVE, activated_at=None, expired=False,
    refused={}, proven=(), sealed=b"",
)
breakers = Breakers()
credential, wait = choose(push, CredentialSet([usable]), breakers, 0.0)
assert credential is usable and wait is None
service = senders.serving(push.kind)
assert service is credential.service

async def ring(token):
    sender = service.open(Secret("toy_key", b""), "production", None, None)
    body = service.ring_payload("ringline", sample_facts(0), None).for_token("t")
    outgoing = OutgoingPush("1", "2", Purpose.RING, push.kind, push.app_id, token, body, 9.0, 0.0)
    outcome = await sender.send(service.request(outgoing), 9.0)
    breakers.note_answer(usable, Environment.PRODUCTION, outcome.code, outcome.reason, 0.0)
    return service.react(outcome.attempt(1, 0.0), Known(9.0), 0.5)

assert asyncio.run(ring("ok")).verdict is Verdict.ACCEPTED
assert asyncio.run(ring("gone")).token is TokenAction.RETIRE
print("rang")
"""


def test_it_touches_its_folder_the_words_and_one_line_of_the_registry(tmp_path: Path) -> None:
    for room in ("app", "tests/push"):
        shutil.copytree(ROOT / room, tmp_path / room)
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "app" / "toy").mkdir()
    (tmp_path / "app" / "toy" / "__init__.py").touch()
    (tmp_path / "app" / "toy" / "service.py").write_text(SERVICE)
    lines = (
        ("app/senders.py", "= (APNS, FCM", "= (APNS, FCM, TOY"),
        ("app/senders.py", "from app.apns", "from app.toy.service import TOY\nfrom app.apns"),
        ("app/core/push.py", '    FCM = "fcm"', '    FCM = "fcm"\n    TOY = "toy"'),
        ("app/core/credential.py", '    KEY = "key"', '    KEY = "key"\n    TOY_KEY = "toy_key"'),
    )
    for name, before, after in lines:
        path = tmp_path / name
        text = path.read_text()
        assert text.count(before) >= 1, name
        path.write_text(text.replace(before, after, 1))
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "rang", done.stderr[-2_000:]
