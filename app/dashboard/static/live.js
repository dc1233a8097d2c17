// A part of a page that asks for itself again: <section id="live" data-live="2000">, in ms.
export function followLive(after) {
  let part = document.querySelector("#live[data-live]");
  if (!part) return;
  let mark = "";

  async function again() {
    const wait = Number(part.dataset.live) || 0;
    if (!wait) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.visibilityState === "visible" && !part.querySelector("details.ask[open]")) await refresh();
    again();
  }

  async function refresh() {
    const headers = { "X-Ringline-Part": "1" };
    if (mark) headers["If-None-Match"] = mark;
    let answer;
    try {
      answer = await fetch(location.href, { headers, cache: "no-store" });
    } catch {
      return; // the network is away: try again
    }
    if (answer.status === 401) return location.reload();
    if (answer.status !== 200) return;
    mark = answer.headers.get("ETag") ?? "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
    if (fresh) replace(document.adoptNode(fresh));
  }

  // What the reader had opened, scrolled or focused stays so.
  function replace(fresh) {
    const opened = [...part.querySelectorAll("details")].map((one) => one.open);
    const scrolled = part.querySelector(".lanes")?.scrollLeft ?? 0;
    const focused = [...part.querySelectorAll("a, button, summary, [tabindex]")].indexOf(document.activeElement);
    part.replaceWith(fresh);
    part = fresh;
    part.querySelectorAll("details").forEach((one, n) => { one.open = opened[n] ?? false; });
    const lanes = part.querySelector(".lanes");
    if (lanes) lanes.scrollLeft = scrolled;
    if (focused >= 0) part.querySelectorAll("a, button, summary, [tabindex]")[focused]?.focus({ preventScroll: true });
    after(part);
  }

  again();
}
