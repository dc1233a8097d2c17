import { ApiError, type RinglineError } from "./errors.js";
import { Stream, type StreamEvent } from "./events.js";
import type { Accepted, Call, CallerIn, OwnCall, Registered, RingIn, VapidKey } from "./models.js";
import { base64url, segment, Sender } from "./requests.js";
import { reasonOf, Screen, type IncomingRing, type Reaction } from "./screen.js";
import { openerOf, type Transport } from "./socket.js";

export * from "./errors.js";
export type { Transport } from "./socket.js";
export type { StreamEvent } from "./events.js";
export type * from "./models.js";
export type { IncomingRing } from "./screen.js";

export interface PhoneOptions {
  /** Where the server is: `https://ring.example.com`. */
  url: string;
  /** Gives a user token of this user's, from your backend; asked again when one expires. */
  token: () => string | Promise<string>;
  /** Whose phone this is: the token's subject. */
  userId: string;
  /** This installation's own and lasting id: keep it in `localStorage`. */
  deviceId: string;
  /** What people call it; the dashboard and timelines do too. */
  deviceName?: string | undefined;
  /** Milliseconds of silence after which the stream is dead: 40,000 by default. */
  silence?: number | undefined;
  /** Server-sent events by default; a WebSocket where a proxy holds those back. */
  transport?: Transport | undefined;
}

/** How a call is, and how screens show the caller. */
export interface CallOptions extends Omit<Partial<RingIn>, "callees" | "caller"> {
  caller?: Omit<CallerIn, "id" | "device_id"> | undefined;
}

/** What a phone tells its page. */
export interface PhoneEvents {
  /** Somebody calls: show it. */
  ring: [ring: IncomingRing];
  /** It rings no more. CallKit's reasons: 2 ended, 3 missed, 4 answered, 5 declined elsewhere. */
  stop: [ring: IncomingRing, reason: number];
  /** This device, which is in a call, was cut off for 30 s (or as the tenant says): others may see it go. */
  away: [sessionId: string];
  /** It is there again. */
  back: [sessionId: string];
  /** It was silent for 120 s and was taken out; `join` comes back in while the call lives. */
  removed: [sessionId: string];
  /** A call that this device is in is over. */
  ended: [sessionId: string, reason: string];
  /** The live stream is open, and `rings` says what rings (after the first snapshot's), or it is not. */
  connection: [open: boolean];
  /** Every message of the stream. */
  message: [message: StreamEvent];
  /** Nothing will come any more: the token is refused, or the user was erased. */
  error: [error: RinglineError];
}

type Handlers = { [Name in keyof PhoneEvents]?: Set<(...args: PhoneEvents[Name]) => void> };

const WAKING = ["visibilitychange", "resume"] as const;
const RETURNING = ["pageshow", "focus"] as const;
/** Milliseconds of silence that are longer than the server's: it speaks every 15 s. */
const QUIET = 20_000;
/** The server's default: silent for so long a device in a call is away. */
const AWAY = 30_000;
const LOOK_EVERY = 1_000;

/**
 * A phone in a page: rings, answers, stops, and stays in step with the user's other devices. An
 * open stream is its sign of life; coming back from sleep it connects at once.
 */
export class RinglinePhone extends Sender {
  readonly #options: PhoneOptions;
  readonly #screen: Screen;
  readonly #handlers: Handlers = {};
  #page = new AbortController();
  /** Milliseconds of silence after which this device is away, by session; 0: never. */
  readonly #limits = new Map<string, number>();
  readonly #asking = new Set<string>();
  #stream: Stream | undefined;
  #looking: ReturnType<typeof setInterval> | undefined;

  constructor(options: PhoneOptions) {
    super({ url: options.url, credential: options.token });
    this.#options = options;
    const { userId, deviceId } = options;
    this.#screen = new Screen(userId, deviceId, () => Date.now() + this.clockOffset);
  }

