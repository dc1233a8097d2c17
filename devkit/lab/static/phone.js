// One phone: its frame and whatever is on its screen, drawn from the server's view of it.
import { h } from "./draw.js";
import * as icons from "./icons.js";
import { clock, duration, initials, recent } from "./words.js";

// `seen` is the time of the state by the server's clock, Unix ms.
export function drawPhone(phone, seen) {
  const call = phone.calls.at(-1);
  const [kind, screen] = screenOf(phone, call, seen);
  return h("div", { class: `phone ${kind} ${phone.platform}`, "data-key": `phone-${phone.device_id}` },
    h("div", { class: "island", "aria-hidden": "true" }),
    h("div", { class: "glass", role: "group", tabindex: "-1", "aria-label": `Screen of ${phone.name}`, "data-screen": phone.device_id, "data-user": phone.user_id },
      statusBar(phone, seen), screen, h("div", { class: "home", "aria-hidden": "true" })));
}

function screenOf(phone, call, seen) {
  const app = phone.conditions.app;
  if (call && call.state !== "ringing") return ["incall", inCall(phone, call, seen)];
  if (call && app === "foreground") return ["open banner ringing", [banner(phone, call), appScreen(phone, seen)]];
  // Where Android may not fill the screen: a notification with the same buttons.
  if (call && call.full_screen === false) return ["wall banner ringing", [banner(phone, call), lockScreen(phone, seen)]];
  if (call) return ["wall ringing", ringing(phone, call)];
  if (phone.fault && phone.fault.kind !== "passed") return [`fault ${phone.fault.kind}`, faulty(phone)];
  if (app === "foreground") return ["open", appScreen(phone, seen)];
  if (app === "killed") return ["wall springboard", homeScreen(phone, seen)];
  return ["wall", lockScreen(phone, seen)];
}

function statusBar(phone, seen) {
  const { flight_mode: flight, do_not_disturb: quiet, doze } = phone.conditions;
  return h("div", { class: "status" },
    h("span", { class: "time" }, clock(new Date(seen))),
    h("span", { class: "signs" },
      doze && h("span", { title: "Doze" }, icons.waiting(), unseen("Doze is on")),
      quiet && h("span", { title: "Do Not Disturb" }, icons.moon(), unseen("Do Not Disturb is on")),
      flight ? h("span", { title: "Flight mode" }, icons.plane(), unseen("Flight mode is on")) : icons.signal(),
      icons.battery()));
}

function ringing(phone, call) {
  return h("div", { class: "call", "data-key": "ringing" },
    h("div", { class: "who" }, avatar(call), h("p", { class: "caller" }, call.caller || "Unknown"), kindOf(call)),
    h("div", { class: "round" },
      h("p", { class: "aside" }, act("decline", phone, "Decline as busy", "busy", "Busy")),
      h("div", { class: "pair-of-buttons" },
        act("decline", phone, "Decline", "red", icons.decline(), "Decline"),
        act("answer", phone, "Accept", "green", icons.accept(), "Accept"))));
}

function banner(phone, call) {
  return h("div", { class: "drop-banner", "data-key": "banner" },
    avatar(call),
    h("div", { class: "lines" }, h("p", { class: "caller" }, call.caller || "Unknown"), kindOf(call)),
    act("decline", phone, "Decline", "red", icons.decline()),
    act("answer", phone, "Accept", "green", icons.accept()));
}

function inCall(phone, call, seen) {
  const up = call.state === "active";
  return h("div", { class: "call", "data-key": "in-call" },
    h("div", { class: "who" }, avatar(call), h("p", { class: "caller" }, call.caller || "Unknown"),
      h("p", { class: "kind" }, up ? duration(seen - call.answered_ms) : "Connecting…")),
    h("div", { class: "round" },
      h("div", { class: "tools", "aria-hidden": "true" }, [icons.mute, icons.video, icons.speaker].map((one) => h("span", {}, one()))),
      h("div", { class: "pair-of-buttons" }, act("hang_up", phone, "End", "red", icons.decline(), "End"))));
}

