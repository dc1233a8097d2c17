import { errorOf, RinglineError, StreamEnded, Unauthorized } from "./errors.js";
import { isAway, json, spread } from "./requests.js";
export const SILENCE = 40_000;
const LONGEST_WAIT = 30_000;
const FOR_GOOD = ["user_erased"];
const OF_TOKEN = ["token_expired", "token_revoked", "unauthorized"];
export class Lines {
    retry = 1000;
    #rest = "";
    #id;
    #event = "";
    #data = [];
    feed(text) {
        const lines = (this.#rest + text).split(/\r\n|\n|\r(?=[^\n])/);
        this.#rest = lines.pop();
        return lines.flatMap((line) => this.#line(line));
    }
    #line(line) {
        if (line === "")
            return this.#message();
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "data")
            this.#data.push(value);
        else if (name === "event")
            this.#event = value;
        else if (name === "id" && /^\d+$/.test(value))
            this.#id = Number(value);
        else if (name === "retry" && /^\d+$/.test(value))
            this.retry = Number(value);
        return [];
    }
    #message() {
        const text = this.#data.join("\n");
        const message = { id: this.#id, type: this.#event || "message", body: {} };
        this.#data = [];
        this.#event = "";
        this.#id = undefined;
        return text ? [{ ...message, body: JSON.parse(text) }] : [];
    }
}
export class Position {
    after;
    constructor(after) {
        this.after = after;
    }
    takes(event) {
        if (event.type === "reset")
            this.after = undefined;
        else if (event.type === "snapshot")
            this.after = event.id;
        else if (event.id !== undefined) {
            if (this.after !== undefined && event.id <= this.after)
                return false;
            this.after = event.id;
        }
        return true;
    }
}
export async function* readSse(response, listener) {
    if (isAway(response.status))
        return;
    const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
    if (response.ok && !isStream)
        return;
    if (!response.ok)
        throw errorOf(response.status, await json(response));
    listener.opened();
    const reader = response.body.getReader();
    const lines = new Lines();
    const decoder = new TextDecoder();
    for (;;) {
        const { done, value } = await reader.read();
        if (done)
            return;
        yield lines.feed(decoder.decode(value, { stream: true }));
        listener.retry(lines.retry);
    }
}
export class Stream {
    opener;
    silence;
    onState;
    onHeard;
    #connection;
    #wake;
    #heard = Date.now();
    #began = 0;
    #stopped = false;
    #opened;
    #refused = false;
    #position;
    #retry = 1000;
    constructor(opener, after, silence = SILENCE, onState = () => undefined, onHeard = () => undefined) {
        this.opener = opener;
        this.silence = silence;
        this.onState = onState;
        this.onHeard = onHeard;
        this.#position = new Position(after);
    }
    stop() {
        this.#stopped = true;
        this.#connection?.abort();
        this.#wake?.();
    }
    hurry(quietFor = 0) {
        this.#wake?.();
        if (this.#idle() > quietFor)
            this.#connection?.abort();
    }
    quiet() {
        return Math.abs(Date.now() - this.#heard);
    }
    async *messages() {
        let failures = 0;
        let wait = 0;
        while (!this.#stopped) {
            try {
                for await (const message of this.#connect()) {
                    failures = 0;
                    yield message;
                }
            }
            catch (error) {
                if (error instanceof Unauthorized && !this.#refused && this.opener.renew()) {
                    this.#refused = true;
                    continue;
                }
                if (error instanceof RinglineError)
                    throw error;
            }
            this.#refused = false;
            if (this.#stopped)
                return;
            if (this.#stood() >= wait)
                failures = 0;
            wait = Math.min(this.#retry * 2 ** failures++, LONGEST_WAIT);
            await this.#rest(spread(wait));
        }
    }
    #stood() {
        return this.#opened === undefined ? 0 : performance.now() - this.#opened;
    }
    async *#connect() {
        this.#opened = undefined;
        const connection = (this.#connection = new AbortController());
        const watch = this.#watch(connection);
        let current = false;
        const tell = () => {
            if (current || this.#position.after === undefined)
                return;
            current = true;
            this.onState(true);
        };
        const listener = {
            opened: () => {
                this.#refused = false;
                this.#opened = performance.now();
                tell();
            },
            retry: (ms) => void (this.#retry = ms),
        };
        const { signal } = connection;
        try {
            for await (const told of this.opener.connect(this.#position.after, signal, listener)) {
                this.onHeard(this.quiet());
                this.#heard = Date.now();
                for (const message of told) {
                    if (message.type === "closing")
                        return closed(String(message.body["reason"]));
                    if (this.#position.takes(message))
                        yield message;
                    tell();
                }
            }
        }
        finally {
            clearInterval(watch);
            connection.abort();
            this.onState(false);
        }
    }
    #watch(connection) {
        this.#began = Date.now();
        return setInterval(() => this.#idle() > this.silence && connection.abort(), this.silence / 8);
    }
    #idle() {
        return Math.min(this.quiet(), Math.abs(Date.now() - this.#began));
    }
    async #rest(ms) {
        await new Promise((done) => {
            const timer = setTimeout(done, ms);
            this.#wake = () => (clearTimeout(timer), done());
        });
        this.#wake = undefined;
    }
}
function closed(reason) {
    if (FOR_GOOD.includes(reason))
        throw new StreamEnded(reason);
    if (OF_TOKEN.includes(reason)) {
        throw errorOf(401, { code: reason, detail: "the stream's token is good no more" });
    }
}
