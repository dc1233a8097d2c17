import { errorOf, RinglineError, StreamEnded } from "./errors.js";
import { type Listener, type Opener, readSse, SILENCE, type StreamEvent } from "./events.js";
import { isAway } from "./requests.js";

/** By which way a live stream comes: server-sent events with fetch, or a WebSocket. */
export type Transport = "sse" | "websocket";

/** What both ways need of who opens a stream. */
export interface Door {
  address(path: string, query: Record<string, unknown>): string;
  authorization(): Promise<{ Authorization: string }>;
  /** The server's time, as text. */
  learn(told: string | null): void;
  renew(): boolean;
}

/** Whose stream; `silence`: milliseconds after which a connection is dead. */
export interface Which {
  userId?: string | undefined;
  deviceId?: string | undefined;
  transport?: Transport | undefined;
  silence?: number | undefined;
}

/** Opens streams by one of the ways. */
export function openerOf(door: Door, which: Which): Opener {
  const query = { user_id: which.userId, device_id: which.deviceId };
  const renew = (): boolean => door.renew();
  if (which.transport !== "websocket") return { connect: sse, renew };
  if (typeof WebSocket === "undefined") {
    throw new RinglineError("there is no WebSocket here: Node has one from version 22 on");
  }
  return { connect: socket, renew };

  async function* sse(
    after: number | undefined,
    signal: AbortSignal,
    listener: Listener,
  ): AsyncGenerator<StreamEvent[]> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (after !== undefined) headers["Last-Event-ID"] = String(after);
    const address = door.address("/v1/events", query);
    Object.assign(headers, await door.authorization());
    const answer = await fetch(address, { headers, signal, cache: "no-store" });
    door.learn(answer.headers.get("Date"));
    for await (const messages of readSse(answer, listener)) {
      tellTime(messages); // a page of another origin may not read `Date`
      yield messages;
    }
  }

  function tellTime(messages: StreamEvent[]): void {
    for (const { type, body } of messages) {
      if (type === "pong" || type === "snapshot") door.learn(body["at"] ?? null);
    }
  }

  /** The first message says who is calling: no token stands in an address. */
  async function* socket(
    after: number | undefined,
    signal: AbortSignal,
    listener: Listener,
  ): AsyncGenerator<StreamEvent[]> {
    const token = (await door.authorization()).Authorization.replace("Bearer ", "");
    const hello = { type: "authenticate", token, last_event_id: after, ...query };
    const open = new WebSocket(door.address("/v1/ws", {}).replace(/^http/, "ws"));
    const told: StreamEvent[] = [];
    let wake = (): void => undefined;
    let over: { code: number; reason: string } | undefined;
    const end = (event: { code: number; reason: string }): void => ((over ??= event), wake());
    // a quiet socket says nothing of itself; its pongs do, and tell the server's time
    const ping = (): void => void (open.readyState === WebSocket.OPEN && open.send("ping"));
    const pings = setInterval(ping, (which.silence ?? SILENCE) / 3);
    open.onopen = () => (open.send(JSON.stringify(hello)), ping());
    open.onmessage = ({ data }) => (told.push(read(String(data))), wake());
    open.onclose = end;
    // Node's first WebSockets do not close when they have never been open
    open.onerror = () => end({ code: 1006, reason: "" });
    const stop = (): void => end({ code: 1000, reason: "" });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      for (let first = true; ; first = false) {
        while (!told.length && !over) await new Promise<void>((done) => (wake = done));
        if (!told.length) return closedBy(over!.code, over!.reason);
        if (first) listener.opened();
        const now = told.splice(0);
        tellTime(now);
        yield now.filter(({ type }) => type !== "pong");
      }
    } finally {
      clearInterval(pings);
      open.close();
    }
  }
}

function read(text: string): StreamEvent {
  const { id, ...body } = JSON.parse(text);
  return { id, type: body.type, body };
}

/** Close codes from 4000 on are statuses of HTTP; after the others one connects again. */
function closedBy(code: number, reason: string): void {
  const status = code - 4000;
  if (status === 410) throw new StreamEnded(reason);
  if (status < 400 || status === 408 || isAway(status)) return;
  throw errorOf(status, { code: reason, detail: `the server closed the stream: ${reason}` });
}
