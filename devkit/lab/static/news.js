// What changed, in a sentence for those who hear the page.
import { CALL_REASONS, recent } from "./words.js";

export function news(before, now) {
  if (!before) return "";
  const said = now.phones.map((phone, n) => ofPhone(before.phones[n], phone));
  const [call, last] = [now.calls[0], before.calls[0]];
  if (call && call.state === "ended" && (last?.id !== call.id || last.state !== "ended")) {
    said.push(`The call is over: ${CALL_REASONS[call.reason] ?? call.reason}.`);
  }
  return said.filter(Boolean).join(" ");
}

function ofPhone(before, phone) {
  const [was, is] = [before?.calls.at(-1), phone.calls.at(-1)];
  if (phone.fault && phone.fault.why !== before?.fault?.why) return `${phone.name}: ${phone.fault.title}. ${phone.fault.why}`;
  if (is && is.state === "ringing" && was?.uuid !== is.uuid) return `${phone.name} rings: ${is.caller}.`;
  if (is && is.state === "active" && was?.state !== "active") return `${phone.name} is in the call.`;
  if (was && !is && phone.recents[0]) return `${phone.name} stopped: ${recent(phone.recents[0]).filter(Boolean).join(", ")}.`;
  return "";
}
