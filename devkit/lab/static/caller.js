// Alice's side: the call that she has made, and what she can do about it.
import { h } from "./draw.js";
import { CALL_REASONS } from "./words.js";

// What Alice's own screen may say: that it rings is known once a phone has said so.
function heard(members) {
  const devices = members.reduce((sum, one) => sum + one.devices, 0);
  if (devices) return `ringing on ${devices} phone${devices === 1 ? "" : "s"}`;
  return members.some((one) => one.receipt === "waiting") ? "calling" : "calling: no phone has confirmed";
}

// `ringing`: how many phones ring.
export function drawCaller(call, ringing) {
  if (!call) return [h("p", { class: "quiet" }, "Alice has not called yet.")];
  const who = call.callees.map((one) => one[0].toUpperCase() + one.slice(1)).join(" and ");
  const over = call.state === "ended";
  const word = over ? CALL_REASONS[call.reason] ?? call.reason : call.state === "active" ? "answered" : heard(call.members);
  return [
    h("p", { class: "row between" }, h("strong", {}, `Alice → ${who}`), h("span", { class: `tag ${over ? "" : "live"}`, "data-state": call.reason ?? call.state }, word)),
    over ? null : h("p", { class: "row" },
      call.state === "ringing" ? h("button", { type: "button", "data-act": "cancel", "data-call": call.id, "data-key": "cancel" }, "Alice hangs up") : null,
      h("button", { type: "button", "data-act": "end", "data-call": call.id, "data-key": "end" }, "Server ends it"),
      ringing > 1 ? h("button", { type: "button", "data-act": "at_once", "data-call": call.id, "data-key": "at-once" }, "All answer in the same moment") : null),
  ];
}
