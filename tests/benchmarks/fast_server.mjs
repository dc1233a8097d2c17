// A fast stand-in for Apple: HTTP/2 over TLS, answers 200 to every push and notes it.
// node fast_server.mjs CERTIFICATE KEY: prints its port; then answers each line that it reads:
// "count" with the number of pushes since its start, "arrivals" with [[device token, apns-id,
// seconds on the monotonic clock], ...] since that was last asked. Ends with its standard input.
import { createSecureServer } from "node:http2";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
let pushes = 0;
let arrivals = [];
const server = createSecureServer({ cert, key, settings: { maxConcurrentStreams: 1000 } });
// A generous window: raw aioapns sleeps for a second whenever it runs out of it.
server.on("session", (session) => session.setLocalWindowSize(2 ** 26));
server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    if (stream.destroyed || stream.closed) return; // its client has gone meanwhile
    pushes += 1;
    arrivals.push(headers[":path"], headers["apns-id"], process.hrtime());
    stream.respond({ ":status": 200, "apns-id": headers["apns-id"] }, { endStream: true });
  });
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

function take() {
  const taken = [];
  for (let n = 0; n < arrivals.length; n += 3) {
    const [seconds, nanoseconds] = arrivals[n + 2];
    taken.push([arrivals[n].split("/").pop(), arrivals[n + 1], seconds + nanoseconds / 1e9]);
  }
  arrivals = [];
  return taken;
}

createInterface({ input: process.stdin })
  .on("line", (line) => console.log(line === "arrivals" ? JSON.stringify(take()) : pushes))
  .on("close", () => process.exit(0));
