import { errorOf, RinglineError, StreamEnded, Unauthorized } from "./errors.js";
import { isAway, json, spread } from "./requests.js";

/**
 * One message of a live stream. `id`: where to resume after it; `body`: all of it, with
 * `session_id` and `data` for an event of a call, `calls` for a `snapshot`, `reason` for a `reset`.
 */
export interface StreamEvent {
  id: number | undefined;
  type: string;
  body: Record<string, any>;
}

/** Milliseconds without a byte after which a stream is dead: the server speaks every 15 s. */
export const SILENCE = 40_000;
const LONGEST_WAIT = 30_000;
/** Reasons after which connecting again is of no use. */
const FOR_GOOD = ["user_erased"];
/** Reasons after which a new token is needed. */
const OF_TOKEN = ["token_expired", "token_revoked", "unauthorized"];

/** Puts messages together from text (HTML Standard, 9.2). `retry`: ms that the server asks for. */
export class Lines {
  retry = 1000;
  #rest = "";
  #id: number | undefined;
  #event = "";
  #data: string[] = [];

  /** Take text as it comes; gives the messages that are whole. */
  feed(text: string): StreamEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?=[^\n])/);
    this.#rest = lines.pop()!;
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): StreamEvent[] {
    if (line === "") return this.#message();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && /^\d+$/.test(value)) this.#id = Number(value);
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    return [];
  }

  #message(): StreamEvent[] {
    const text = this.#data.join("\n");
    const message = { id: this.#id, type: this.#event || "message", body: {} };
    this.#data = [];
    this.#event = "";
    this.#id = undefined;
    return text ? [{ ...message, body: JSON.parse(text) }] : [];
  }
}

/** Where a reader is. `after`: the number of the last message that was given. */
export class Position {
  constructor(public after: number | undefined) {}

  /** Whether a message is new; moves on if it is. */
  takes(event: StreamEvent): boolean {
    if (event.type === "reset") this.after = undefined;
    else if (event.type === "snapshot") this.after = event.id;
    else if (event.id !== undefined) {
      if (this.after !== undefined && event.id <= this.after) return false;
      this.after = event.id;
    }
    return true;
  }
}

/** What a connection tells beside its messages. */
export interface Listener {
  /** The server has let us in. */
  opened(): void;
  /** Milliseconds that the server asks us to wait before we connect again. */
  retry(ms: number): void;
}

/** One way to be told: by server-sent events, or over a WebSocket. */
export interface Opener {
  /**
   * What is heard of one connection, as it comes: whole messages, none for a sign of life. Goes on
   * after message `after`; `signal` ends it. Throws ApiError or StreamEnded when it is refused.
   */
  connect(
    after: number | undefined,
    signal: AbortSignal,
    listener: Listener,
  ): AsyncGenerator<StreamEvent[]>;
  /** Forget the token; false if no other can be had. */
  renew(): boolean;
}

/** The messages of an answer that is an event stream. */
export async function* readSse(
  response: Response,
  listener: Listener,
): AsyncGenerator<StreamEvent[]> {
  if (isAway(response.status)) return;
  // a network's own page in the server's place: it may be gone the next time
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  if (response.ok && !isStream) return;
  if (!response.ok) throw errorOf(response.status, await json(response));
  listener.opened();
  const reader = response.body!.getReader();
  const lines = new Lines();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield lines.feed(decoder.decode(value, { stream: true }));
    listener.retry(lines.retry);
  }
}

/** A live stream that connects again by itself, and gives each message once and in order. */
export class Stream {
  #connection: AbortController | undefined;
  #wake: (() => void) | undefined;
  #heard = Date.now();
  #began = 0;
  #stopped = false;
  #opened: number | undefined;
  /** Whether the last token was refused, without anything else in between. */
  #refused = false;
  readonly #position: Position;
  #retry = 1000;

  constructor(
    private readonly opener: Opener,
    after: number | undefined,
    private readonly silence: number = SILENCE,
    /** Told true once it is known how things stand. */
    private readonly onState: (open: boolean) => void = () => undefined,
    /** Told before anything that is heard, after how many milliseconds of silence it comes. */
    private readonly onHeard: (quietFor: number) => void = () => undefined,
  ) {
    this.#position = new Position(after);
  }

  /** End it. */
  stop(): void {
    this.#stopped = true;
    this.#connection?.abort();
    this.#wake?.();
  }

  /**
   * Connect now if nothing was heard for so many milliseconds: after sleep a connection looks open
   * and is dead, and a wait is longer than it need be.
   */
  hurry(quietFor = 0): void {
    this.#wake?.();
    if (this.#idle() > quietFor) this.#connection?.abort();
  }

  /** Milliseconds since anything was heard, or since somebody set this clock. */
  quiet(): number {
    return Math.abs(Date.now() - this.#heard);
  }

  /** The messages, until `stop`. Throws ApiError or StreamEnded when connecting is of no use. */
  async *messages(): AsyncGenerator<StreamEvent> {
    let failures = 0;
    let wait = 0;
    while (!this.#stopped) {
      try {
        for await (const message of this.#connect()) {
          failures = 0;
          yield message;
        }
      } catch (error) {
        if (error instanceof Unauthorized && !this.#refused && this.opener.renew()) {
          this.#refused = true;
          continue;
        }
        if (error instanceof RinglineError) throw error;
      }
      // the new token may have run out while nothing could be reached
      this.#refused = false;
      if (this.#stopped) return;
      // one that stood as long as was waited for it is none
      if (this.#stood() >= wait) failures = 0;
      wait = Math.min(this.#retry * 2 ** failures++, LONGEST_WAIT);
      await this.#rest(spread(wait));
    }
  }

  /** For how many milliseconds the last connection was open. */
  #stood(): number {
    return this.#opened === undefined ? 0 : performance.now() - this.#opened;
  }

  async *#connect(): AsyncGenerator<StreamEvent> {
    this.#opened = undefined;
    const connection = (this.#connection = new AbortController());
    const watch = this.#watch(connection);
    let current = false;
    /** Who has no number to go on from waits for a snapshot. */
    const tell = (): void => {
      if (current || this.#position.after === undefined) return;
      current = true;
      this.onState(true);
    };
    const listener = {
      opened: () => {
        this.#refused = false;
        this.#opened = performance.now();
        tell();
      },
      retry: (ms: number) => void (this.#retry = ms),
    };
    const { signal } = connection;
    try {
      for await (const told of this.opener.connect(this.#position.after, signal, listener)) {
        this.onHeard(this.quiet());
        this.#heard = Date.now();
        for (const message of told) {
          if (message.type === "closing") return closed(String(message.body["reason"]));
          if (this.#position.takes(message)) yield message;
          tell();
        }
      }
    } finally {
      clearInterval(watch);
      connection.abort();
      this.onState(false);
    }
  }

  /** Ends a connection on which nothing is heard. */
  #watch(connection: AbortController): ReturnType<typeof setInterval> {
    this.#began = Date.now();
    return setInterval(
      () => this.#idle() > this.silence && connection.abort(),
      this.silence / 8,
    );
  }

  /** The same, of this connection. */
  #idle(): number {
    return Math.min(this.quiet(), Math.abs(Date.now() - this.#began));
  }

  async #rest(ms: number): Promise<void> {
    await new Promise<void>((done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => (clearTimeout(timer), done());
    });
    this.#wake = undefined;
  }
}

function closed(reason: string): void {
  if (FOR_GOOD.includes(reason)) throw new StreamEnded(reason);
  if (OF_TOKEN.includes(reason)) {
    throw errorOf(401, { code: reason, detail: "the stream's token is good no more" });
  }
}
