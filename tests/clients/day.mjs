// One tenant's day with the TypeScript client; says what it saw as JSON.
import { Gone, InvalidRequest, Ringline, signUserToken, Unauthorized, verifyWebhook } from "ringline-client";

const { API: url, KEY: credential, CABLE, SECRET: secret, KID: kid, HOOK } = process.env;
const ringline = new Ringline({ url, credential });
const caught = (promise) => promise.then(() => undefined, (error) => error);

const tokens = [{ kind: "voip", token: "cd".repeat(32), app_id: "com.example.app" }];
const device = await ringline.registerDevice({ user_id: "bob/1", device_id: "d/1", tokens });
const call = await ringline.ring({ caller: { id: "alice" }, callees: ["bob/1"], custom: { n: 1 } });
const act = { user_id: "bob/1", device_id: "d/1" };
const accepted = await ringline.acceptCall(call.session_id, act);
const ended = await ringline.endCall(call.cid);
const gone = await caught(ringline.acceptCall(call.session_id, act));
const invalid = await caught(ringline.ring({ caller: { id: "a b" }, callees: ["c d"] }));
const wrong = await caught(new Ringline({ url, credential: "rl_sk_wrong" }).listWebhooks());
await ringline.removeDevice("d/1", { user_id: "bob/1" });
const { devices } = await ringline.request("GET", "/v1/devices?user_id=bob/1");

const made = await ringline.createWebhook({ url: "https://example.com/hook", events: ["call.*"] });
await ringline.deleteWebhook(made.id);
const actions = [];
for await (const line of ringline.readAuditLog({ limit: 1 })) actions.push(line.action);

const given = [];
const token = async () => {
  const now = Date.now() - (given.length ? 0 : 3_600_000); // the first one as by a slow clock
  given.push(await signUserToken({ secret, kid, userId: "bob", expiresIn: 60, now }));
  return given.at(-1);
};
const bob = new Ringline({ url, credential: token });
await bob.listDevices();
await bob.listDevices();

const lossy = new Ringline({ url: CABLE, credential });
const once = await lossy.ring({ caller: { id: "alice" }, callees: ["carol"] });

const hook = JSON.parse(HOOK);
const event = await verifyWebhook(hook);
const refused = [];
for (const changed of [
  { secret: "whsec_AAAAsBQIhrscChlQIMV+b5sSYspob7oD" },
  { body: hook.body.replace("started", "ended") },
  { headers: { ...hook.headers, "webhook-id": "evt_2" } },
  { headers: { ...hook.headers, "webhook-signature": "v1,!" } },
  { headers: {} },
  { now: Date.now() + 3_600_000 },
]) refused.push((await caught(verifyWebhook({ ...hook, ...changed })))?.name);

console.log(
  JSON.stringify({
    device: device.device_id,
    states: [call.state, accepted.state, ended.state],
    gone: [gone instanceof Gone, gone.name, gone.body.reason],
    invalid: [invalid instanceof InvalidRequest, invalid.body.errors.length],
    wrong: [wrong instanceof Unauthorized, wrong.code],
    devices,
    actions,
    given: given.length,
    skewed: Math.abs(bob.clockOffset) > 5_000,
    once: once.session_id,
    event: event.type,
    refused,
  }),
);