function lockScreen(phone, seen) {
  return h("div", { class: "lock", "data-key": "lock" },
    h("div", { class: "padlock" }, icons.padlock()),
    bigClock(seen),
    h("div", { class: "notices" }, hints(phone), recents(phone, 3)),
    h("div", { class: "corners", "aria-hidden": "true" }, h("span", {}, icons.torch()), h("span", {}, icons.camera())));
}

function homeScreen(phone, seen) {
  const apps = Array.from({ length: 8 }, (_, n) => h("span", { class: `tile t${n}` }));
  return h("div", { class: "lock", "data-key": "springboard" },
    h("div", { class: "tiles", "aria-hidden": "true" }, apps),
    h("div", { class: "notices" }, h("p", { class: "hint" }, "The app is not running"), hints(phone), recents(phone, 4)));
}

function appScreen(phone, seen) {
  return h("div", { class: "app", "data-key": "app" },
    h("h3", { class: "title" }, "Recents"),
    hints(phone),
    phone.recents.length ? recents(phone, 6) : h("p", { class: "nothing" }, "No calls yet"));
}

function faulty(phone) {
  const { kind, title, why, note } = phone.fault;
  return h("div", { class: "outage", "data-key": "fault" },
    h("div", { class: "sign" }, kind === "watched" ? icons.waiting() : icons.stopped()),
    h("p", { class: "caller" }, title),
    h("p", { class: "why" }, marked(why)),
    note && h("p", { class: "hint" }, note),
    recents(phone, 1));
}

function hints(phone) {
  return [
    phone.conditions.doze ? h("p", { class: "hint" }, "Doze: only high priority wakes it") : null,
    phone.pushes_held ? h("p", { class: "hint" }, `${phone.pushes_held} push${phone.pushes_held === 1 ? "" : "es"} held back`) : null,
    phone.silenced_by_ios ? h("p", { class: "hint bad" }, "iOS no longer wakes this app") : null,
    phone.fault?.kind === "passed"
      ? h("div", { class: "passed" }, h("strong", {}, phone.fault.title), h("p", {}, marked(phone.fault.why)), h("p", {}, phone.fault.note)) : null,
  ];
}

function recents(phone, most) {
  if (!phone.recents.length) return null;
  return h("ul", { class: "recents", "aria-label": `Recents of ${phone.name}` }, phone.recents.slice(0, most).map((one) => {
    const [title, why] = recent(one);
    return h("li", { class: one.recent },
      h("span", { class: "face", "aria-hidden": "true" }, initials(one.caller || "?")),
      h("span", { class: "lines" }, h("strong", {}, one.caller || "Unknown"), h("span", {}, h("b", {}, title), why ? `, ${why}` : "")),
      h("span", { class: "at" }, clock(new Date(one.ended_ms))));
  }));
}

function bigClock(seen) {
  const at = new Date(seen);
  return h("div", { class: "big" },
    h("p", {}, at.toLocaleDateString("en", { weekday: "long", month: "long", day: "numeric" })),
    h("p", { class: "clock" }, clock(at)));
}

function avatar(call) {
  return h("span", { class: "avatar", "aria-hidden": "true" }, initials(call.caller || "?"));
}

function kindOf(call) {
  return h("p", { class: "kind" }, call.video ? icons.video() : null, `Ringline ${call.video ? "video" : "audio"}`);
}

function act(what, phone, word, look, ...inside) {
  return h("button", { type: "button", class: `tap ${look}`, "data-act": what, "data-phone": phone.device_id, "data-key": word,
    "data-busy": word === "Decline as busy", "aria-label": `${word} on ${phone.name}` },
    inside.map((one) => (typeof one === "string" ? h("span", { class: "word" }, one) : one)));
}

export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

// `code` within sentences, as the server writes it.
export function marked(sentence) {
  return sentence.split("`").map((piece, n) => (n % 2 ? h("code", {}, piece) : piece));
}
