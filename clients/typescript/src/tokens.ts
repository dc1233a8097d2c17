import { base64url } from "./requests.js";

/** How a user token is made. */
export interface TokenOptions {
  /** A signing secret of the tenant's, and its id. */
  secret: string;
  kid: string;
  userId: string;
  /** Seconds for which it is good: 3,600 by default. */
  expiresIn?: number | undefined;
  /** What it is good for; all that users may without. */
  scopes?: string[] | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
  /** Unix milliseconds: `Date.now() + ringline.clockOffset` where this clock may be wrong. */
  now?: number | undefined;
}

/** A token with which this user's app may act: a JWT (RFC 7519) by HS256, signed here. */
export async function signUserToken(options: TokenOptions): Promise<string> {
  const made = (options.now ?? Date.now()) / 1000;
  const claims = {
    sub: options.userId,
    iat: Math.round(made * 1000) / 1000,
    exp: Math.floor(made + (options.expiresIn ?? 3600)),
    scopes: options.scopes,
    iss: options.issuer,
    aud: options.audience,
  };
  const signed = `${part({ alg: "HS256", kid: options.kid, typ: "JWT" })}.${part(claims)}`;
  const mac = await hmac(new TextEncoder().encode(options.secret), signed);
  return `${signed}.${base64url(mac)}`;
}

/** HMAC-SHA-256. */
export async function hmac(secret: Uint8Array, text: string | Uint8Array): Promise<Uint8Array> {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret as BufferSource, how, false, ["sign"]);
  const data = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, data as BufferSource));
}

const part = (value: object): string => base64url(new TextEncoder().encode(JSON.stringify(value)));
