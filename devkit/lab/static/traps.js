// The traps of the client libraries, to be tried on a phone; and a payload of the reader's own.
import { h, show } from "./draw.js";
import { drawVerdicts, size, tinted } from "./push.js";
import { marked } from "./phone.js";
import { post } from "./act.js";
import { OUTCOMES } from "./words.js";

export function drawTraps(traps) {
  return traps.map((trap) => {
    const [kind, word] = OUTCOMES[trap.outcome] ?? ["", trap.outcome];
    return h("li", { class: "card trap", "data-trap": `${trap.profile} ${trap.trap}` },
      h("div", { class: "row between" }, h("code", {}, trap.profile), h("span", { class: `tag ${kind}` }, word)),
      h("h3", {}, marked(trap.title)),
      h("p", { class: "small" }, marked(trap.reason)),
      (trap.notes ?? []).map((note) => h("p", { class: "small warn-ink" }, marked(note))),
      h("details", { class: "more" }, h("summary", {}, "Payload", h("span", { class: "unseen" }, ` of ${trap.profile}: ${trap.title}`)),
        h("pre", { class: "payload", tabindex: "0" }, tinted(trap.payload))),
      h("button", { type: "button", "data-act": "try", "data-profile": trap.profile, "data-trap": trap.trap },
        "Try it on Bob's iPhone", h("span", { class: "unseen" }, `: ${trap.profile}, ${trap.title}`)));
  });
}

// A pasted payload is judged by the server, by the same model that the phones run on.
export function judgePayloads(form) {
  const out = form.querySelector("[data-out]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await post("verdicts", { payload: form.elements.payload.value });
    if (answer.ok) {
      const found = answer.body;
      show(out, size(found.bytes, found.limit), drawVerdicts(found.verdicts, null));
    } else {
      show(out, h("p", { class: "note bad", role: "alert" }, answer.sentence));
    }
  });
}
