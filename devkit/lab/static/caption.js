// One line below each phone: where it stands.
import { h } from "./draw.js";
import { ms, recent } from "./words.js";

export function standing(phone, { race }) {
  const call = phone.calls.at(-1);
  const stopped = race?.stopped.find((one) => one.phone === phone.device_id);
  const [kind, word, rest] = line(phone, call, stopped);
  return [h("span", { class: `tag ${kind}` }, word), rest ? h("span", { class: "small quiet" }, ` ${rest}`) : null];
}

function line(phone, call, stopped) {
  const more = phone.calls.length > 1 ? `and ${phone.calls.length - 1} more` : "";
  if (call?.state === "ringing") return ["live", "Ringing", more];
  if (call?.state === "answering") return ["live", "Connecting", more];
  if (call?.state === "active") return ["good", "In the call", more];
  if (phone.fault) return ["bad", phone.fault.title];
  const last = phone.recents[0];
  if (!last) return ["", "Idle"];
  const [title, why] = recent(last);
  if (stopped && last.recent === "answered_elsewhere") return ["", title, `stopped ${ms(stopped.ms_after_answer)} after the answer`];
  return ["", title, why];
}
