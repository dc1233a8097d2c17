import type { StreamEvent } from "./events.js";

/** A call that rings on this device. */
export interface IncomingRing {
  /** The ring's UUID: never used for another one. */
  uuid: string;
  sessionId: string;
  cid: string;
  /** Who is calling: `id`, and what else the server was told. */
  caller: { id: string; name?: string | null; avatar_url?: string | null } & Record<string, unknown>;
  /** The call's title, if it has one. */
  title: string | undefined;
  video: boolean;
  /** Until when it rings: RFC 3339, UTC. */
  expiresAt: string;
}

/** What a device does about a message. `reason` is CallKit's: 2 ended, 3 missed, 4 and 5 elsewhere. */
export type Reaction =
  | { do: "ring"; ring: IncomingRing }
  | { do: "stop"; ring: IncomingRing; reason: number }
  | { do: "away" | "back" | "removed"; sessionId: string }
  | { do: "ended"; sessionId: string; reason: string };

const REMOTE_ENDED = 2;
const ELSEWHERE = "answered_elsewhere";
const GONE = [404, 410];
/** Where an answer names no number. */
const REASONS: Record<string, number> = {
  failed: 1,
  missed: 3,
  unreachable: 3,
  accepted: 4,
  [ELSEWHERE]: 4,
  declined: 5,
  busy: 5,
};
const LIVE = ["joined", "away"];
/** Milliseconds after a ring's end within which the server tells of it. */
const MOMENT = 3_000;
/** Milliseconds by which a clock set by HTTP's `Date` may be behind. */
const WHOLE_SECOND = 1_000;

/** With which of CallKit's reasons a screen ends after this answer; undefined: it does not. */
export function reasonOf(status: number, body: Record<string, any>): number | undefined {
  if (typeof body["callkit_reason"] === "number") return body["callkit_reason"];
  if (body["code"] === ELSEWHERE) return REASONS[ELSEWHERE];
  return GONE.includes(status) ? (REASONS[String(body["reason"])] ?? REMOTE_ENDED) : undefined;
}

/** What is on one device's screen, and which calls it holds: messages in, reactions out. */
export class Screen {
  readonly rings = new Map<string, IncomingRing>();
  /** Sessions that this device has joined, and whether it is away there. */
  readonly held = new Map<string, boolean>();
  readonly #settled = new Set<string>();
  readonly #answering = new Set<string>();
  /** When a session was last read: what its stream tells of before is over. */
  readonly #looked = new Map<string, number>();

  constructor(
    private readonly userId: string,
    private readonly deviceId: string,
    /** The server's time in Unix milliseconds: this device's clock may be wrong. */
    private readonly now: () => number = Date.now,
  ) {}

  /** Take the next message of the stream. Types that it does not know do nothing. */
  take(message: StreamEvent): Reaction[] {
    if (message.type === "snapshot") return this.#snapshot(message.body["calls"] ?? []);
    const data = message.body["data"] ?? {};
    const sessionId = String(message.body["session_id"]);
    if (message.type === "call.ended") return this.#ended(sessionId, String(data["reason"]));
    if (data["user_id"] !== this.userId) return [];
    if (message.type === "ring.started") return this.#started(message.body, data);
    if (message.type === "ring.settled") return this.#settle(data);
    // for itself alone: as `ring.settled` by this very device
    if (message.type === "device.declined" && data["device_id"] === this.deviceId) {
      return this.#settle({ callkit_reason: REASONS["declined"], ...data });
    }
    return this.#presence(message, sessionId, data);
  }

  /** Take a push of the server's as it came: APNs's payload, or the data of FCM. Any other does nothing. */
  push(payload: Record<string, any>): Reaction[] {
    const told = payload?.["ring"] ?? flat(payload ?? {});
    if (typeof told["uuid"] !== "string") return [];
    if (told["type"] === "stop") {
      return this.#settle({ ring: told["uuid"], callkit_reason: told["callkit_reason"] });
    }
    if ((told["type"] ?? "ring") !== "ring") return []; // a notification tells of the call, and no more
    const until = new Date(told["expires_at"]);
    if (Number.isNaN(until.getTime())) return [];
    const expires_at = until.toISOString();
    return this.#ring(ringOf(told, { uuid: told["uuid"], expires_at }));
  }

