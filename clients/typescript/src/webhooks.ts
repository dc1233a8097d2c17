import { WebhookRefused } from "./errors.js";
import { hmac } from "./tokens.js";

/** How a webhook is looked at. */
export interface WebhookOptions {
  /** The request's body as it came, byte for byte. */
  body: string | Uint8Array;
  headers: Headers | Record<string, string | string[] | undefined>;
  /** `whsec_...`; while one is being rotated, both. */
  secret: string | string[];
  /** Seconds since it was signed: 300 by default. */
  tolerance?: number | undefined;
  /** Unix milliseconds. */
  now?: number | undefined;
}

/**
 * The event of a webhook, once it is known to be the server's (the Standard Webhooks
 * specification). Throws WebhookRefused. An event may come twice: keep its `id`.
 */
export async function verifyWebhook(options: WebhookOptions): Promise<Record<string, any>> {
  const { body, headers, tolerance = 300, now = Date.now() } = options;
  const [event, at, given] = ["id", "timestamp", "signature"].map((name) =>
    header(headers, `webhook-${name}`),
  ) as [string, string, string];
  if (!/^\d+$/.test(at)) throw new WebhookRefused("webhook-timestamp is no number");
  if (Math.abs(now / 1000 - Number(at)) > tolerance) {
    throw new WebhookRefused("it was signed too long ago, or this clock is wrong");
  }
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const signatures = given.split(" ").filter((one) => one.startsWith("v1,"));
  for (const secret of [options.secret].flat()) {
    const ours = await hmac(bytes(secret.replace(/^whsec_/, "")), `${event}.${at}.${text}`);
    if (signatures.some((one) => same(one.slice(3), ours))) return JSON.parse(text);
  }
  throw new WebhookRefused("no signature is by this secret");
}

function header(headers: WebhookOptions["headers"], name: string): string {
  const found =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1];
  if (typeof found !== "string") throw new WebhookRefused(`the header ${name} is missing`);
  return found;
}

const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

/** Whether a signature is ours, in the same time however much of it is right. */
function same(text: string, ours: Uint8Array): boolean {
  let theirs: Uint8Array;
  try {
    theirs = bytes(text);
  } catch {
    return false;
  }
  if (theirs.length !== ours.length) return false;
  return theirs.reduce((wrong, one, index) => wrong | (one ^ ours[index]!), 0) === 0;
}
