import { ApiError } from "./errors.js";
import { Stream } from "./events.js";
import { base64url, segment, Sender } from "./requests.js";
import { reasonOf, Screen } from "./screen.js";
import { openerOf } from "./socket.js";
export * from "./errors.js";
const WAKING = ["visibilitychange", "resume"];
const RETURNING = ["pageshow", "focus"];
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
    #options;
    #screen;
    #handlers = {};
    #page = new AbortController();
    /** Milliseconds of silence after which this device is away, by session; 0: never. */
    #limits = new Map();
    #asking = new Set();
    #stream;
    #looking;
    constructor(options) {
        super({ url: options.url, credential: options.token });
        this.#options = options;
        const { userId, deviceId } = options;
        this.#screen = new Screen(userId, deviceId, () => Date.now() + this.clockOffset);
    }
    /** Hear of something; what it returns ends that. */
    on(name, handler) {
        const handlers = (this.#handlers[name] ??= new Set());
        handlers.add(handler);
        return () => handlers.delete(handler);
    }
    /** What rings now. */
    get rings() {
        return [...this.#screen.rings.values()];
    }
    /** Sessions of the calls that this device is in. */
    get held() {
        return [...this.#screen.held.keys()];
    }
    /** Open the stream and keep it open; returns at once. */
    start() {
        if (this.#stream !== undefined)
            return this;
        const { deviceId, transport, silence } = this.#options;
        const opener = openerOf(this.door(), { deviceId, transport, silence });
        const told = (open) => this.#tell("connection", open);
        const heard = (quietFor) => this.#look(quietFor);
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
    async subscribe(worker) {
        const { pushManager } = await active(await navigator.serviceWorker.register(worker));
        const app_id = location.origin;
        const { public_key: key } = await this.send({
            method: "GET",
            path: "/v1/web-push/key",
            query: { app_id },
            repeatable: true,
        });
        let subscription = await pushManager.getSubscription();
        const made = subscription?.options.applicationServerKey;
        if (made && base64url(new Uint8Array(made)) !== key) {
            await subscription.unsubscribe();
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
    received(payload) {
        this.#react(this.#screen.push(payload));
    }
    /** Close the stream: this device shows no more life, until `start`. */
    stop() {
        this.#page.abort();
        this.#page = new AbortController();
        clearInterval(this.#looking);
        this.#stream?.stop();
        this.#stream = undefined;
    }
    /** Ring others (the tenant's setting `users_may_ring`); this device is in the call. */
    async call(callees, more = {}) {
        const { userId: id, deviceId: device_id } = this.#options;
        const body = { ...more, callees, caller: { ...more.caller, id, device_id } };
        const request = { method: "POST", path: "/v1/calls", body, keyed: true, repeatable: true };
        const call = await this.send(request);
        this.#screen.join(call.session_id);
        return call;
    }
    /** Answer. The first device wins: `Conflict` or `Gone` say that it rings no more, as `stop` does. */
    async accept(ring) {
        try {
            return this.#joined(await this.#act(ring.sessionId, "accept"));
        }
        catch (error) {
            const reason = error instanceof ApiError ? reasonOf(error.status, error.body) : undefined;
            if (reason !== undefined)
                this.#over(ring, reason);
            throw error;
        }
    }
    /** Decline, for all of this user's devices or as the tenant says. Late or repeated: no harm. */
    async decline(ring, reason = "declined") {
        this.#screen.settle(ring.uuid);
        await this.#act(ring.sessionId, "decline", { reason });
    }
    /** Come into a call again that still lives, after `removed` or `leave`. */
    async join(sessionId) {
        return this.#joined(await this.#act(sessionId, "join"));
    }
    /** Leave; the others go on. */
    async leave(sessionId) {
        this.#screen.leave(sessionId);
        await this.#act(sessionId, "leave");
    }
    /** End it for everyone. */
    async end(sessionId) {
        this.#screen.leave(sessionId);
        await this.#act(sessionId, "end");
    }
    /** Give up before anybody has joined. */
    async cancel(sessionId) {
        this.#screen.leave(sessionId);
        await this.send({ method: "POST", path: path(sessionId, "cancel"), body: {}, repeatable: true });
    }
    /** A call as it stands. */
    read(reference) {
        return this.send({ method: "GET", path: `/v1/calls/${segment(reference)}`, repeatable: true });
    }
    #joined(accepted) {
        // a third of the time that it may be silent
        this.#limits.set(accepted.session_id, (accepted.heartbeat_every ?? 0) * 3_000);
        this.#screen.join(accepted.session_id);
        return accepted;
    }
    #act(sessionId, what, more = {}) {
        const body = { ...more, device_id: this.#options.deviceId };
        return this.send({ method: "POST", path: path(sessionId, what), body, repeatable: true });
    }
    async #follow(stream) {
        try {
            for await (const message of stream.messages()) {
                this.#tell("message", message);
                this.#react(this.#screen.take(message));
            }
        }
        catch (error) {
            this.#tell("error", error);
        }
    }
    #react(reactions) {
        for (const what of reactions) {
            if (what.do === "ring") {
                this.#tell("ring", what.ring);
                this.#confirm(what.ring);
            }
            else if (what.do === "stop")
                this.#tell("stop", what.ring, what.reason);
            else if (what.do === "ended")
                this.#tell("ended", what.sessionId, what.reason);
            else
                this.#tell(what.do, what.sessionId);
        }
    }
    /** Tell the caller that it rings here; without that the ring reads `unconfirmed`. */
    #confirm({ sessionId, uuid: ring }) {
        this.#act(sessionId, "report", { status: "delivered", ring }).catch(() => undefined);
    }
    /** What time alone tells: rings that are over, a long silence. */
    #look(quietFor) {
        this.#react(this.#screen.expire());
        for (const [sessionId, away] of this.#screen.held) {
            const limit = this.#limits.get(sessionId) ?? AWAY;
            if (limit && quietFor >= limit)
                this.#react(this.#screen.away(sessionId, true));
            else if (away)
                void this.#returned(sessionId);
        }
    }
    /** The server is heard again: what became of a call that this device was away from. */
    async #returned(sessionId) {
        if (this.#asking.has(sessionId))
            return;
        this.#asking.add(sessionId);
        try {
            this.#react(this.#screen.stands(await this.read(sessionId)));
        }
        catch {
            // lost again: it is asked again in a second
        }
        finally {
            this.#asking.delete(sessionId);
        }
    }
    /** Pages sleep: their timers and connections die, and nobody tells them. */
    #watchPage(stream) {
        if (typeof document === "undefined")
            return;
        const { signal } = this.#page;
        const woken = () => {
            if (document.visibilityState === "visible")
                stream.hurry(QUIET);
        };
        for (const name of WAKING)
            document.addEventListener(name, woken, { signal });
        for (const name of RETURNING)
            addEventListener(name, woken, { signal });
        addEventListener("online", () => stream.hurry(), { signal });
        const told = ({ data }) => data?.ringline && this.received(data.ringline);
        navigator.serviceWorker?.addEventListener("message", told, { signal });
    }
    #over(ring, reason) {
        const known = this.#screen.rings.has(ring.uuid);
        this.#screen.settle(ring.uuid);
        if (known)
            this.#tell("stop", ring, reason);
    }
    #tell(name, ...args) {
        const handlers = this.#handlers[name];
        for (const handler of handlers ?? [])
            handler(...args);
    }
}
/** A worker's registration, once it can take pushes. */
async function active(found) {
    const coming = found.installing ?? found.waiting;
    if (coming && !found.active) {
        await new Promise((done) => coming.addEventListener("statechange", () => coming.state === "activated" && done()));
    }
    return found;
}
const path = (sessionId, what) => `/v1/calls/${segment(sessionId)}/${what}`;
