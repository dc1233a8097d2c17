// The server's state, as it comes; and the plain truth when it does not.

const AGAIN_AFTER = 1_500;
// The feed says something at least this often, if only a comment: longer silence is a dead server.
const SILENCE = 10_000;

// Calls `take(state)` for each state and `lost(sentence)` when the feed breaks; tries again for ever.
// A feed that the server ends (new phones, say) is asked for anew before anybody is told.
export async function follow(take, lost) {
  for (;;) {
    const why = await read(take);
    if (why) lost(why);
    await new Promise((resolve) => setTimeout(resolve, why ? AGAIN_AFTER : 100));
  }
}

// Reads one connection to its end; answers what was wrong, "" if nothing.
async function read(take) {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENCE);
  try {
    const answer = await fetch("/lab/feed", { cache: "no-store", signal: stop.signal });
    if (answer.status === 404) return "The lab is not there: the simulated Apple does not answer, or this server runs without one.";
    if (!answer.ok) return (await answer.json()).detail ?? `The server answers ${answer.status}.`;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return "";
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE);
      held = handOn(held + value, take);
    }
  } catch {
    return stop.signal.aborted ? "The server has fallen silent." : "The server does not answer.";
  } finally {
    clearTimeout(silence);
  }
}

// Events that are whole go to `take`; the beginning of the next one is given back.
function handOn(text, take) {
  const events = text.split("\n\n");
  const rest = events.pop();
  for (const event of events) {
    const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
    if (data.length) take(JSON.parse(data.join("\n")));
  }
  return rest;
}
