import { ApiError, errorOf, Unauthorized, Unreachable } from "./errors.js";
const TRIES = 5;
const WAITS = [200, 500, 1000, 2000];
const LONGEST_WAIT = 30_000;
const EMPTY = 204;
const NO_JSON = { code: "no_json", detail: "the answer is no JSON: is it the server's?" };
const NOTHING_DONE = [429];
const MAYBE_DONE = [502, 503, 504];
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const spread = (ms) => ms * (0.5 + Math.random());
export const isAway = (status) => [...NOTHING_DONE, ...MAYBE_DONE].includes(status);
export const segment = (text) => encodeURIComponent(text).replaceAll("%3A", ":").replaceAll("%40", "@");
export function base64url(data) {
    const text = btoa(String.fromCharCode(...data));
    return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
export async function json(response) {
    const text = await response.text();
    try {
        return text ? JSON.parse(text) : undefined;
    }
    catch {
        return undefined;
    }
}
export function waitAfter(request, tries, status, retryAfter) {
    if (tries >= TRIES)
        return undefined;
    const again = NOTHING_DONE.includes(status) || (MAYBE_DONE.includes(status) && request.repeatable);
    if (!again)
        return undefined;
    const asked = millisecondsAsked(retryAfter ?? "");
    return asked > LONGEST_WAIT ? undefined : Math.max(asked, waitBefore(tries));
}
function millisecondsAsked(text) {
    const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
    return Math.max(ms, 0) || 0;
}
const waitBefore = (tries) => spread(WAITS[Math.min(tries, WAITS.length) - 1]);
export class Sender {
    url;
    clockOffset = 0;
    #credential;
    #timeout;
    #token;
    constructor(options) {
        this.url = options.url.replace(/\/+$/, "");
        this.#credential = options.credential;
        this.#timeout = options.timeout ?? 10_000;
    }
    request(method, path, body) {
        return this.send({ method, path, body, repeatable: method === "GET" });
    }
    async send(request) {
        const headers = {};
        if (request.body !== undefined)
            headers["Content-Type"] = "application/json";
        if (request.keyed)
            headers["Idempotency-Key"] = request.idempotencyKey ?? newKey();
        let renewed = false;
        for (let tries = 1;; tries++) {
            const answer = await this.#tried(request, headers, tries);
            if (answer === undefined)
                continue;
            const { ok, status, retryAfter, body } = answer;
            if (ok && body === undefined && status !== EMPTY)
                throw new ApiError(status, NO_JSON);
            if (ok)
                return body;
            if (request.method === "DELETE" && status === 404 && tries > 1)
                return undefined;
            const wait = waitAfter(request, tries, status, retryAfter);
            if (wait !== undefined) {
                await sleep(wait);
                continue;
            }
            const error = errorOf(status, body);
            if (!(error instanceof Unauthorized) || renewed || !this.renew())
                throw error;
            renewed = true;
        }
    }
    async #tried(request, headers, tries) {
        const authorization = await this.authorization();
        try {
            const answer = await fetch(this.address(request), {
                method: request.method,
                headers: { ...headers, ...authorization },
                body: request.body === undefined ? null : JSON.stringify(request.body),
                signal: AbortSignal.timeout(this.#timeout),
            });
            this.learn(answer.headers.get("Date"));
            const { ok, status } = answer;
            return { ok, status, retryAfter: answer.headers.get("Retry-After"), body: await json(answer) };
        }
        catch (error) {
            if (!request.repeatable || tries >= TRIES) {
                throw new Unreachable(String(error), { cause: error });
            }
            await sleep(waitBefore(tries));
            return undefined;
        }
    }
    address(request) {
        const given = Object.entries(request.query ?? {}).filter(([, value]) => value != null);
        const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
        return `${this.url}${request.path}${given.length ? `?${query}` : ""}`;
    }
    async authorization() {
        const credential = this.#credential;
        this.#token ??= typeof credential === "string" ? credential : tokenOf(await credential());
        return { Authorization: `Bearer ${this.#token}` };
    }
    renew() {
        if (typeof this.#credential === "string")
            return false;
        this.#token = undefined;
        return true;
    }
    async *pages(request, rows) {
        let cursor;
        do {
            const query = { ...request.query, cursor };
            const page = await this.send({ ...request, query });
            yield* page[rows];
            cursor = page["next_cursor"];
        } while (cursor);
    }
    learn(told) {
        const ahead = Date.parse(told ?? "") - Date.now();
        if (!Number.isNaN(ahead))
            this.clockOffset = Math.abs(ahead) > 1000 ? ahead : 0;
    }
    door() {
        return {
            address: (path, query) => this.address({ method: "GET", path, query }),
            authorization: () => this.authorization(),
            learn: (told) => this.learn(told),
            renew: () => this.renew(),
        };
    }
}
function tokenOf(given) {
    const text = typeof given === "string" ? given.trim() : "";
    if (!/^[!-~]+$/.test(text))
        throw new Error("what was given as a token is none");
    return text;
}
function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
