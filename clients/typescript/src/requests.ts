import { ApiError, errorOf, Unauthorized, Unreachable } from "./errors.js";
import type { Door } from "./socket.js";

/** An API key or any token of Ringline's, or a function that gives one when it is needed. */
export type Credential = string | (() => string | Promise<string>);

export interface Options {
  /** Where the server is: `https://ring.example.com`. */
  url: string;
  /** Who acts. A function is asked again when the server refuses what it gave. */
  credential: Credential;
  /** Milliseconds for each try. */
  timeout?: number | undefined;
}

/** What to ask. `keyed`: it carries an idempotency key; `repeatable`: twice does no harm. */
export interface Request {
  method: string;
  path: string;
  repeatable?: boolean | undefined;
  query?: Record<string, unknown> | undefined;
  body?: unknown | undefined;
  keyed?: boolean | undefined;
  idempotencyKey?: string | undefined;
}

/** What has come, whole. */
interface Answer {
  ok: boolean;
  status: number;
  retryAfter: string | null;
  body: unknown;
}

const TRIES = 5;
/** Milliseconds between tries, half to one and a half times. */
const WAITS = [200, 500, 1000, 2000];
/** A `Retry-After` beyond this is for the caller to wait. */
const LONGEST_WAIT = 30_000;
const EMPTY = 204;
/** As the problem that it is, for what stands in the server's place. */
const NO_JSON = { code: "no_json", detail: "the answer is no JSON: is it the server's?" };
const NOTHING_DONE = [429];
const MAYBE_DONE = [502, 503, 504];

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
export const spread = (ms: number): number => ms * (0.5 + Math.random());

/** Whether an answer says: later. */
export const isAway = (status: number): boolean => [...NOTHING_DONE, ...MAYBE_DONE].includes(status);

/** Text as one segment of a path: ids may hold a slash. */
export const segment = (text: string): string =>
  encodeURIComponent(text).replaceAll("%3A", ":").replaceAll("%40", "@");

/** Bytes in base64url (RFC 4648, 5), without padding. */
export function base64url(data: Uint8Array): string {
  const text = btoa(String.fromCharCode(...data));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** An answer's JSON; undefined where it has none. */
export async function json(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds before the next try after an answer; undefined: this answer counts. */
export function waitAfter(
  request: Request,
  tries: number,
  status: number,
  retryAfter: string | null,
): number | undefined {
  if (tries >= TRIES) return undefined;
  const again = NOTHING_DONE.includes(status) || (MAYBE_DONE.includes(status) && request.repeatable);
  if (!again) return undefined;
  const asked = millisecondsAsked(retryAfter ?? "");
  return asked > LONGEST_WAIT ? undefined : Math.max(asked, waitBefore(tries));
}

/** What a `Retry-After` asks, in seconds or as a date (RFC 9110, 10.2.3); 0 where it asks nothing. */
function millisecondsAsked(text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Math.max(ms, 0) || 0;
}

const waitBefore = (tries: number): number => spread(WAITS[Math.min(tries, WAITS.length) - 1]!);

/** Asks, and asks again. */
export class Sender {
  readonly url: string;
  /** By how many milliseconds the server's clock is ahead of ours; 0 before an answer. */
  clockOffset = 0;
  readonly #credential: Credential;
  readonly #timeout: number;
  #token: string | undefined;

  constructor(options: Options) {
    this.url = options.url.replace(/\/+$/, "");
    this.#credential = options.credential;
    this.#timeout = options.timeout ?? 10_000;
  }

  /** A request that this version has no method for; the answer's JSON. */
  request<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return this.send<T>({ method, path, body, repeatable: method === "GET" });
  }

  protected async send<T>(request: Request): Promise<T> {
    const headers: Record<string, string> = {};
    if (request.body !== undefined) headers["Content-Type"] = "application/json";
    if (request.keyed) headers["Idempotency-Key"] = request.idempotencyKey ?? newKey();
    let renewed = false;
    for (let tries = 1; ; tries++) {
      const answer = await this.#tried(request, headers, tries);
      if (answer === undefined) continue;
      const { ok, status, retryAfter, body } = answer;
      if (ok && body === undefined && status !== EMPTY) throw new ApiError(status, NO_JSON);
      if (ok) return body as T;
      // an earlier try, whose answer was lost, has removed it
      if (request.method === "DELETE" && status === 404 && tries > 1) return undefined as T;
      const wait = waitAfter(request, tries, status, retryAfter);
      if (wait !== undefined) {
        await sleep(wait);
        continue;
      }
      const error = errorOf(status, body);
      if (!(error instanceof Unauthorized) || renewed || !this.renew()) throw error;
      renewed = true;
    }
  }

  /** An answer; undefined when none came and it may be asked again. */
  async #tried(
    request: Request,
    headers: Record<string, string>,
    tries: number,
  ): Promise<Answer | undefined> {
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
    } catch (error) {
      // fetch does not say whether anything was sent
      if (!request.repeatable || tries >= TRIES) {
        throw new Unreachable(String(error), { cause: error });
      }
      await sleep(waitBefore(tries));
      return undefined;
    }
  }

  /** Where a request goes. */
  protected address(request: Request): string {
    const given = Object.entries(request.query ?? {}).filter(([, value]) => value != null);
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    return `${this.url}${request.path}${given.length ? `?${query}` : ""}`;
  }

  /** The header that says who acts. */
  protected async authorization(): Promise<{ Authorization: string }> {
    const credential = this.#credential;
    this.#token ??= typeof credential === "string" ? credential : tokenOf(await credential());
    return { Authorization: `Bearer ${this.#token}` };
  }

  /** Forget the token, so that the next request asks for one; false if nobody can be asked. */
  protected renew(): boolean {
    if (typeof this.#credential === "string") return false;
    this.#token = undefined;
    return true;
  }

  /** The rows of all pages; the next page is asked for when it is needed. */
  protected async *pages<T>(request: Request, rows: string): AsyncGenerator<T> {
    let cursor: unknown;
    do {
      const query = { ...request.query, cursor };
      const page = await this.send<Record<string, unknown>>({ ...request, query });
      yield* page[rows] as T[];
      cursor = page["next_cursor"];
    } while (cursor);
  }

  /** By how much the server's clock is ahead, from a time that it has just told. */
  protected learn(told: string | null): void {
    const ahead = Date.parse(told ?? "") - Date.now();
    // `Date` has whole seconds
    if (!Number.isNaN(ahead)) this.clockOffset = Math.abs(ahead) > 1000 ? ahead : 0;
  }

  /** What a live stream needs of this. */
  protected door(): Door {
    return {
      address: (path, query) => this.address({ method: "GET", path, query }),
      authorization: () => this.authorization(),
      learn: (told) => this.learn(told),
      renew: () => this.renew(),
    };
  }
}

/** What a function gave; an error page, say, is no token, and is not kept as one. Throws Error. */
function tokenOf(given: unknown): string {
  const text = typeof given === "string" ? given.trim() : "";
  if (!/^[!-~]+$/.test(text)) throw new Error("what was given as a token is none");
  return text;
}

/** A UUID; `randomUUID` is there in secure contexts alone. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
