// A fast stand-in for Apple: HTTP/2 over TLS, answers 200 to every push and counts them.
// node fast_server.mjs CERTIFICATE KEY: prints its port, then the count for each line it reads;
// ends with its standard input.
import { createSecureServer } from "node:http2";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
let pushes = 0;
const server = createSecureServer({ cert, key, settings: { maxConcurrentStreams: 1000 } });
// A generous window: raw aioapns sleeps for a second whenever it runs out of it.
server.on("session", (session) => session.setLocalWindowSize(2 ** 26));
server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  stream.resume();
  stream.on("end", () => {
    pushes += 1;
    stream.respond({ ":status": 200, "apns-id": headers["apns-id"] }, { endStream: true });
  });
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
createInterface({ input: process.stdin })
  .on("line", () => console.log(pushes))
  .on("close", () => process.exit(0));
