// The lab: takes the server's state, draws it, and sends what the reader does.
import { drawCalls, drawRace, drawTimes } from "./race.js";
import { drawCaller } from "./caller.js";
import { drawTold } from "./told.js";
import { drawPush } from "./push.js";
import { drawPhone } from "./phone.js";
import { drawSwitches, drawTimeline } from "./switches.js";
import { drawTraps, judgePayloads } from "./traps.js";
import { follow } from "./feed.js";
import { listen } from "./act.js";
import { news } from "./news.js";
import { show } from "./draw.js";
import { standing } from "./caption.js";
import { opened } from "./frame.js";

const part = (name) => document.querySelector(`#${name}`);
const columns = [...document.querySelectorAll("[data-column]")];
const asking = part("asking");
let state = null;
let traps = [];
let watched = null;
let offset = 0;

function draw() {
  if (!state) return;
  const seen = Date.now() + offset;
  const names = Object.fromEntries(state.phones.map((phone) => [phone.device_id, phone.name]));
  const focused = document.activeElement?.closest?.("[data-column]");
  state.phones.forEach((phone, n) => drawColumn(columns[n], phone, seen));
  show(part("caller"), drawCaller(state.calls[0], state.phones.filter((phone) => phone.calls.at(-1)?.state === "ringing").length));
  show(part("race"), drawRace(state.race, names));
  show(part("times"), drawTimes(state.calls[0], names));
  show(part("calls"), drawCalls(state.calls, names));
  const chosen = state.phones.find((phone) => phone.device_id === watched) ?? latest(state.phones);
  for (const input of document.querySelectorAll("[name=watched]")) input.checked = state.phones[input.value] === chosen;
  show(part("push"), drawPush(chosen));
  // Where a button went away under the reader's finger, its phone keeps the focus.
  if (focused && document.activeElement === document.body) focused.querySelector("[data-screen]").focus({ preventScroll: true });
}

function drawColumn(column, phone, seen) {
  const find = (name) => column.querySelector(`[data-part=${name}]`);
  show(find("name"), phone.name);
  show(find("phone"), drawPhone(phone, seen));
  show(find("caption"), standing(phone, state));
  show(find("switches"), drawSwitches(phone, traps, state.libraries));
  show(find("timeline"), drawTimeline(phone));
}

// The phone whose push came last.
function latest(phones) {
  const at = (phone) => phone.raw_push?.received_ms ?? 0;
  return phones.reduce((one, other) => (at(other) > at(one) ? other : one));
}

function take(fresh) {
  const before = state;
  state = fresh;
  offset = fresh.now_ms - Date.now();
  document.body.classList.remove("lost");
  part("lost").hidden = true;
  part("feed").textContent = "Live";
  draw();
  part("said").textContent = news(before, fresh) || part("said").textContent;
}

function lost(sentence) {
  document.body.classList.add("lost");
  part("lost").hidden = false;
  part("lost").textContent = `${sentence} What you see is the last that it told. Trying again…`;
  part("feed").textContent = "Lost";
}

function ring(callees) {
  const { ring_time: time, video, call_type: type } = asking.elements;
  return { callees, video: video.checked, ring_time: Number(time.value), type: type.value };
}

function tell(sentence) {
  part("trouble").hidden = !sentence;
  part("trouble").textContent = sentence;
}

async function fetchTraps() {
  const answer = await fetch("/lab/traps");
  if (!answer.ok) return;
  traps = await answer.json();
  show(part("traps"), drawTraps(traps));
  draw();
}

for (const input of document.querySelectorAll("[name=watched]")) {
  input.addEventListener("change", () => { watched = state?.phones[input.value]?.device_id ?? null; draw(); });
}
for (const panel of document.querySelectorAll("details.panel")) panel.open = matchMedia("(min-width: 861px)").matches;
listen(document, { ring, tell, settled: draw, opened });
judgePayloads(part("judge"));
fetchTraps();
follow(take, lost);
// Only for what runs by the second: the clocks, and how long a call has been up.
setInterval(draw, 1000);
setInterval(() => state?.calls[0] && drawTold(part("told"), state.calls[0], state.now_ms), 1000);
