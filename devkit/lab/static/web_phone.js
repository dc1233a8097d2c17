// A phone in a page: the client of clients/typescript, and what the page shows of it.
import { RinglinePhone } from "./browser.js";

const WHY = { 2: "The call is over.", 3: "Missed.", 4: "Answered elsewhere.", 5: "Declined elsewhere." };
export const at = (id) => document.getElementById(id);
const asked = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
export const token = async () => (await (await fetch("/lab/web_phone/token", asked)).json()).token;
export const deviceId = (localStorage.webPhone ??= crypto.randomUUID());
const deviceName = "Bob's browser";
export const phone = new RinglinePhone({ url: location.origin, token, userId: "bob", deviceId, deviceName });

function show(sentence) {
  at("said").textContent = sentence;
  at("answer").hidden = at("decline").hidden = phone.rings.length === 0;
  at("leave").hidden = phone.held.length === 0;
}

function tap(id, act) {
  at(id).onclick = () => act().catch((error) => show(error.message));
}

phone.on("connection", (open) => (at("live").textContent = open ? "Live" : "Connecting"));
phone.on("ring", (ring) => show(`\u2068${ring.caller.name ?? ring.caller.id}\u2069 is calling.`));
phone.on("stop", (ring, reason) => show(WHY[reason] ?? "It rings no more."));
phone.on("ended", () => show("The call is over."));
phone.on("removed", () => show("Taken out of the call: nothing was heard of this page."));
phone.on("error", (error) => show(error.message));
tap("answer", async () => {
  await phone.accept(phone.rings[0]);
  show("In the call.");
});
tap("decline", async () => {
  await phone.decline(phone.rings[0]);
  show("Declined.");
});
tap("leave", async () => {
  await phone.leave(phone.held[0]);
  show("Left.");
});
phone.start();
