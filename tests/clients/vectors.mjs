// Runs the shared vectors with the installed package; says what is wrong as JSON.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { signUserToken, verifyWebhook, WebhookRefused } from "ringline-client";
import { errorOf } from "./node_modules/ringline-client/dist/errors.js";
import { Lines, Position } from "./node_modules/ringline-client/dist/events.js";
import { reasonOf, Screen } from "./node_modules/ringline-client/dist/screen.js";

const vectors = (name) => JSON.parse(readFileSync(`${process.env.VECTORS}/${name}.json`, "utf8"));
const defined = (value) => value ?? null;

const told = (one) => {
  if (one.do === "ring") return ["ring", one.ring.uuid];
  if (one.do === "stop") return ["stop", one.ring.uuid, one.reason];
  return [one.do, one.sessionId, ...(one.do === "ended" ? [one.reason] : [])];
};

const runners = {
  screen(vector, { user_id, device_id, now }) {
    const screen = new Screen(user_id, device_id, () => now);
    const found = vector.messages.flatMap((message) => {
      if (message.type === "answering") screen.answers(message.body.ring);
      return message.type === "read" ? screen.stands(message.body) : screen.take(message);
    });
    assert.deepEqual(found.map(told), vector.reactions);
  },
  pushes({ pushes, reactions, now, shows }) {
    const screen = new Screen("bob", "mine", () => now);
    const found = pushes.flatMap(({ payload }) => screen.push(payload));
    assert.deepEqual(found.map(told), reactions);
    if (shows === undefined) return;
    const { uuid, sessionId: session_id, cid, caller, title, video, expiresAt: expires_at } = found[0].ring;
    const seen = { caller_id: caller.id, caller_name: defined(caller.name), title: defined(title), video };
    assert.deepEqual({ uuid, session_id, cid, ...seen, expires_at }, shows);
  },
  answers({ status, body, reason, error }) {
    assert.equal(defined(reasonOf(status, body)), reason);
    if (error !== null) assert.equal(errorOf(status, body).name, error);
  },
  stream({ after, chunks, messages, then, retry }) {
    const lines = new Lines();
    const position = new Position(after ?? undefined);
    const found = chunks
      .flatMap((chunk) => lines.feed(chunk))
      .map((one) => ({ id: defined(one.id), type: one.type, body: one.body, new: position.takes(one) }));
    assert.deepEqual(found, messages);
    assert.deepEqual([defined(position.after), lines.retry], [then, retry]);
  },
  async webhooks({ secret, headers, body, now, good }) {
    const promise = verifyWebhook({ secret, headers, body, now: now * 1000 });
    if (good) assert.deepEqual(await promise, JSON.parse(body));
    else await assert.rejects(promise, WebhookRefused);
  },
  async tokens({ secret, kid, user_id, now, expires_in, token, ...more }) {
    const options = { secret, kid, userId: user_id, now: now * 1000, expiresIn: expires_in, ...more };
    delete options.name;
    assert.equal(await signUserToken(options), token);
  },
};

const ran = {};
const wrong = [];
for (const [name, run] of Object.entries(runners)) {
  const file = vectors(name);
  for (const vector of file.cases) {
    try {
      await run(vector, file);
      ran[name] = (ran[name] ?? 0) + 1;
    } catch (error) {
      wrong.push(`${name}: ${vector.name}: ${error.message}`);
    }
  }
}
console.log(JSON.stringify({ ran, wrong }));
