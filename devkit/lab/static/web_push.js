// Web Push without a vendor: this page makes its subscription's keys itself, the simulated push
// service opens what it gets with them, and the page hands that to its service worker.
import { base64url } from "./requests.js";
import { at, deviceId, phone, token } from "./web_phone.js";

const WORKER = new URL("lab_worker.js", import.meta.url).pathname;

async function ask(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`/lab/web_phone/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

async function subscribed() {
  const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  const { d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const auth = base64url(crypto.getRandomValues(new Uint8Array(16)));
  return ask("POST", "subscription", { origin: location.origin, private: d, auth });
}

async function handOn(id, worker, goesOn) {
  let after = 0;
  while (goesOn()) {
    const found = await ask("GET", `pushes?id=${id}&after=${after}`);
    after = found.after;
    for (const { payload } of found.pushes) worker.postMessage({ push: JSON.stringify(payload) });
  }
}

/** Let the phone ring by push, too, until `goesOn` says no; resolves once its activation push is back. */
async function ringByPush(goesOn) {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("Notifications are not allowed here.");
  const { id, subscription } = await subscribed();
  PushManager.prototype.subscribe = async () => ({ toJSON: () => subscription });
  await phone.subscribe(WORKER);
  const registration = await navigator.serviceWorker.getRegistration(WORKER);
  handOn(id, registration.active, goesOn).catch((error) => console.warn(error));
  const headers = { Authorization: `Bearer ${await token()}` };
  for (let tries = 0; tries < 100; tries++) {
    const { devices } = await (await fetch("/v1/devices", { headers })).json();
    const mine = devices.find((one) => one.device_id === deviceId);
    if (mine?.tokens.some((one) => one.kind === "webpush" && !one.retired_at)) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("Its activation push has not come back.");
}

/** Ring by push no more. */
async function stopPush() {
  const headers = { Authorization: `Bearer ${await token()}` };
  await fetch(`/v1/devices/${deviceId}`, { method: "DELETE", headers });
}

let pushed = false;
/** Begin or end it; why it did not begin, or "". */
async function turn() {
  pushed = !pushed;
  at("push").setAttribute("aria-pressed", pushed);
  at("pushes").textContent = pushed ? "Subscribing…" : "Off.";
  try {
    await (pushed ? ringByPush(() => pushed) : stopPush());
    if (pushed) at("pushes").textContent = "On: close the tab’s stream, and a ring still shows a notification.";
    return "";
  } catch (error) {
    pushed = false;
    at("push").setAttribute("aria-pressed", pushed);
    return (at("pushes").textContent = error.message);
  }
}
at("push").onclick = turn;
if (parent !== window) turn().then((pushes) => parent.postMessage({ pushes }, location.origin));
