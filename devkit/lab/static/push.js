// The raw push of a phone, and what each client library makes of a payload.
import { h, s } from "./draw.js";
import { marked } from "./phone.js";
import { OUTCOMES, thousands } from "./words.js";

export function drawPush(phone) {
  const push = phone?.raw_push;
  if (!push) return [h("p", { class: "quiet" }, "No push has come to this phone yet.")];
  return [h("div", { class: "pair" },
    h("div", { class: "stack" },
      size(push.bytes, push.limit, LIMITS[phone.platform]),
      h("div", {}, h("h3", {}, "Headers"), h("dl", { class: "mono headers" },
        Object.entries(push.headers).map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]))),
      h("div", {}, h("h3", {}, "Payload"),
        h("pre", { class: "payload", tabindex: "0", role: "region", "aria-label": `Payload of the last push to ${phone.name}` }, tinted(push.payload))),
      drawStop(phone)),
    phone.platform !== "ios" ? null
      : h("div", {}, h("h3", {}, "What each library would do with it"), drawVerdicts(phone.verdicts, phone.library)))];
}

// A stop goes by the live stream, and as a background push to the app's other token; by FCM at normal priority.
function drawStop(phone) {
  const stop = phone.stop_push;
  if (!stop) return null;
  const kind = { android: "message of normal priority", alerted: "notification" }[phone.platform] ?? "background push";
  return h("details", { class: "more" }, h("summary", {}, `Its last stop, as a ${kind} of ${thousands(stop.bytes)} bytes`),
    h("pre", { class: "payload", tabindex: "0", role: "region", "aria-label": `Payload of the last stop to ${phone.name}` }, tinted(stop.payload)));
}

const APPLE = ["Apple refuses it: PayloadTooLarge", "Apple’s limit for a VoIP push"];
const LIMITS = {
  ios: APPLE,
  alerted: ["Apple refuses it: PayloadTooLarge", "Apple’s limit for a notification"],
  android: ["Google refuses it: INVALID_ARGUMENT", "Google’s limit for keys and values"],
};

export function size(bytes, limit, [refused, its] = APPLE) {
  const part = Math.min(100, (bytes / limit) * 100);
  return h("div", {}, h("p", { class: "row between" }, h("strong", { class: "nums" }, `${thousands(bytes)} of ${thousands(limit)} bytes`),
    h("span", { class: "small quiet" }, bytes > limit ? refused : its)),
  s("svg", { class: `meter draw ${bytes > limit ? "over" : ""}`, viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": `${part.toFixed(0)} percent of the limit` },
    s("rect", { class: "rest", width: 100, height: 8 }), s("rect", { class: bytes > limit ? "bad" : "bar", width: part, height: 8 })));
}

export function drawVerdicts(verdicts, own) {
  return h("ul", { class: "plain verdicts" }, verdicts.map((one) => {
    const [kind, word] = OUTCOMES[one.outcome] ?? ["", one.outcome];
    return h("li", { "data-profile": one.profile, class: one.profile === own ? "own" : null },
      h("div", { class: "row between" }, h("span", {}, h("code", {}, one.profile), one.profile === own ? h("span", { class: "small quiet" }, " this phone has it") : null),
        h("span", { class: `tag ${kind}` }, word)),
      h("p", { class: "small" }, marked(one.reason)),
      one.notes.map((note) => h("p", { class: "small warn-ink" }, marked(note))));
  }));
}

// JSON with its keys and strings told apart.
export function tinted(value) {
  const text = JSON.stringify(value, null, 2);
  const pieces = text.split(/("(?:[^"\\]|\\.)*"(?:\s*:)?)/);
  return pieces.map((piece) => {
    if (!piece.startsWith('"')) return piece;
    return h("span", { class: piece.endsWith(":") ? "json-key" : "json-text" }, piece);
  });
}
