// The timeline of the last call, as the public API tells it.
import { h, show } from "./draw.js";
import { ms } from "./words.js";

const SETTLES = 10_000; // after its end the last stops are still being answered
let read = null;
let busy = false;

export async function drawTold(part, call, now) {
  const over = call.ended_ms !== null && now - call.ended_ms > SETTLES;
  if (busy || document.hidden || read === `${call.id} over`) return;
  busy = true;
  try {
    const answer = await fetch(`/lab/calls/${call.id}/timeline`);
    if (!answer.ok) return;
    const { timeline } = await answer.json();
    read = over ? `${call.id} over` : null;
    show(part, [h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "The call’s timeline" },
      h("ol", { class: "plain timeline" }, timeline.map((line) =>
        h("li", {}, h("span", { class: "mono nums" }, ms(line.ms)), h("span", {}, line.text)))))]);
  } catch {
    // the feed says that the server is gone
  } finally {
    busy = false;
  }
}
