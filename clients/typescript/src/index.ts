import { Stream, type StreamEvent } from "./events.js";
import { Operations } from "./operations.js";
import { openerOf, type Transport } from "./socket.js";

export * from "./errors.js";
export type { StreamEvent } from "./events.js";
export type * from "./models.js";
export type { Credential, Options } from "./requests.js";
export type { Transport } from "./socket.js";
export { signUserToken, type TokenOptions } from "./tokens.js";
export { verifyWebhook, type WebhookOptions } from "./webhooks.js";

/** Whose stream, and from where. */
export interface EventsOptions {
  /** With an API key only; with a user token it is its subject's. */
  userId?: string | undefined;
  /** An open stream is this device's sign of life. */
  deviceId?: string | undefined;
  /** Go on after this message. */
  lastEventId?: number | undefined;
  /** Milliseconds of silence after which a connection is dead: 40,000 by default. */
  silence?: number | undefined;
  /** Server-sent events by default; a WebSocket needs Node 22 or later. */
  transport?: Transport | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/** A client for servers: every operation of the API, and live events. */
export class Ringline extends Operations {
  /**
   * What a user is told, for ever: it connects again and goes on where it was. First comes a
   * `snapshot` of the user's live calls, then each event once, in order. `reset` says that too
   * much was missed; a new snapshot follows. Throws ApiError or StreamEnded when connecting again
   * is of no use.
   */
  async *events(options: EventsOptions = {}): AsyncGenerator<StreamEvent> {
    const opener = openerOf(this.door(), options);
    const stream = new Stream(opener, options.lastEventId, options.silence);
    const { signal } = options;
    const stop = (): void => stream.stop();
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      yield* stream.messages();
    } finally {
      signal?.removeEventListener("abort", stop);
      stream.stop();
    }
  }
}
