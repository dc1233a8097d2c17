// Screens of devices in Node: one that has heard all, and one that comes late, say what they show.
import { createInterface } from "node:readline";
import { Screen } from "./node_modules/ringline-client/dist/screen.js";

const screens = new Map();
const of = (user, device) => {
  const key = `${user} ${device}`;
  if (!screens.has(key)) screens.set(key, new Screen(user, device));
  return screens.get(key);
};
const shows = (screen) => ({ rings: [...screen.rings.keys()].sort(), held: [...screen.held].sort() });
const does = {
  took: (user, device, messages) => void messages.forEach((one) => of(user, device).take(one)),
  joined: (user, device, sessionId) => of(user, device).join(sessionId),
  left: (user, device, sessionId) => of(user, device).leave(sessionId),
  settled: (user, device, uuid) => of(user, device).settle(uuid),
  compare(user, device, snapshot) {
    const late = new Screen(user, device);
    late.take(snapshot);
    console.log(JSON.stringify({ all: shows(of(user, device)), late: shows(late) }));
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  does[said.does](...said.with);
}
