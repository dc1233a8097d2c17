const REMOTE_ENDED = 2;
const ELSEWHERE = "answered_elsewhere";
const GONE = [404, 410];
const REASONS = {
    failed: 1,
    missed: 3,
    unreachable: 3,
    accepted: 4,
    [ELSEWHERE]: 4,
    declined: 5,
    busy: 5,
};
const LIVE = ["joined", "away"];
const MOMENT = 3_000;
const WHOLE_SECOND = 1_000;
export function reasonOf(status, body) {
    if (typeof body["callkit_reason"] === "number")
        return body["callkit_reason"];
    if (body["code"] === ELSEWHERE)
        return REASONS[ELSEWHERE];
    return GONE.includes(status) ? (REASONS[String(body["reason"])] ?? REMOTE_ENDED) : undefined;
}
export class Screen {
    userId;
    deviceId;
    now;
    rings = new Map();
    held = new Map();
    #settled = new Set();
    #answering = new Set();
    #looked = new Map();
    constructor(userId, deviceId, now = Date.now) {
        this.userId = userId;
        this.deviceId = deviceId;
        this.now = now;
    }
    take(message) {
        if (message.type === "snapshot")
            return this.#snapshot(message.body["calls"] ?? []);
        const data = message.body["data"] ?? {};
        const sessionId = String(message.body["session_id"]);
        if (message.type === "call.ended")
            return this.#ended(sessionId, String(data["reason"]));
        if (data["user_id"] !== this.userId)
            return [];
        if (message.type === "ring.started")
            return this.#started(message.body, data);
        if (message.type === "ring.settled")
            return this.#settle(data);
        if (message.type === "device.declined" && data["device_id"] === this.deviceId) {
            return this.#settle({ callkit_reason: REASONS["declined"], ...data });
        }
        return this.#presence(message, sessionId, data);
    }
    push(payload) {
        const told = payload?.["ring"] ?? flat(payload ?? {});
        if (typeof told["uuid"] !== "string")
            return [];
        if (told["type"] === "stop") {
            return this.#settle({ ring: told["uuid"], callkit_reason: told["callkit_reason"] });
        }
        if ((told["type"] ?? "ring") !== "ring")
            return [];
        const until = new Date(told["expires_at"]);
        if (Number.isNaN(until.getTime()))
            return [];
        const expires_at = until.toISOString();
        return this.#ring(ringOf(told, { uuid: told["uuid"], expires_at }));
    }
    join(sessionId) {
        this.held.set(sessionId, false);
        for (const ring of this.#of(sessionId))
            this.settle(ring.uuid);
    }
    answers(uuid, does = true) {
        if (does)
            this.#answering.add(uuid);
        else
            this.#answering.delete(uuid);
    }
    settle(uuid) {
        this.rings.delete(uuid);
        this.#answering.delete(uuid);
        this.#settled.add(uuid);
    }
    expire() {
        const over = [...this.rings.values()].filter((ring) => Date.parse(ring.expiresAt) + MOMENT <= this.now());
        return this.#stopAll(over, new Map(over.map((ring) => [ring.uuid, REASONS["missed"]])));
    }
    leave(sessionId) {
        this.held.delete(sessionId);
    }
    away(sessionId, away) {
        const was = this.held.get(sessionId);
        if (was === undefined || was === away)
            return [];
        this.held.set(sessionId, away);
        return [{ do: away ? "away" : "back", sessionId }];
    }
    stands(call) {
        this.#looked.set(call["session_id"], this.now());
        const members = call["members"] ?? [];
        const mine = members.find((member) => member["user_id"] === this.userId);
        const state = mine?.["state"] === "away" ? "joined" : mine?.["state"];
        return this.#member(call["session_id"], { ...mine, state });
    }
    #started(body, data) {
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
    #ring(ring) {
        const over = Date.parse(ring.expiresAt) <= this.now();
        if (over || this.#settled.has(ring.uuid) || this.rings.has(ring.uuid))
            return [];
        this.rings.set(ring.uuid, ring);
        return [{ do: "ring", ring }];
    }
    #settle(data) {
        const ring = this.rings.get(data["ring"]);
        const ours = data["device_id"] === this.deviceId && this.#answering.has(data["ring"]);
        this.settle(data["ring"]);
        if (ring === undefined || ours)
            return [];
        return [{ do: "stop", ring, reason: data["callkit_reason"] ?? REMOTE_ENDED }];
    }
    #ended(sessionId, reason) {
        const stops = this.#stopAll(this.#of(sessionId));
        if (!this.held.delete(sessionId))
            return stops;
        return [...stops, { do: "ended", sessionId, reason }];
    }
    #presence(message, sessionId, data) {
        const { type, body } = message;
        if (!this.held.has(sessionId))
            return [];
        const old = Date.parse(body["at"]) <= (this.#looked.get(sessionId) ?? 0) + WHOLE_SECOND;
        if (old && type !== "member.left")
            return [];
        if (type === "member.away")
            return this.away(sessionId, true);
        if (type === "member.back")
            return this.away(sessionId, false);
        if (type !== "member.left")
            return [];
        this.held.delete(sessionId);
        return data["reason"] === "silent" ? [{ do: "removed", sessionId }] : [];
    }
    #snapshot(calls) {
        const found = [];
        const rings = new Set();
        const reasons = new Map();
        const lives = new Set();
        for (const call of calls) {
            lives.add(call["session_id"]);
            for (const member of call["members"] ?? []) {
                if (member["user_id"] !== this.userId)
                    continue;
                const declined = (call["declined_on"] ?? []).includes(this.deviceId);
                if (member["ring"]?.["state"] === "ringing" && !declined) {
                    rings.add(member["ring"]["uuid"]);
                    found.push(...this.#ring(ringOf(call, member["ring"])));
                }
                else if (member["ring"]) {
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
    #member(sessionId, member) {
        const mine = member["device_id"] === this.deviceId;
        if (mine && LIVE.includes(member["state"])) {
            if (!this.held.has(sessionId))
                this.held.set(sessionId, false);
            return this.away(sessionId, member["state"] === "away");
        }
        return this.held.delete(sessionId) ? [{ do: "removed", sessionId }] : [];
    }
    #of(sessionId) {
        return [...this.rings.values()].filter((ring) => ring.sessionId === sessionId);
    }
    #stopAll(rings, reasons = new Map()) {
        for (const ring of rings)
            this.settle(ring.uuid);
        return rings.map((ring) => {
            const reason = reasons.get(ring.uuid) ?? REMOTE_ENDED;
            return { do: "stop", ring, reason };
        });
    }
}
function flat(data) {
    const of = (name) => data[`ring_${name}`];
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
function ringOf(call, ring) {
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
