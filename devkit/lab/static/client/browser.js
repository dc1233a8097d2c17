import { ApiError } from "./errors.js";
import { Stream } from "./events.js";
import { base64url, segment, Sender } from "./requests.js";
import { reasonOf, Screen } from "./screen.js";
import { openerOf } from "./socket.js";
export * from "./errors.js";
const WAKING = ["visibilitychange", "resume"];
const RETURNING = ["pageshow", "focus"];
const QUIET = 20_000;
const AWAY = 30_000;
const LOOK_EVERY = 1_000;
export class RinglinePhone extends Sender {
    #options;
    #screen;
    #handlers = {};
    #page = new AbortController();
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
    on(name, handler) {
        const handlers = (this.#handlers[name] ??= new Set());
        handlers.add(handler);
        return () => handlers.delete(handler);
    }
    get rings() {
        return [...this.#screen.rings.values()];
    }
    get held() {
        return [...this.#screen.held.keys()];
    }
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
    received(payload) {
        this.#react(this.#screen.push(payload));
    }
    stop() {
        this.#page.abort();
        this.#page = new AbortController();
        clearInterval(this.#looking);
        this.#stream?.stop();
        this.#stream = undefined;
    }
    async call(callees, more = {}) {
        const { userId: id, deviceId: device_id } = this.#options;
        const body = { ...more, callees, caller: { ...more.caller, id, device_id } };
        const request = { method: "POST", path: "/v1/calls", body, keyed: true, repeatable: true };
        const call = await this.send(request);
        this.#screen.join(call.session_id);
        return call;
    }
    async accept(ring) {
        this.#screen.answers(ring.uuid);
        try {
            return this.#joined(await this.#act(ring.sessionId, "accept"));
        }
        catch (error) {
            this.#screen.answers(ring.uuid, false);
            const reason = error instanceof ApiError ? reasonOf(error.status, error.body) : undefined;
            if (reason !== undefined)
                this.#over(ring, reason);
            throw error;
        }
    }
    async decline(ring, reason = "declined") {
        this.#screen.settle(ring.uuid);
        await this.#act(ring.sessionId, "decline", { reason });
    }
    async join(sessionId) {
        return this.#joined(await this.#act(sessionId, "join"));
    }
    async leave(sessionId) {
        this.#screen.leave(sessionId);
        await this.#act(sessionId, "leave");
    }
    async end(sessionId) {
        this.#screen.leave(sessionId);
        await this.#act(sessionId, "end");
    }
    async cancel(sessionId) {
        this.#screen.leave(sessionId);
        await this.send({ method: "POST", path: path(sessionId, "cancel"), body: {}, repeatable: true });
    }
    read(reference) {
        return this.send({ method: "GET", path: `/v1/calls/${segment(reference)}`, repeatable: true });
    }
    #joined(accepted) {
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
    #confirm({ sessionId, uuid: ring }) {
        this.#act(sessionId, "report", { status: "delivered", ring }).catch(() => undefined);
    }
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
    async #returned(sessionId) {
        if (this.#asking.has(sessionId))
            return;
        this.#asking.add(sessionId);
        try {
            this.#react(this.#screen.stands(await this.read(sessionId)));
        }
        catch {
        }
        finally {
            this.#asking.delete(sessionId);
        }
    }
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
        for (const handler of handlers ?? []) {
            try {
                handler(...args);
            }
            catch (error) {
                report(error);
            }
        }
    }
}
function report(error) {
    if (typeof reportError === "function")
        reportError(error);
    else
        console.error(error);
}
async function active(found) {
    const coming = found.installing ?? found.waiting;
    if (coming && !found.active) {
        await new Promise((done) => coming.addEventListener("statechange", () => coming.state === "activated" && done()));
    }
    return found;
}
const path = (sessionId, what) => `/v1/calls/${segment(sessionId)}/${what}`;
