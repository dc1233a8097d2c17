// What the reader does: clicks and changes become requests. The answer comes by the feed.

const BASE = "/lab";

// POST JSON; {ok, status, body, sentence}. `sentence` says what was wrong and the way out.
export async function post(path, body = {}) {
  try {
    const answer = await fetch(`${BASE}/${path}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    const text = await answer.text();
    const found = answer.headers.get("Content-Type")?.includes("json") && text ? JSON.parse(text) : {};
    return { ok: answer.ok, status: answer.status, body: found, sentence: answer.ok ? "" : sentence(found, answer.status) };
  } catch {
    return { ok: false, status: 0, body: {}, sentence: "The server does not answer. Nothing was done." };
  }
}

function sentence(problem, status) {
  const fields = (problem.errors ?? []).map((one) => `${one.field}: ${one.detail}`).join(" ");
  return fields || problem.detail || problem.title || `The server answered ${status}.`;
}

// `ring` gives the body of a ring for some callees; `tell` shows a sentence of trouble ("" clears).
// `opened` resolves once Bob's browser rings by push, or says why it does not.
export function listen(root, { ring, tell, settled, opened }) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-act]");
    if (!button || button.disabled) return;
    const { act, phone, call } = button.dataset;
    const answer = await orders[act]?.({ button, phone, call, ring, opened });
    if (answer) tell(answer.sentence);
  });
  root.addEventListener("change", async (event) => {
    const control = event.target.closest("[data-set]");
    if (!control) return;
    control.waiting = true;
    const { set, phone } = control.dataset;
    const answer = await post(`phones/${phone}/${set}`, bodies[set](control));
    control.waiting = false;
    tell(answer.sentence);
    if (!answer.ok) settled();
  });
}

const orders = {
  ring: ({ button, ring }) => {
    const callees = button.dataset.callees.split(",");
    document.querySelector(`[data-user="${callees[0]}"]`)?.parentElement.scrollIntoView({ block: "nearest", inline: "center" });
    return post("ring", ring(callees));
  },
  ring_all: async ({ button, ring, opened }) => {
    button.disabled = true;
    const trouble = await opened();
    button.disabled = false;
    const answer = await orders.ring({ button, ring });
    return trouble && answer.ok ? { ...answer, sentence: `Bob’s browser rings by its open page alone. ${trouble}` } : answer;
  },
  cancel: ({ call }) => post(`calls/${call}/cancel`),
  end: ({ call }) => post(`calls/${call}/end`),
  at_once: ({ call }) => post(`calls/${call}/answer_at_once`),
  answer: ({ phone }) => post(`phones/${phone}/answer`),
  decline: ({ button, phone }) => post(`phones/${phone}/${"busy" in button.dataset ? "busy" : "decline"}`),
  hang_up: ({ phone }) => post(`phones/${phone}/hang_up`),
  reset: () => post("reset"),
  try: tryTrap,
};

const bodies = {
  conditions: (control) => ({ [control.dataset.key]: control.type === "checkbox" ? control.checked : control.value }),
  next_push: ({ checked, dataset: { key } }) => ({ [key]: { duplicate: checked ? 1 : 0, reorder: checked, held_seconds: checked ? 5 : 0 }[key] }),
  library: (control) => ({ profile: control.value }),
  sends: (control) => {
    const [kind, name] = control.value.split(" ");
    return kind ? { [kind]: name } : {};
  },
};

// The first phone gets the library and the trap, and is rung.
async function tryTrap({ button, ring }) {
  const phone = document.querySelector("[data-screen]").dataset.screen;
  const { profile, trap } = button.dataset;
  document.querySelector("#stage").scrollIntoView({ block: "start" });
  for (const [path, body] of [
    [`phones/${phone}/library`, { profile }], [`phones/${phone}/sends`, { trap }], ["ring", ring(["bob"])],
  ]) {
    const answer = await post(path, body);
    if (!answer.ok) return answer;
  }
  return { sentence: "" };
}
