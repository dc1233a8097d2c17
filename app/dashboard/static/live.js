// A part of a page that asks for itself again: <section id="live" data-live="2000">, in ms.
const FOCUSED = "a, button, summary, [tabindex]";

// By what a thing of the part is known again: its place is no mark, a new row moves all others down.
function known(one) {
  return `${one.tagName} ${one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent.trim()}`;
}

const NEWS_APART = 5_000;

// What a part tells of itself, a line for each thing that may change.
function told(part) {
  return [...part.querySelectorAll("[data-told] > li")].map((one) => one.textContent.replace(/\s+/g, " ").trim());
}

// Says what has changed, once, to who hears the page (WCAG 4.1.3); what comes within seconds, together.
function announcer(place) {
  const waits = new Set();
  let timer = 0;
  let last = -NEWS_APART;
  function say() {
    timer = 0;
    last = performance.now();
    place.textContent = [...waits].join(". ");
    waits.clear();
  }
  return (before, after) => {
    for (const line of after) if (!before.includes(line)) waits.add(line);
    for (const line of waits) if (!after.includes(line)) waits.delete(line); // it is so no more
    if (waits.size && !timer) timer = setTimeout(say, Math.max(0, last + NEWS_APART - performance.now()));
  };
}

export function followLive(after) {
  let part = document.querySelector("#live[data-live]");
  if (!part) return;
  const news = document.querySelector("[data-news]");
  const announce = news ? announcer(news) : () => {};
  let mark = "";
  let paused = false;
  const pause = document.querySelector("[data-pause]");
  pause?.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume updates" : "Pause updates";
  });
  if (pause) pause.hidden = !Number(part.dataset.live);

  function held() {
    const marked = getSelection();
    return paused || document.visibilityState !== "visible" || part.querySelector("details.ask[open]")
      || (!marked.isCollapsed && part.contains(marked.anchorNode));
  }

  async function again() {
    const wait = Number(part.dataset.live) || 0;
    if (!wait) {
      if (pause) pause.hidden = pause !== document.activeElement;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (!held()) await refresh();
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
    if (fresh && !held()) replace(document.adoptNode(fresh));
    else mark = "";
  }

  // What the reader had opened, scrolled or focused stays so.
  function replace(fresh) {
    const opened = new Set([...part.querySelectorAll("details[open] > summary")].map(known));
    const scrolled = part.querySelector(".lanes")?.scrollLeft ?? 0;
    const focused = part.contains(document.activeElement) ? known(document.activeElement) : null;
    announce(told(part), told(fresh));
    part.replaceWith(fresh);
    part = fresh;
    for (const one of part.querySelectorAll("details > summary")) one.parentElement.open = opened.has(known(one));
    const lanes = part.querySelector(".lanes");
    if (lanes) lanes.scrollLeft = scrolled;
    if (focused !== null) {
      part.tabIndex = -1; // of what has gone, the part keeps the focus
      const again = [...part.querySelectorAll(FOCUSED)].find((one) => known(one) === focused);
      (again ?? part).focus({ preventScroll: true });
    }
    after(part);
  }

  again();
}
