export class RinglineError extends Error {
    constructor(message, options) {
        super(message, options);
        this.name = new.target.name;
    }
}
export class Unreachable extends RinglineError {
}
export class WebhookRefused extends RinglineError {
}
export class StreamEnded extends RinglineError {
    reason;
    constructor(reason) {
        super(`the stream has ended: ${reason}`);
        this.reason = reason;
    }
}
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
export class InvalidRequest extends ApiError {
}
export class Unauthorized extends ApiError {
}
export class Forbidden extends ApiError {
}
export class NotFound extends ApiError {
}
export class Conflict extends ApiError {
}
export class Gone extends ApiError {
}
export class RateLimited extends ApiError {
}
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
export function errorOf(status, body) {
    const kind = OF_STATUS[status] ?? (status >= 500 ? ServerFailed : ApiError);
    return new kind(status, typeof body === "object" && body !== null ? body : {});
}
