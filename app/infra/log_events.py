"""The names of our log lines, which are stable, and what each says: docs/reference/logs.md."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LOG_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "access_token_not_renewed": "An access token was not renewed; the old one is used on",
        "answer_not_understood": "An answer to a push met a fault of ours; it is tried again",
        "claim_forgotten": "A claim was found that this worker does not know of; claimed anew",
        "condemned": "This worker was declared dead by another, and goes on under a new id",
        "credential_does_not_open": "A sealed credential does not open with this process's keys",
        "credential_not_looked_after": "A credential's regular check met a fault of ours",
        "credential_unfit": "A credential's material cannot be used to push",
        "database_error": "A request met a database error that is no outage; answered with 500",
        "delivery_not_begun": "A delivery met a fault before it was sent; once a minute at most",
        "delivery_raised": "A delivery met a fault of ours; once a minute at most",
        "forwarded_headers_ignored": "A peer that is no trusted proxy sent forwarded headers",
        "function_missing": "The database lacks a function of a migration, as after a restore of "
        "tables alone; what it does is done without it, at more cost. `ringline backup` keeps it",
        "jwks_not_fetched": "A tenant's `jwks_url` gave no keys; those of before serve an hour",
        "enqueue_failed": "Hints could not be published; the sweep finds what they were about. "
        "Once a minute at most",
        "lab_absent": "The lab was asked for, but pushes go to the real provider",
        "lab_ready": "The lab has its phones",
        "lease_lost": "A lease that this process held has gone to another",
        "loop_ended": "The worker's loop ended by a fault; the process ends too",
        "metrics_absent": "RINGLINE_WORKER_METRICS cannot be had; the worker works all the same",
        "not_marked_unreachable": "A ring that reached nobody could not be marked so",
        "not_migrated": "The database lacks tables of this version; with them the server serves",
        "partition_dropped": "A week of a table was dropped whole: all in it was old",
        "partition_left_out": "The default partition has too many rows for a week to be made",
        "partition_made": "A table's partition for a week was made",
        "partition_put_off": "A partition was not made or dropped, since somebody holds the table; "
        "it is tried again",
        "payload_refused": "A payload could not be made from a template or is too large",
        "push": "How one try at a push ended; of the token its last four digits",
        "push_alarm": "An alarm about pushes was raised for the tenant",
        "push_failed": "A push met a fault of ours; it is tried again",
        "pushes_accepted": "How many pushes were accepted since the last such line",
        "rate_limit_reached": "A tenant's rate limit has refused requests for ten minutes",
        "rehearsal_failed": "The warm-up met a fault; the first ring is slower, no more",
        "request": "A request was answered; the route is its template, never the path",
        "result_not_told": "A recorded result could not be passed on; the rows are right",
        "result_not_written": "A result cannot be written in any form",
        "result_written_bare": "A result was written without what others had put into it",
        "results_not_written": "Results of pushes could not be written; they are kept",
        "row_left_aside": "A row fails alone in a step of the sweep, and is passed over a while",
        "row_taken_again": "A row that was left aside has been done",
        "row_unreadable": "A row makes no value of ours: changed by hand, half restored, or a "
        "newer version's; what needs it fails, and nothing else",
        "server_away": "The database or Redis does not serve us; told when it begins",
        "server_back": "It serves us again",
        "server_still_away": "It is away still; told once a minute",
        "slices_put_off": "Who is owed a ring by a large call could not be written yet; it follows",
        "stop_failed": "A part did not stop in good order",
        "stream_cut": "A live stream was ended because its reader is too slow",
        "stream_not_recognised": "Who follows a live stream could not be looked up again",
        "service_not_reached": "No connection to a push service for a credential in use",
        "sweep_step_failed": "A step of the sweep failed as a whole; tried again in a second",
        "sweep_step_well_again": "It works again",
        "task_failed": "A background task failed; it is started again",
        "task_well_again": "It works again",
        "tenant_removed": "The last row of a deleted tenant is gone; the audit log keeps its lines",
        "transaction_begun_anew": "PostgreSQL ended a transaction for another's sake (a deadlock); "
        "it is done once more, three times at most",
        "traces_absent": "Traces cannot be made: the extra is missing, or a variable is wrong",
        "vault_rotated": "What is stored sealed was wrapped with the newest key",
        "webhook_behind": "A webhook's oldest due delivery has waited for a minute",
        "webhook_disabled": "A webhook was disabled after a day of failures, or at its own word",
        "webhook_not_delivered": "A try at a webhook failed",
        "webhook_secret_unfit": "A webhook's signing secret cannot be used",
        "worker_condemned": "This worker declared another dead, and takes over its claims",
        "worker_stops": "A worker was asked to stop; it drains",
        "wrong_secret_key": "RINGLINE_SECRET_KEY is not the database's; the process does not start",
    }
)
