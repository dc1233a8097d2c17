// What the clients do with what no server of ours says; each line is [what, result...] as JSON.
import { ApiError, Ringline } from "ringline-client";
import { RinglinePhone } from "ringline-client/browser";
import { Screen } from "./node_modules/ringline-client/dist/screen.js";

const { API: url } = process.env;
const say = (...what) => console.log(JSON.stringify(what));
const kind = (error) => [error instanceof ApiError, error.name, error.code ?? error.message];

const ringline = new Ringline({ url, credential: "rl_sk_x" });
say("html", ...(await ringline.readCall("default:html").catch(kind)));
say("empty", ...(await ringline.readCall("default:empty").catch(kind)));
const began = performance.now();
say("later", (await ringline.readCall("default:later")).cid, performance.now() - began > 900);

const given = ["<html>\n502\n</html>", "", undefined, "Bad Gateway", "  good\n"];
const asked = new Ringline({ url, credential: () => given.shift() });
for (let n = 0; n < 5; n++) say("token", ...(await asked.readCall("default:ok").then(({ cid }) => [cid], kind)));

let heard = 0;
for await (const _ of ringline.events({ signal: AbortSignal.abort() })) heard++;
say("aborted", heard);

const screen = new Screen("bob", "mine", () => 0);
const odd = [null, undefined, {}, { ring: null }, { ring: "x" }, { ring: { uuid: "u" } }, { ring_uuid: "u" },
  { ring: { uuid: "u", expires_at: "tomorrow" } }, { ring: { uuid: "u", type: "video_mail" } },
  { ring: { uuid: 7 } }, { ring: [] }, { ring_uuid: "u", ring_type: "ring", ring_expires_at: "" }];
say("pushes", ...odd.map((payload) => screen.push(payload).length));

const errors = [];
globalThis.reportError = (error) => errors.push(error.message);
let tokens = 0;
const token = () => (tokens++ ? (tokens < 4 ? "Bad Gateway\n" : "good") : "good");
const phone = new RinglinePhone({ url, token, userId: "bob", deviceId: "mine" });
phone.on("connection", (open) => say("connection", open));
phone.on("error", (error) => say("error", error.name));
phone.on("ring", () => { throw new Error("the page's own fault"); });
phone.on("ring", ({ uuid }) => say("ring", uuid, errors.length));
phone.on("stop", ({ uuid }, reason) => {
  say("stop", uuid, reason);
  say("clock", Math.abs(Date.parse("2026-11-21T08:00:00Z") - Date.now() - phone.clockOffset) < 60_000);
  phone.stop();
  say("end");
});
phone.start();
