/** Anything that this library throws. */
export class RinglineError extends Error {
    constructor(message, options) {
        super(message, options);
        this.name = new.target.name;
    }
}
/** No answer: no connection, or none in time, however often it was tried. */
export class Unreachable extends RinglineError {
}
/** A webhook that was not signed with this secret, or not lately: answer it with 400. */
export class WebhookRefused extends RinglineError {
}
/** The server has ended the stream for good. `reason` is its word, such as `user_erased`. */
export class StreamEnded extends RinglineError {
    reason;
    constructor(reason) {
        super(`the stream has ended: ${reason}`);
        this.reason = reason;
    }
}
/**
 * The server has refused. `code` is stable, `detail` a sentence for people that says what to do,
 * `requestId` what the server's log has. `body` is the whole problem: a 410 has `reason` and
 * `callkit_reason`, a 422 has `errors`.
 */
export class ApiError extends RinglineError {
    status;
    body;
    code;
    detail;
    requestId;
    constructor(status, body) {
        const code = String(body["code"] ?? `http_${status}`);
        const detail = String(body["detail"] ?? "the server's answer is no problem document");
        super(`${status} ${code}: ${detail}`);
        this.status = status;
        this.body = body;
        this.code = code;
        this.detail = detail;
        this.requestId = body["request_id"];
    }
}
/** 400, 413, 415, 422: what was asked for has the wrong shape; `body.errors` says where. */
export class InvalidRequest extends ApiError {
}
/** 401: the API key or token is unknown, expired or revoked. */
export class Unauthorized extends ApiError {
}
/** 403: this key or token is not good for that. */
export class Forbidden extends ApiError {
}
/** 404. */
export class NotFound extends ApiError {
}
/** 409: the state is another one, such as `answered_elsewhere`. */
export class Conflict extends ApiError {
}
/** 410: the ring or the call is over; `body.reason` says why. */
export class Gone extends ApiError {
}
/** 429, after as many tries as were allowed. */
export class RateLimited extends ApiError {
}
/** 5xx: the server or what it needs is away or failed. */
export class ServerFailed extends ApiError {
}
const OF_STATUS = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
};
/** The error of an answer, whatever its body is. */
export function errorOf(status, body) {
    const kind = OF_STATUS[status] ?? (status >= 500 ? ServerFailed : ApiError);
    return new kind(status, typeof body === "object" && body !== null ? body : {});
}
