// Who was first, and how long the others took to stop; and a call from the asking to its end.
// Every number is the server's.
import { h, s } from "./draw.js";
import { CALL_REASONS, ms } from "./words.js";

export function drawRace(race, names) {
  if (!race) {
    return [h("p", { class: "quiet small" }, "Ring Bob and accept on one of his phones: how long the others took to stop is shown here.")];
  }
  return [
    h("p", { class: "small quiet" }, "Answered on ", h("strong", {}, names[race.winner] ?? "another device")),
    race.ringing.map((one) => h("p", { class: "small warn-ink" }, `${names[one]} has not been reached yet: it still rings.`)),
    race.stopped.length
      ? h("ul", { class: "plain" }, race.stopped.map((one) => h("li", { class: "figure" },
        h("strong", { "data-ms": one.ms_after_answer }, ms(one.ms_after_answer)),
        h("span", { class: "small" }, `${names[one.phone] ?? one.phone} ${one.tapped_too ? "tapped too, and was told that it came second," : "stopped"} after the answer`))))
      : race.ringing.length ? null : h("p", { class: "small quiet" }, "No other phone was ringing for the same person."),
  ];
}

// Two scales: the milliseconds to the ring, and those from the answer to the stop. Between them is
// the time that a person took.
const WIDE = 1000;
const NAME = 168;
const ROW = 46;

export function drawTimes(call, names) {
  if (!call) return [h("p", { class: "quiet" }, "No call yet.")];
  const phones = Object.keys(names).filter((phone) => call.times.some((one) => one.phone === phone));
  if (!phones.length) return [h("p", { class: "quiet" }, "No phone has rung in this call yet.")];
  const at = (phone, what) => call.times.find((one) => one.phone === phone && one.what === what)?.ms;
  const answered = Math.min(...call.times.filter((one) => one.what === "answered").map((one) => one.ms));
  const after = Number.isFinite(answered);
  const left = scale(call.times.filter((one) => one.what === "push" || one.what === "ringing").map((one) => one.ms), NAME, after ? 560 : 900);
  const right = scale(call.times.filter((one) => one.what === "stopped" && after && one.ms >= answered).map((one) => one.ms - answered), 680, 930);
  const rows = phones.map((phone, n) => row(phone, n, names, at, after ? answered : null, left, right));
  const high = phones.length * ROW + 34;
  return [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The call as a drawing" },
      s("svg", { class: "draw times", viewBox: `0 0 ${WIDE} ${high}`, role: "img", "aria-label": spoken(call, phones, names, at) },
        s("text", { x: NAME, y: 12 }, "asked"), s("line", { class: "grid", x1: NAME, x2: NAME, y1: 18, y2: high }),
        after ? [s("text", { x: 620, y: 12, "text-anchor": "middle" }, "a person’s time"),
          s("text", { x: 680, y: 12 }, "answered"), s("line", { class: "grid", x1: 680, x2: 680, y1: 18, y2: high })] : null,
        rows)),
    numbers(call, phones, names, at, after ? answered : null),
  ];
}

function scale(values, from, to) {
  const most = Math.max(...values, 1);
  return (value) => from + (value / most) * (to - from);
}

function row(phone, n, names, at, answered, left, right) {
  const y = 40 + n * ROW;
  const push = at(phone, "push");
  const ring = at(phone, "ringing");
  const stop = at(phone, "stopped");
  const own = at(phone, "answered");
  const mark = (x, kind, text, end) => [s("circle", { class: kind, cx: x, cy: y, r: 5.5 }),
    s("text", { x: end ? x + 10 : x, y: end ? y + 4 : y + 20, "text-anchor": end ? "start" : "middle", class: "marked" }, text)];
  return s("g", { class: "lane-row" },
    s("text", { x: 0, y: y + 4, class: "marked" }, names[phone]),
    push !== undefined && [s("rect", { class: "bar soft", x: NAME, y: y - 3, width: left(push) - NAME, height: 6, rx: 3 }), mark(left(push), "plain", `pushed ${ms(push)}`)],
    ring !== undefined && [push !== undefined && s("rect", { class: "bar", x: left(push), y: y - 3, width: Math.max(0, left(ring) - left(push)), height: 6, rx: 3 }), mark(left(ring), "live", `rings ${ms(ring)}`, true)],
    own !== undefined && mark(680, "good", "answered", true),
    stop !== undefined && answered !== null && own === undefined && stop >= answered
      && [s("rect", { class: "bar warn", x: 680, y: y - 3, width: right(stop - answered) - 680, height: 6, rx: 3 }), mark(right(stop - answered), "warn", `stopped ${ms(stop - answered)}`)]);
}

function spoken(call, phones, names, at) {
  return phones.map((phone) => `${names[phone]}: ` + ["push", "ringing", "answered", "stopped"]
    .filter((what) => at(phone, what) !== undefined).map((what) => `${what} after ${ms(at(phone, what))}`).join(", ")).join(". ");
}

function numbers(call, phones, names, at, answered) {
  const cell = (value) => h("td", { class: "right nums", "data-ms": value }, value === undefined ? "–" : ms(value));
  // The first of these that there is, by its own name where it is not the first.
  const either = (phone, whats) => {
    const what = whats.find((one) => at(phone, one) !== undefined);
    return what === undefined || what === whats[0] ? cell(at(phone, whats[0]))
      : h("td", { class: "right nums" }, `${what.replace("_", " ")} ${ms(at(phone, what))}`);
  };
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The call in numbers" },
    h("table", { class: "tight numbers" },
      h("thead", {}, h("tr", {}, ["Since the ring was asked for", "Push at Apple or Google", "Rings", "Answered", "Stopped", "After the answer"]
        .map((word, n) => h("th", { class: n ? "right" : null }, word)))),
      h("tbody", {}, phones.map((phone) => {
        const stop = at(phone, "stopped");
        const late = stop !== undefined && answered !== null && stop >= answered && at(phone, "answered") === undefined;
        return h("tr", { "data-phone": phone }, h("td", {}, names[phone]), cell(at(phone, "push")), either(phone, ["ringing", "silenced", "crashed", "not_reported", "not_woken"]),
          cell(at(phone, "answered")), either(phone, ["stopped", "killed"]), cell(late ? stop - answered : undefined));
      }))));
}

export function drawCalls(calls, names) {
  if (!calls.length) return [h("p", { class: "quiet" }, "No call yet.")];
  return [h("ol", { class: "plain calls" }, calls.map((call) => h("li", { "data-call": call.id },
    h("span", { class: "row" }, h("span", { class: `tag ${call.state === "ended" ? "" : "live"}` }, call.state === "ended" ? CALL_REASONS[call.reason] ?? call.reason : call.state),
      h("strong", {}, `Alice rings ${call.callees.join(" and ")}`)),
    h("span", { class: "small quiet" }, call.members.map((one) => `${one.user_id} ${one.state}`).join(", ")))))];
}
