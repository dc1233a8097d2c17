import { errorOf, RinglineError, StreamEnded } from "./errors.js";
import { readSse, SILENCE } from "./events.js";
import { isAway } from "./requests.js";
export function openerOf(door, which) {
    const query = { user_id: which.userId, device_id: which.deviceId };
    const renew = () => door.renew();
    if (which.transport !== "websocket")
        return { connect: sse, renew };
    if (typeof WebSocket === "undefined") {
        throw new RinglineError("there is no WebSocket here: Node has one from version 22 on");
    }
    return { connect: socket, renew };
    async function* sse(after, signal, listener) {
        const headers = { Accept: "text/event-stream" };
        if (after !== undefined)
            headers["Last-Event-ID"] = String(after);
        const address = door.address("/v1/events", query);
        Object.assign(headers, await door.authorization());
        const answer = await fetch(address, { headers, signal, cache: "no-store" });
        door.learn(answer.headers.get("Date"));
        for await (const messages of readSse(answer, listener)) {
            tellTime(messages);
            yield messages;
        }
    }
    function tellTime(messages) {
        for (const { type, body } of messages) {
            if (type === "pong" || type === "snapshot")
                door.learn(body["at"] ?? null);
        }
    }
    async function* socket(after, signal, listener) {
        const token = (await door.authorization()).Authorization.replace("Bearer ", "");
        const hello = { type: "authenticate", token, last_event_id: after, ...query };
        const open = new WebSocket(door.address("/v1/ws", {}).replace(/^http/, "ws"));
        const told = [];
        let wake = () => undefined;
        let over;
        const end = (event) => ((over ??= event), wake());
        const ping = () => void (open.readyState === WebSocket.OPEN && open.send("ping"));
        const pings = setInterval(ping, (which.silence ?? SILENCE) / 3);
        open.onopen = () => (open.send(JSON.stringify(hello)), ping());
        open.onmessage = ({ data }) => (told.push(read(String(data))), wake());
        open.onclose = end;
        open.onerror = () => end({ code: 1006, reason: "" });
        const stop = () => end({ code: 1000, reason: "" });
        signal.addEventListener("abort", stop, { once: true });
        if (signal.aborted)
            stop();
        try {
            for (let first = true;; first = false) {
                while (!told.length && !over)
                    await new Promise((done) => (wake = done));
                if (!told.length)
                    return closedBy(over.code, over.reason);
                if (first)
                    listener.opened();
                const now = told.splice(0);
                tellTime(now);
                yield now.filter(({ type }) => type !== "pong");
            }
        }
        finally {
            clearInterval(pings);
            open.close();
        }
    }
}
function read(text) {
    const { id, ...body } = JSON.parse(text);
    return { id, type: body.type, body };
}
function closedBy(code, reason) {
    const status = code - 4000;
    if (status === 410)
        throw new StreamEnded(reason);
    if (status < 400 || status === 408 || isAway(status))
        return;
    throw errorOf(status, { code: reason, detail: `the server closed the stream: ${reason}` });
}