  /** Hear of something; what it returns ends that. */
  on<Name extends keyof PhoneEvents>(
    name: Name,
    handler: (...args: PhoneEvents[Name]) => void,
  ): () => void {
    const handlers = (this.#handlers[name] ??= new Set() as never) as Set<typeof handler>;
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  /** What rings now. */
  get rings(): IncomingRing[] {
    return [...this.#screen.rings.values()];
  }

  /** Sessions of the calls that this device is in. */
  get held(): string[] {
    return [...this.#screen.held.keys()];
  }

  /** Open the stream and keep it open; returns at once. */
  start(): this {
    if (this.#stream !== undefined) return this;
    const { deviceId, transport, silence } = this.#options;
    const opener = openerOf(this.door(), { deviceId, transport, silence });
    const told = (open: boolean): void => this.#tell("connection", open);
    const heard = (quietFor: number): void => this.#look(quietFor);
    const stream = new Stream(opener, undefined, silence, told, heard);
    this.#stream = stream;
    this.#looking = setInterval(() => this.#look(stream.quiet()), LOOK_EVERY);
    this.#watchPage(stream);
    void this.#follow(stream);
    return this;
  }

  /**
   * Ring also while no page is open, by Web Push: registers this device. `worker` is the address at
   * which your app serves the package's `worker.js`. It asks whether it may notify, so call it from
   * a tap first, and then at each start of the page. Notifications are in the browser's language.
   */
  async subscribe(worker: string): Promise<Registered> {
    const { pushManager } = await active(await navigator.serviceWorker.register(worker));
    const app_id = location.origin;
    const { public_key: key } = await this.send<VapidKey>({
      method: "GET",
      path: "/v1/web-push/key",
      query: { app_id },
      repeatable: true,
    });
    let subscription = await pushManager.getSubscription();
    const made = subscription?.options.applicationServerKey;
    if (made && base64url(new Uint8Array(made)) !== key) {
      await subscription!.unsubscribe();
      subscription = null;
    }
    const options = { userVisibleOnly: true, applicationServerKey: key };
    subscription ??= await pushManager.subscribe(options);
    const token = { kind: "webpush", app_id, subscription, application_server_key: key };
    const { deviceId: device_id, deviceName: name } = this.#options;
    const { language: locale } = navigator;
    const body = { device_id, name, platform: "web", locale, tokens: [token] };
    return this.send({ method: "POST", path: "/v1/devices", body, repeatable: true });
  }

  /** Hand over a push that native code or a service worker has got: it rings or stops once. */
  received(payload: Record<string, unknown>): void {
    this.#react(this.#screen.push(payload));
  }

  /** Close the stream: this device shows no more life, until `start`. */
  stop(): void {
    this.#page.abort();
    this.#page = new AbortController();
    clearInterval(this.#looking);
    this.#stream?.stop();
    this.#stream = undefined;
  }

  /** Ring others (the tenant's setting `users_may_ring`); this device is in the call. */
  async call(callees: string[], more: CallOptions = {}): Promise<Call> {
    const { userId: id, deviceId: device_id } = this.#options;
    const body: RingIn = { ...more, callees, caller: { ...more.caller, id, device_id } };
    const request = { method: "POST", path: "/v1/calls", body, keyed: true, repeatable: true };
    const call = await this.send<Call>(request);
    this.#screen.join(call.session_id);
    return call;
  }

  /** Answer. The first device wins: `Conflict` or `Gone` say that it rings no more, as `stop` does. */
  async accept(ring: IncomingRing): Promise<Accepted> {
    this.#screen.answers(ring.uuid);
    try {
      return this.#joined(await this.#act<Accepted>(ring.sessionId, "accept"));
    } catch (error) {
      this.#screen.answers(ring.uuid, false);
      const reason = error instanceof ApiError ? reasonOf(error.status, error.body) : undefined;
      if (reason !== undefined) this.#over(ring, reason);
      throw error;
    }
  }

  /** Decline, for all of this user's devices or as the tenant says. Late or repeated: no harm. */
  async decline(ring: IncomingRing, reason: "declined" | "busy" = "declined"): Promise<void> {
    this.#screen.settle(ring.uuid);
    await this.#act(ring.sessionId, "decline", { reason });
  }

  /** Come into a call again that still lives, after `removed` or `leave`. */
  async join(sessionId: string): Promise<Accepted> {
    return this.#joined(await this.#act<Accepted>(sessionId, "join"));
  }

  /** Leave; the others go on. */
  async leave(sessionId: string): Promise<void> {
    this.#screen.leave(sessionId);
    await this.#act(sessionId, "leave");
  }

  /** End it for everyone. */
  async end(sessionId: string): Promise<void> {
    this.#screen.leave(sessionId);
    await this.#act(sessionId, "end");
  }

  /** Give up before anybody has joined. */
  async cancel(sessionId: string): Promise<void> {
    this.#screen.leave(sessionId);
    await this.send({ method: "POST", path: path(sessionId, "cancel"), body: {}, repeatable: true });
  }

  /** A call as it stands. */
  read(reference: string): Promise<Call | OwnCall> {
    return this.send({ method: "GET", path: `/v1/calls/${segment(reference)}`, repeatable: true });
  }

  #joined(accepted: Accepted): Accepted {
    // a third of the time that it may be silent
    this.#limits.set(accepted.session_id, (accepted.heartbeat_every ?? 0) * 3_000);
    this.#screen.join(accepted.session_id);
    return accepted;
  }

  #act<T>(sessionId: string, what: string, more: object = {}): Promise<T> {
    const body = { ...more, device_id: this.#options.deviceId };
    return this.send<T>({ method: "POST", path: path(sessionId, what), body, repeatable: true });
  }

  async #follow(stream: Stream): Promise<void> {
    try {
      for await (const message of stream.messages()) {
        this.#tell("message", message);
        this.#react(this.#screen.take(message));
      }
    } catch (error) {
      this.#tell("error", error as RinglineError);
    }
  }

  #react(reactions: Reaction[]): void {
    for (const what of reactions) {
      if (what.do === "ring") {
        this.#tell("ring", what.ring);
        this.#confirm(what.ring);
      } else if (what.do === "stop") this.#tell("stop", what.ring, what.reason);
      else if (what.do === "ended") this.#tell("ended", what.sessionId, what.reason);
      else this.#tell(what.do, what.sessionId);
    }
  }

  /** Tell the caller that it rings here; without that the ring reads `unconfirmed`. */
  #confirm({ sessionId, uuid: ring }: IncomingRing): void {
    this.#act(sessionId, "report", { status: "delivered", ring }).catch(() => undefined);
  }

  /** What time alone tells: rings that are over, a long silence. */
  #look(quietFor: number): void {
    this.#react(this.#screen.expire());
    for (const [sessionId, away] of this.#screen.held) {
      const limit = this.#limits.get(sessionId) ?? AWAY;
      if (limit && quietFor >= limit) this.#react(this.#screen.away(sessionId, true));
      else if (away) void this.#returned(sessionId);
    }
  }

  /** The server is heard again: what became of a call that this device was away from. */
  async #returned(sessionId: string): Promise<void> {
    if (this.#asking.has(sessionId)) return;
    this.#asking.add(sessionId);
    try {
      this.#react(this.#screen.stands(await this.read(sessionId)));
    } catch {
      // lost again: it is asked again in a second
    } finally {
      this.#asking.delete(sessionId);
    }
  }

  /** Pages sleep: their timers and connections die, and nobody tells them. */
  #watchPage(stream: Stream): void {
    if (typeof document === "undefined") return;
    const { signal } = this.#page;
    const woken = (): void => {
      if (document.visibilityState === "visible") stream.hurry(QUIET);
    };
    for (const name of WAKING) document.addEventListener(name, woken, { signal });
    for (const name of RETURNING) addEventListener(name, woken, { signal });
    addEventListener("online", () => stream.hurry(), { signal });
    const told = ({ data }: MessageEvent): void => data?.ringline && this.received(data.ringline);
    navigator.serviceWorker?.addEventListener("message", told, { signal });
  }

  #over(ring: IncomingRing, reason: number): void {
    const known = this.#screen.rings.has(ring.uuid);
    this.#screen.settle(ring.uuid);
    if (known) this.#tell("stop", ring, reason);
  }

  #tell<Name extends keyof PhoneEvents>(name: Name, ...args: PhoneEvents[Name]): void {
    const handlers = this.#handlers[name] as Set<(...args: PhoneEvents[Name]) => void> | undefined;
    for (const handler of handlers ?? []) {
      try {
        handler(...args);
      } catch (error) {
        report(error); // it is the page's; the others, and the stream, go on
      }
    }
  }
}

/** As an event's handlers are treated: what one throws is told of, and ends nothing. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

/** A worker's registration, once it can take pushes. */
async function active(found: ServiceWorkerRegistration): Promise<ServiceWorkerRegistration> {
  const coming = found.installing ?? found.waiting;
  if (coming && !found.active) {
    await new Promise<void>((done) =>
      coming.addEventListener("statechange", () => coming.state === "activated" && done()),
    );
  }
  return found;
}

const path = (sessionId: string, what: string): string => `/v1/calls/${segment(sessionId)}/${what}`;