  /** This device has answered or joined; what rang of that call is answered. */
  join(sessionId: string): void {
    this.held.set(sessionId, false);
    for (const ring of this.#of(sessionId)) this.settle(ring.uuid);
  }

  /** This very page answers, or (`false`) has failed to: what it does itself it need not be told. */
  answers(uuid: string, does = true): void {
    if (does) this.#answering.add(uuid);
    else this.#answering.delete(uuid);
  }

  /** A ring is over here; it never rings again, however late it is told. */
  settle(uuid: string): void {
    this.rings.delete(uuid);
    this.#answering.delete(uuid);
    this.#settled.add(uuid);
  }

  /** Rings whose time has been over for a moment: the server says why, if it is heard. */
  expire(): Reaction[] {
    const over = [...this.rings.values()].filter((ring) => Date.parse(ring.expiresAt) + MOMENT <= this.now());
    return this.#stopAll(over, new Map(over.map((ring) => [ring.uuid, REASONS["missed"]!])));
  }

  /** This device has left of its own accord. */
  leave(sessionId: string): void {
    this.held.delete(sessionId);
  }

  /** This device was silent for so long that the server takes it for away, or is heard again. */
  away(sessionId: string, away: boolean): Reaction[] {
    const was = this.held.get(sessionId);
    if (was === undefined || was === away) return [];
    this.held.set(sessionId, away);
    return [{ do: away ? "away" : "back", sessionId }];
  }

  /** How a call stands, after a silence. */
  stands(call: Record<string, any>): Reaction[] {
    this.#looked.set(call["session_id"], this.now());
    const members: Record<string, any>[] = call["members"] ?? [];
    const mine = members.find((member) => member["user_id"] === this.userId);
    const state = mine?.["state"] === "away" ? "joined" : mine?.["state"];
    return this.#member(call["session_id"], { ...mine, state });
  }

  #started(body: Record<string, any>, data: Record<string, any>): Reaction[] {
    const caller = { ...(data["caller"] ?? {}), id: data["caller_id"] };
    return this.#ring({
      uuid: data["ring"],
      sessionId: body["session_id"],
      cid: body["cid"],
      caller,
      title: data["title"] ?? undefined,
      video: Boolean(data["video"]),
      expiresAt: data["expires_at"],
    });
  }

  #ring(ring: IncomingRing): Reaction[] {
    const over = Date.parse(ring.expiresAt) <= this.now();
    if (over || this.#settled.has(ring.uuid) || this.rings.has(ring.uuid)) return [];
    this.rings.set(ring.uuid, ring);
    return [{ do: "ring", ring }];
  }

  #settle(data: Record<string, any>): Reaction[] {
    const ring = this.rings.get(data["ring"]);
    // by this device, and not by this page: another of its tabs, or its service worker
    const ours = data["device_id"] === this.deviceId && this.#answering.has(data["ring"]);
    this.settle(data["ring"]);
    if (ring === undefined || ours) return [];
    return [{ do: "stop", ring, reason: data["callkit_reason"] ?? REMOTE_ENDED }];
  }

  #ended(sessionId: string, reason: string): Reaction[] {
    const stops = this.#stopAll(this.#of(sessionId));
    if (!this.held.delete(sessionId)) return stops;
    return [...stops, { do: "ended", sessionId, reason }];
  }

  #presence(message: StreamEvent, sessionId: string, data: Record<string, any>): Reaction[] {
    const { type, body } = message;
    if (!this.held.has(sessionId)) return [];
    const old = Date.parse(body["at"]) <= (this.#looked.get(sessionId) ?? 0) + WHOLE_SECOND;
    if (old && type !== "member.left") return [];
    if (type === "member.away") return this.away(sessionId, true);
    if (type === "member.back") return this.away(sessionId, false);
    if (type !== "member.left") return [];
    this.held.delete(sessionId);
    return data["reason"] === "silent" ? [{ do: "removed", sessionId }] : [];
  }

  /** The truth after a gap: what it does not name has ended. */
  #snapshot(calls: Record<string, any>[]): Reaction[] {
    const found: Reaction[] = [];
    const rings = new Set<string>();
    const reasons = new Map<string, number>();
    const lives = new Set<string>();
    for (const call of calls) {
      lives.add(call["session_id"]);
      for (const member of call["members"] ?? []) {
        if (member["user_id"] !== this.userId) continue;
        // the ring's own state: a member is `unreachable` while no push can ring, and may answer
        const declined = (call["declined_on"] ?? []).includes(this.deviceId);
        if (member["ring"]?.["state"] === "ringing" && !declined) {
          rings.add(member["ring"]["uuid"]);
          found.push(...this.#ring(ringOf(call, member["ring"])));
        } else if (member["ring"]) {
          reasons.set(member["ring"]["uuid"], member["ring"]["callkit_reason"] ?? REMOTE_ENDED);
        }
        found.push(...this.#member(call["session_id"], member));
      }
    }
    const gone = [...this.rings.values()].filter((ring) => !rings.has(ring.uuid));
    const ended = [...this.held.keys()].filter((sessionId) => !lives.has(sessionId));
    found.push(...this.#stopAll(gone, reasons));
    found.push(...ended.flatMap((sessionId) => this.#ended(sessionId, "unknown")));
    return found;
  }

  #member(sessionId: string, member: Record<string, any>): Reaction[] {
    const mine = member["device_id"] === this.deviceId;
    if (mine && LIVE.includes(member["state"])) {
      if (!this.held.has(sessionId)) this.held.set(sessionId, false);
      return this.away(sessionId, member["state"] === "away");
    }
    return this.held.delete(sessionId) ? [{ do: "removed", sessionId }] : [];
  }

  #of(sessionId: string): IncomingRing[] {
    return [...this.rings.values()].filter((ring) => ring.sessionId === sessionId);
  }

  #stopAll(rings: IncomingRing[], reasons = new Map<string, number>()): Reaction[] {
    for (const ring of rings) this.settle(ring.uuid);
    return rings.map((ring) => {
      const reason = reasons.get(ring.uuid) ?? REMOTE_ENDED;
      return { do: "stop", ring, reason };
    });
  }
}

/** The data of FCM, which is text alone. */
function flat(data: Record<string, any>): Record<string, any> {
  const of = (name: string): any => data[`ring_${name}`];
  return {
    type: of("type"),
    uuid: of("uuid"),
    session_id: of("session_id"),
    cid: of("cid"),
    caller: { id: of("caller_id"), name: of("caller_name") },
    title: of("title"),
    video: of("video") === "true",
    expires_at: Number(of("expires_at")),
    callkit_reason: of("callkit_reason") && Number(of("callkit_reason")),
  };
}

function ringOf(call: Record<string, any>, ring: Record<string, any>): IncomingRing {
  return {
    uuid: ring["uuid"],
    sessionId: call["session_id"],
    cid: call["cid"],
    caller: call["caller"],
    title: call["title"] ?? undefined,
    video: Boolean(call["video"]),
    expiresAt: ring["expires_at"],
  };
}
