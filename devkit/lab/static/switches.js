// A phone's switches, and what it did. Every control shows what the server says.
import { h } from "./draw.js";
import { ANDROID_APPS, APPS, stamp } from "./words.js";
import { marked } from "./phone.js";

export function drawSwitches(phone, traps, libraries) {
  const { conditions, next_push: next } = phone;
  const set = (key, room = "conditions") => ({ "data-set": room, "data-key": key, "data-phone": phone.device_id });
  const android = phone.platform === "android";
  const iphone = phone.platform === "ios";
  const toggles = {
    android: { full_screen: "Full-screen calls allowed", doze: "Doze" },
    ios: { do_not_disturb: "Do Not Disturb", late_delivery: "Late delivery" },
  }[phone.platform] ?? {};
  return [
    choice(phone, "app", `App of ${phone.name}`, "App", Object.entries(android ? ANDROID_APPS : APPS), conditions.app),
    h("div", { class: "toggles" },
      toggle("Flight mode", conditions.flight_mode, set("flight_mode")),
      Object.entries(toggles).map(([key, word]) => toggle(word, conditions[key], set(key))),
      toggle("Duplicate next push", next.duplicate > 0, set("duplicate", "next_push")),
      toggle("Reorder next push", next.reorder, set("reorder", "next_push")),
      toggle("Hold next push 5 s", next.held_seconds > 0, set("held_seconds", "next_push"))),
    iphone && choice(phone, "ios", `iOS of ${phone.name}`, "iOS", [["26.3", "Before 26.4"], ["26.4", "26.4 and later"]], conditions.ios),
    iphone && h("div", { class: "picks" },
      pick("Its library", libraries.map((one) => [one, one]), phone.library, set("profile", "library")),
      sends(phone, traps, libraries, set("sends", "sends"))),
  ];
}

export function drawTimeline(phone) {
  const lines = [...phone.timeline].reverse();
  return [h("summary", {}, "What it did", h("span", { class: "unseen" }, `: ${phone.name}`)),
    h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `What ${phone.name} did` },
      h("ol", { class: "plain timeline" }, lines.map((line) =>
        h("li", { class: line.step }, h("time", { class: "mono nums" }, stamp(line.at_ms)), h("span", {}, marked(line.words))))))];
}

function toggle(word, on, attributes) {
  return h("label", { class: "toggle" },
    h("input", { type: "checkbox", role: "switch", checked: Boolean(on), ...attributes }), h("span", {}, word));
}

function choice(phone, key, name, legend, options, chosen) {
  return h("fieldset", { class: "segments", "aria-label": name }, h("legend", {}, legend),
    h("div", {}, options.map(([value, word]) => h("label", {},
      h("input", { type: "radio", name: `${key}-${phone.device_id}`, value, checked: value === chosen,
        "data-set": "conditions", "data-key": key, "data-phone": phone.device_id }),
      h("span", {}, word)))));
}

function pick(word, options, chosen, attributes) {
  return h("label", {}, h("span", { class: "label" }, word),
    h("select", attributes, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

function sends(phone, traps, libraries, attributes) {
  const chosen = phone.sends.trap ? `trap ${phone.sends.trap}` : phone.sends.profile ? `profile ${phone.sends.profile}` : "";
  const option = (value, text) => h("option", { value, selected: value === chosen }, text);
  const mine = traps.filter((trap) => trap.profile === phone.library);
  return h("label", {}, h("span", { class: "label" }, "Ringline sends"),
    h("select", attributes,
      option("", "what it wants"),
      mine.length ? h("optgroup", { label: "A trap of this library" }, mine.map((trap) => option(`trap ${trap.trap}`, trap.title))) : null,
      h("optgroup", { label: "Another library’s payload" },
        libraries.filter((one) => one !== phone.library).map((one) => option(`profile ${one}`, one)))));
}
