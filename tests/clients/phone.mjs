// A phone in Node: does what its standard input says, and says what happens as lines of JSON.
import { createInterface } from "node:readline";
// SKEW: by how many seconds this machine's clock is wrong; its backend's, which makes tokens, is right.
import { RinglinePhone } from "ringline-client/browser";
import { signUserToken } from "ringline-client";

const { API: url, SECRET: secret, KID: kid, USER: userId, DEVICE: deviceId, SKEW, TRANSPORT } = process.env;
const right = Date.now;
Date.now = () => right() + Number(SKEW ?? 0) * 1000;
const token = () => signUserToken({ secret, kid, userId, now: right() });
const phone = new RinglinePhone({ url, token, userId, deviceId, transport: TRANSPORT });
const say = (what, ...rest) => console.log(JSON.stringify([what, ...rest]));
for (const name of ["ring", "stop", "away", "back", "removed", "ended", "connection", "error"]) {
  phone.on(name, (...rest) => say(name, ...rest.map((one) => one.uuid ?? one)));
}
phone.start();
for await (const line of createInterface({ input: process.stdin })) {
  const { does, with: rest } = JSON.parse(line);
  const ring = phone.rings.find(({ uuid }) => uuid === rest[0]);
  try {
    const answer = await phone[does](ring ?? rest[0], ...rest.slice(1));
    say("done", does, answer?.session_id ?? null);
  } catch (error) {
    say("refused", does, error.name);
  }
}
phone.stop();
