// Made from the OpenAPI document by `make reference`: change the server, not this file.

/** A call that was answered; with a call token only the member's own part of it. */
export interface Accepted {
  /** the client's own id of the call */
  id: string;
  /** UUID of this session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** the call type */
  type: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended; null while it lives */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who is calling */
  caller: Caller;
  /** whether it is a video call */
  video: boolean;
  /** the backend's own data */
  custom: Record<string, unknown>;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when the first callee joined; RFC 3339, UTC, with milliseconds */
  active_at: string | null;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** everybody in it, the caller first */
  members: Member[];
  /** keeps, leaves and ends the call without login */
  member_token: string;
  /** with a call token: how many */
  count?: Counts | null | undefined;
  /** with a call token: its own ring */
  ring?: Ring | null | undefined;
  /** seconds at most between two signs of life; null: none needed */
  heartbeat_every?: number | null | undefined;
}

/** Who acts on a call: with a user token the token's subject, with a key `user_id`. */
export interface ActIn {
  /** the member who acts; with a key only */
  user_id?: string | null | undefined;
  /** the device that acts */
  device_id?: string | null | undefined;
}

/** The proof that a push has arrived. */
export interface ActivateIn {
  /** what the activation push brought */
  token: string;
}

/** Who acted. */
export interface Actor {
  /** api_key, user, command, dashboard or server */
  kind: string;
  /** an API key's or a person's id */
  id: string | null;
  /** a key's, a person's or a command's name */
  name: string | null;
}

/** This process runs. */
export interface Alive {
  /** always `ok` */
  status: "ok";
}

/** What may be shown of an API key. */
export interface ApiKey {
  /** by which it is revoked */
  id: string;
  /** what it is for */
  name: string;
  /** its last four characters */
  hint: string;
  /** what it may do; `*` is everything */
  scopes: string[];
  /** when it was made */
  created_at: string;
  /** when it was last seen, to the minute */
  last_used_at: string | null;
  /** null while it is live */
  revoked_at: string | null;
}

/** A tenant's API keys, live ones first, the newest first. */
export interface ApiKeys {
  /** 1,000 at most */
  api_keys: ApiKey[];
}

/** One try, with the beginning of what the endpoint answered. */
export interface Attempt {
  /** its id */
  id: string;
  /** the event */
  event_id: string;
  /** when it was sent; RFC 3339, UTC, with milliseconds */
  started_at: string;
  /** when it was over; RFC 3339, UTC, with milliseconds */
  finished_at: string;
  /** the HTTP status, if one came */
  status: number | null;
  /** what went wrong, if none came */
  error: string | null;
  /** the beginning of the body */
  answer: string | null;
}

/** A page of attempts, the newest first. */
export interface Attempts {
  /** of this endpoint */
  attempts: Attempt[];
  /** give it as `cursor` for the next page; null on the last */
  next_cursor: string | null;
}

/** Who did what, when and from where. */
export interface AuditLine {
  /** its id */
  id: string;
  /** when; RFC 3339, UTC, with milliseconds */
  at: string;
  /** who */
  actor: Actor;
  /** what */
  action: string;
  /** to what */
  target: string;
  /** from which address */
  source: string | null;
  /** the particulars; never a secret */
  detail: Record<string, unknown>;
}

/** A page of the audit log, the newest first. */
export interface Audit {
  /** lines */
  audit: AuditLine[];
  /** give it as `cursor` for the next page; null on the last */
  next_cursor: string | null;
}

/** Somebody who is blocked. */
export interface Block {
  /** who */
  user_id: string;
  /** since when; RFC 3339, UTC, with milliseconds */
  blocked_at: string;
}

/** Whom a user has blocked. */
export interface Blocks {
  /** by id */
  blocks: Block[];
}

/** A call as a backend or a member reads it. */
export interface Call {
  /** the client's own id of the call */
  id: string;
  /** UUID of this session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** the call type */
  type: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended; null while it lives */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who is calling */
  caller: Caller;
  /** whether it is a video call */
  video: boolean;
  /** the backend's own data */
  custom: Record<string, unknown>;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when the first callee joined; RFC 3339, UTC, with milliseconds */
  active_at: string | null;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** everybody in it, the caller first */
  members: Member[];
  /** what did not keep it from being rung, and should be looked at */
  warnings?: Notice[] | null | undefined;
}

/** Who is calling. */
export interface CallerIn {
  /** a user */
  id: string;
  /** as screens show it */
  name?: string | null | undefined;
  /** https; handed on and never fetched */
  avatar_url?: string | null | undefined;
  /** what contacts and redial know them by */
  handle?: HandleIn | null | undefined;
  /** the device they call from, which then shows life; else the backend vouches */
  device_id?: string | null | undefined;
}

/** Who is calling. */
export interface Caller {
  /** as screens show it */
  name: string | null;
  /** an https address of a picture */
  avatar_url: string | null;
  /** what contacts and redial know them by */
  handle: Handle | null;
  /** the caller's user id */
  id: string;
}

/** A page of calls, the newest first. */
export interface Calls {
  /** at most `limit`; perhaps fewer */
  calls: ListedCall[];
  /** give it as `cursor` for the next page; null on the last */
  next_cursor: string | null;
}

/**
 * What to change, and nothing is null; `enabled: true` also takes an endpoint back that
 * Ringline has disabled.
 */
export interface ChangeIn {
  /** where events are sent: https, public */
  url?: string | undefined;
  /** `*`, groups such as `call.*`, or types */
  events?: string[] | undefined;
  /** for people */
  description?: string | undefined;
  /** false turns it off; true takes back what Ringline has disabled */
  enabled?: boolean | undefined;
}

/** `confirm` is needed for the last working credential of an app. */
export interface ConfirmIn {
  /** do it although it is the last working one */
  confirm?: boolean | undefined;
}

/** How many members a call has. */
export interface Counts {
  /** in all, the caller included */
  members: number;
  /** who have joined, away or not */
  joined: number;
  /** who still ring */
  ringing: number;
}

/** A credential to look at or to add. A `.p8` needs `app_id`, `key_id` and `team_id`. */
export interface CredentialIn {
  /** the file in base64, or the text of a PEM file */
  file: string;
  /** of the file, if it has one */
  password?: string | null | undefined;
  /** the app's bundle id; of a certificate it is read from it */
  app_id?: string | null | undefined;
  /** of a `.p8` key */
  key_id?: string | null | undefined;
  /** of a `.p8` key */
  team_id?: string | null | undefined;
  /** where it may push, else what it says itself; `sandbox` is Apple's alone */
  environments?: ("production" | "sandbox")[] | null | undefined;
}

/** A credential as admins read it. */
export interface Credential {
  /** `certificate`, `key`, `google_service_account` or `vapid` */
  kind: string;
  /** the app */
  app_id: string | null;
  /** what it may push to */
  topics: string[];
  /** where it may push */
  environments: ("production" | "sandbox" | (string & {}))[];
  /** Apple's team */
  team_id: string | null;
  /** of a key or an account; of a VAPID key its public half */
  key_id: string | null;
  /** Google's project, of a service account */
  project_id: string | null;
  /** of a certificate; an account's e-mail; whom push services may write to */
  subject: string | null;
  /** of a certificate, hexadecimal */
  serial: string | null;
  /** SHA-256, hexadecimal */
  fingerprint: string | null;
  /** from when it is good; RFC 3339, UTC, with milliseconds */
  not_before: string | null;
  /** until when it is good; RFC 3339, UTC, with milliseconds */
  not_after: string | null;
  /** whole days until it runs out */
  days_left: number | null;
  /** its id */
  id: string;
  /** requested, standby, active or retired */
  state: string;
  /** working, failing, expiring, expired or unproven */
  health: string;
  /** the push service's own word while it refuses */
  reason: string | null;
  /** since when it is refused; RFC 3339, UTC, with milliseconds */
  failing_since: string | null;
  /** of its public key, SHA-256, hexadecimal */
  key_fingerprint: string | null;
  /** the service's answer by environment, when last asked */
  probe: Record<string, unknown>;
  /** when the service was last asked; RFC 3339, UTC, with milliseconds */
  probed_at: string | null;
  /** the signing request, while it waits for a certificate */
  request: string | null;
  /** moves when what is sealed does */
  version: number;
  /** when it was stored; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when it came into use; RFC 3339, UTC, with milliseconds */
  activated_at: string | null;
  /** when another took its place; RFC 3339, UTC, with milliseconds */
  replaced_at: string | null;
  /** when it was retired; RFC 3339, UTC, with milliseconds */
  retired_at: string | null;
}

/** Every credential, the newest first. */
export interface Credentials {
  /** of the tenant, or of one app */
  credentials: Credential[];
}

/**
 * `reason`: `declined` or `busy`. `reach`: all the user's devices, or this one while others
 * ring on; without it, as the tenant's `decline_reach` says.
 */
export interface DeclineIn {
  /** the member who acts; with a key only */
  user_id?: string | null | undefined;
  /** the device that acts */
  device_id?: string | null | undefined;
  /** why */
  reason?: "declined" | "busy" | undefined;
  /** whether all the user's devices stop, or this one alone */
  reach?: "user" | "device" | null | undefined;
}

/** A page of deliveries, the newest first. */
export interface Deliveries {
  /** of this endpoint */
  deliveries: Delivery[];
  /** give it as `cursor` for the next page; null on the last */
  next_cursor: string | null;
}

/** One event for one endpoint. */
export interface Delivery {
  /** the same for each try */
  event_id: string;
  /** the event's type */
  type: string;
  /** the call's session, if it is of one */
  session_id: string | null;
  /** its number within the call */
  seq: number | null;
  /** how far it is */
  state: "pending" | "sending" | "delivered" | "failed" | (string & {});
  /** how often it was tried */
  attempts: number;
  /** the last HTTP status */
  status: number | null;
  /** what went wrong, if no status came */
  error: string | null;
  /** when it was made; RFC 3339, UTC, with milliseconds */
  created_at: string | null;
  /** when it is tried next; RFC 3339, UTC, with milliseconds */
  due_at: string | null;
  /** when it was delivered or given up; RFC 3339, UTC, with milliseconds */
  finished_at: string | null;
}

/** What to change of a device; `user_id` only with an API key. */
export interface DeviceChangeIn {
  /** whether it is rung and notified; false turns it off */
  rings: boolean;
  /** whose device; with a key only */
  user_id?: string | null | undefined;
}

/** A registration. `expires_in` in seconds, 300 to 180 days; `user_id` only with an API key. */
export interface DeviceIn {
  /** whose device; with a key only */
  user_id?: string | null | undefined;
  /** as the app names it; made if absent */
  device_id?: string | null | undefined;
  /** as people know it */
  name?: string | null | undefined;
  /** as the app says */
  platform?: string | null | undefined;
  /** its language, as the phone writes it: in which notifications are (docs/guides/payloads.md) */
  locale?: string | null | undefined;
  /**
   * its push tokens: each takes the place of the one that the device had of that kind for that
   * app; those that are not named stay
   */
  tokens?: TokenIn[] | undefined;
  /** what an Android app knows of its phone */
  report?: PhoneReportIn | null | undefined;
  /** seconds for which it is rung without registering again */
  expires_in?: number | undefined;
}

/** One app installation of a user. */
export interface Device {
  /** as the app names it */
  device_id: string;
  /** whose */
  user_id: string;
  /** as people know it */
  name: string | null;
  /** as the app says */
  platform: string | null;
  /** its language */
  locale: string | null;
  /** what an Android app has said of its phone */
  report: PhoneReport | null;
  /** whether it is rung and notified; false: its user, or a key, turned it off */
  rings: boolean;
  /** when it was first seen; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when it last registered; RFC 3339, UTC, with milliseconds */
  registered_at: string;
  /** its push tokens */
  tokens: Token[];
}

/** A user's devices, the newest first. */
export interface Devices {
  /** at most as many as the limit `devices` allows */
  devices: Device[];
}

/** One type of event. */
export interface EventType {
  /** its name */
  type: string;
  /** what it means */
  about: string;
  /** one, as a webhook is sent it */
  example: Record<string, unknown>;
  /** JSON Schema 2020-12 */
  json_schema: Record<string, unknown>;
}

/** Every type of event, and what a webhook may subscribe to. */
export interface EventTypes {
  /** in the order of a call */
  types: EventType[];
  /** what a webhook's `events` may hold */
  filters: string[];
}

/** Who rings all the same. */
export interface Exceptions {
  /** callers who always ring, unless they are blocked */
  users?: string[] | undefined;
  /** who calls again within three minutes rings */
  repeat?: boolean | undefined;
}

/** What is wrong with one field. */
export interface FieldProblem {
  /** where, with dots between */
  field: string;
  /** stable, for programs */
  code: string;
  /** what is wrong */
  detail: string;
}

/** A file as an admin has it. */
export interface FileIn {
  /** the file in base64, or the text of a PEM file */
  file: string;
  /** of the file, if it has one */
  password?: string | null | undefined;
}

/** What contacts and redial know a person by; a phone shows it where there is no name. */
export interface HandleIn {
  /** what it is */
  kind: HandleKind;
  /** the number, the address, or any name */
  value: string;
}

/** CXHandle.HandleType: what a handle is, so that a phone finds its contact and can redial. */
export interface HandleKind {
}

/** What contacts and redial know a person by. */
export interface Handle {
  /** what it is */
  kind: "phone" | "email" | "generic" | (string & {});
  /** the number, address or name */
  value: string;
}

/** All handles of a user: what is not named goes. */
export interface HandlesIn {
  /** by which the user may be rung */
  handles: HandleIn[];
}

/** By which handles a user may be rung. */
export interface Handles {
  /** as they were given, by kind */
  handles: Handle[];
}

/** One thing that happened. */
export interface Line {
  /** when; RFC 3339, UTC, with milliseconds */
  at: string;
  /** milliseconds since the call began */
  ms: number;
  /** an event's type, or what a push did */
  kind: string;
  /** the same as a sentence */
  text: string;
  /** whom it is about */
  user_id: string | null;
  /** on which device */
  device_id: string | null;
  /** the particulars */
  data: Record<string, unknown>;
}

/** A call in a list: of one with more than ten members none is listed, only how many. */
export interface ListedCall {
  /** the client's own id of the call */
  id: string;
  /** UUID of this session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** the call type */
  type: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended; null while it lives */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who is calling */
  caller: Caller;
  /** whether it is a video call */
  video: boolean;
  /** the backend's own data */
  custom: Record<string, unknown>;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when the first callee joined; RFC 3339, UTC, with milliseconds */
  active_at: string | null;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** everybody in it, the caller first */
  members: Member[];
  /** how many members there are */
  count: Counts;
}

/** A user in a call, with the latest ring that was made to reach them. */
export interface Member {
  /** as screens show it */
  name: string | null;
  /** an https address of a picture */
  avatar_url: string | null;
  /** what contacts and redial know them by */
  handle: Handle | null;
  /** who */
  user_id: string;
  /** what they are in this call */
  role: "caller" | "callee" | (string & {});
  /** how they stand */
  state: "ringing" | "joined" | "away" | "left" | "declined" | "busy" | "missed" | "unreachable" | "suppressed" | (string & {});
  /** the device that holds the call, or `server` */
  device_id: string | null;
  /** when they joined; RFC 3339, UTC, with milliseconds */
  joined_at: string | null;
  /** when they left; RFC 3339, UTC, with milliseconds */
  left_at: string | null;
  /** their latest ring; null for the caller */
  ring: Ring | null;
  /** which of their wishes keeps the ring away, where the tenant lets callers know */
  suppressed?: "do_not_disturb" | "quiet_hours" | "call_type" | "devices_off" | (string & {}) | null | undefined;
}

/** Among the user's newest 1,000 calls. */
export interface Missed {
  /** how many were missed */
  missed: number;
  /** how many of those have not been seen: a badge */
  unseen: number;
}

/** A new secret of an endpoint. */
export interface NewSecret {
  /** the endpoint's id */
  id: string;
  /** signs deliveries; shown this once */
  secret: string;
  /** seconds for which the old one signs too */
  overlap: number;
}

/** A signing secret just made. */
export interface NewSigningSecret {
  /** its id: the `kid` in the header of a user token */
  kid: string;
  /** signs user tokens (JWT, HS256); it is shown this once */
  secret: string;
}

/** An endpoint just made, with its secret. */
export interface NewWebhook {
  /** its id */
  id: string;
  /** where events are sent */
  url: string;
  /** `*`, groups or types */
  events: string[];
  /** for people */
  description: string;
  /** whether anything is sent */
  state: "active" | "disabled" | (string & {});
  /** when it was turned off; RFC 3339, UTC, with milliseconds */
  disabled_at: string | null;
  /** why */
  disabled_reason: string | null;
  /** failed deliveries in a row */
  failures: number;
  /** since when it fails; RFC 3339, UTC, with milliseconds */
  failing_since: string | null;
  /** when it last took one; RFC 3339, UTC, with milliseconds */
  succeeded_at: string | null;
  /** when it was made; RFC 3339, UTC, with milliseconds */
  created_at: string | null;
  /** signs deliveries; shown this once */
  secret: string;
}

/** What a notification says: texts with holes, or keys of texts that the app brings. */
export interface NotificationIn {
  /** its title */
  title?: string | null | undefined;
  /** its text */
  body?: string | null | undefined;
  /**
   * the app's own title, in the phone's language: Apple's `title-loc-key`, Google's
   * `title_loc_key`, a browser's `data.texts.title_key`
   */
  title_key?: string | null | undefined;
  /** what goes into that title */
  title_args?: string[] | undefined;
  /**
   * the same of its text: Apple's `loc-key`, Google's `body_loc_key`, a browser's
   * `data.texts.body_key`
   */
  body_key?: string | null | undefined;
  /** what goes into that text */
  body_args?: string[] | undefined;
  /**
   * title and body for devices whose `locale` is such: `zh-Hant-TW` is told in `zh-Hant-TW`,
   * else `zh-Hant`, else `zh`, else as above
   */
  languages?: Record<string, WordsIn> | undefined;
  /** a sound of the app's */
  sound?: string | null | undefined;
  /** Apple's category, for actions */
  category?: string | null | undefined;
  /** Android's notification channel */
  channel_id?: string | null | undefined;
  /** of a missed call: the app's icon shows how many are unseen */
  badge?: boolean | undefined;
}

/** The notifications of one call type; what is absent is not sent. */
export interface NotificationsIn {
  /**
   * how a call of this type begins that does not say so itself: `notify` by a notification,
   * without a call screen
   */
  mode?: "ring" | "notify" | undefined;
  /** of a call that does not ring */
  notify?: NotificationIn | null | undefined;
  /** after a ring that nobody answered */
  missed?: NotificationIn | null | undefined;
  /**
   * where notifications ring: in browsers, and by `alert_rings`; without it, in English, as
   * all that follows
   */
  ring?: NotificationIn | null | undefined;
  /** in place of these, once another device has answered */
  answered_elsewhere?: NotificationIn | null | undefined;
  /** in place of these, once another device has declined */
  declined_elsewhere?: NotificationIn | null | undefined;
  /** in place of a browser's ring, once its call is over */
  ended?: NotificationIn | null | undefined;
  /** in place of a browser's ring, once its call has failed */
  failed?: NotificationIn | null | undefined;
  /**
   * what a browser says once it has subscribed; of call type `default` alone, and without
   * placeholders
   */
  activation?: NotificationIn | null | undefined;
}

/** A call as one member's phone reads it: that member alone, and how many others there are. */
export interface OwnCall {
  /** the client's own id of the call */
  id: string;
  /** UUID of this session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** the call type */
  type: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended; null while it lives */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who is calling */
  caller: Caller;
  /** whether it is a video call */
  video: boolean;
  /** the backend's own data */
  custom: Record<string, unknown>;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when the first callee joined; RFC 3339, UTC, with milliseconds */
  active_at: string | null;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** everybody in it, the caller first */
  members: Member[];
  /** how many members there are */
  count: Counts;
  /** the ring that the call token is for */
  ring?: Ring | null | undefined;
}

/** A page of a user's own calls, the newest first. */
export interface OwnCalls {
  /** at most `limit`; perhaps fewer */
  calls: PastCall[];
  /** give it as `cursor` for the next page; null on the last */
  next_cursor: string | null;
  /** on the first page; null on others */
  counts: Missed | null;
}

/** A call as its member reads it in the own history. */
export interface PastCall {
  /** the client's own id of the call */
  id: string;
  /** UUID of this session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** the call type */
  type: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended; null while it lives */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who is calling */
  caller: Caller;
  /** whether it is a video call */
  video: boolean;
  /** the backend's own data */
  custom: Record<string, unknown>;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when the first callee joined; RFC 3339, UTC, with milliseconds */
  active_at: string | null;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** everybody in it, the caller first */
  members: Member[];
  /** how many members there are */
  count: Counts;
  /** who called whom */
  direction: "incoming" | "outgoing" | (string & {});
  /** whether it rang, or should have, and was not answered */
  missed: boolean;
  /** false for a missed call that has not been seen */
  seen: boolean;
  /**
   * why it was kept from this user, by their own preferences or since they were in another
   * call; null: it was not
   */
  suppressed: "do_not_disturb" | "quiet_hours" | "call_type" | "call_type_notify" | "in_a_call" | "devices_off" | (string & {}) | null;
  /** ten of the others at most, the caller first */
  others: string[];
  /** the ring that the call token is for */
  ring?: Ring | null | undefined;
}

/** Quiet from `start` on these days to `end`, of the next day where `end` is not later. */
export interface PeriodIn {
  /** the days on which it begins */
  days: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[];
  /** from when it is quiet */
  start: string;
  /** until when, not included */
  end: string;
}

/** A user to be rung, by id or by a handle that is theirs, and how screens show them. */
export interface PersonIn {
  /** as screens show it */
  name?: string | null | undefined;
  /** https; handed on and never fetched */
  avatar_url?: string | null | undefined;
  /** what contacts and redial know them by */
  handle?: HandleIn | null | undefined;
  /** a user; without it, the one whose handle it is */
  id?: string | null | undefined;
}

/** What an Android app knows of its phone, as it is now; what is not told stays unknown. */
export interface PhoneReportIn {
  /** it may show a call over the lock screen (`canUseFullScreenIntent`) */
  full_screen?: boolean | null | undefined;
  /** its notifications are allowed */
  notifications?: boolean | null | undefined;
  /** the system may hold its messages back to save power */
  battery_optimized?: boolean | null | undefined;
}

/** What keeps an Android phone from showing calls, as its app has said. */
export interface PhoneReport {
  /** whether it may show a call over the lock screen */
  full_screen?: boolean | null | undefined;
  /** whether its notifications are allowed */
  notifications?: boolean | null | undefined;
  /** whether the system may hold messages back to save power */
  battery_optimized?: boolean | null | undefined;
}

/** What a user wants of rings; what is absent wants nothing. */
export interface PreferencesIn {
  /** nothing rings until then */
  do_not_disturb_until?: string | null | undefined;
  /** nothing rings in these hours */
  quiet_hours?: QuietHours | null | undefined;
  /** call types that are not to ring, or only to be told by a notification */
  call_types?: Record<string, "ring" | "notify" | "nothing"> | undefined;
  /** who rings all the same */
  exceptions?: Exceptions | undefined;
}

/** What was understood of a file; nothing has been stored. */
export interface Preview {
  /** `certificate`, `key`, `google_service_account` or `vapid` */
  kind: string;
  /** the app */
  app_id: string | null;
  /** what it may push to */
  topics: string[];
  /** where it may push */
  environments: ("production" | "sandbox" | (string & {}))[];
  /** Apple's team */
  team_id: string | null;
  /** of a key or an account; of a VAPID key its public half */
  key_id: string | null;
  /** Google's project, of a service account */
  project_id: string | null;
  /** of a certificate; an account's e-mail; whom push services may write to */
  subject: string | null;
  /** of a certificate, hexadecimal */
  serial: string | null;
  /** SHA-256, hexadecimal */
  fingerprint: string | null;
  /** from when it is good; RFC 3339, UTC, with milliseconds */
  not_before: string | null;
  /** until when it is good; RFC 3339, UTC, with milliseconds */
  not_after: string | null;
  /** whole days until it runs out */
  days_left: number | null;
  /** what the file is */
  form: string;
  /** where its private key is */
  private_key: "in_file" | "held_here" | "missing" | (string & {});
  /** what was odd about the file, in sentences */
  notes: string[];
}

/** An error (RFC 9457). Some codes carry more members, such as `remedy`. */
export interface Problem {
  /** no page of its own */
  type: "about:blank";
  /** the code in words */
  title: string;
  /** the HTTP status */
  status: number;
  /** stable, for programs */
  code: string;
  /** what is wrong and what to do, for people */
  detail: string;
  /** as in the header `X-Request-ID` and the server's log */
  request_id?: string | undefined;
  /** with 422: each fault */
  errors?: FieldProblem[] | undefined;
}

/** Weekly quiet hours by the clock on the wall in a time zone. */
export interface QuietHours {
  /** an IANA name */
  time_zone: string;
  /** when it is quiet */
  periods: PeriodIn[];
}

/** This process can serve. */
export interface Ready {
  /** always `ready`; 503 while it is not */
  status: "ready";
  /** workers that have shown life lately */
  workers: number;
  /** by how much this host's clock is off */
  clock_skew_seconds: number;
  /** what a person should look at, in sentences */
  warnings: string[];
}

/** A device as it is registered now. */
export interface Registered {
  /** as the app names it */
  device_id: string;
  /** whose */
  user_id: string;
  /** as people know it */
  name: string | null;
  /** as the app says */
  platform: string | null;
  /** its language */
  locale: string | null;
  /** what an Android app has said of its phone */
  report: PhoneReport | null;
  /** whether it is rung and notified; false: its user, or a key, turned it off */
  rings: boolean;
  /** when it was first seen; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when it last registered; RFC 3339, UTC, with milliseconds */
  registered_at: string;
  /** its push tokens */
  tokens: Token[];
  /** what keeps it from being rung, such as no credential */
  warnings?: Notice[] | null | undefined;
}

/**
 * What a device says of a ring. With a call token that says all; else which device, and whose.
 * `ring`: the only one that is meant; without it the one that is open.
 */
export interface ReportIn {
  /** `delivered`: it is on the screen; `unavailable`: it cannot be */
  status: "delivered" | "unavailable";
  /** the member who acts; with a key only */
  user_id?: string | null | undefined;
  /** the device that acts */
  device_id?: string | null | undefined;
  /** the ring's uuid; with a call token it is that token's */
  ring?: string | null | undefined;
}

/** For which app a key and a signing request are to be made. */
export interface RequestIn {
  /** the app's bundle id */
  app_id: string;
}

/** An event that will be sent once more. */
export interface Resent {
  /** the event */
  event_id: string;
  /** it waits for a worker */
  state: "pending";
}

/** A user whose tokens were revoked. */
export interface Revoked {
  /** whose */
  user_id: string;
  /** tokens issued by then, to the second, are dead; RFC 3339, UTC, with milliseconds */
  revoked_at: string;
}

/**
 * A request to ring. `ring_time` in seconds; without an `id` one is made. `callees`: ids of
 * users, or users, by id or handle, with what screens show of them.
 */
export interface RingIn {
  /** who is calling */
  caller: CallerIn;
  /** whom to ring: ids, or objects with what screens show of them */
  callees: (string | PersonIn)[];
  /** the call type, which may have limits of its own */
  type?: string | undefined;
  /** as screens show it */
  title?: string | null | undefined;
  /** the client's own id of the call; made if absent */
  id?: string | null | undefined;
  /** whether it is a video call */
  video?: boolean | undefined;
  /**
   * `notify`: an ordinary notification tells of the call, and no phone shows a call screen;
   * else as the tenant's `notifications` say of the call type
   */
  mode?: "ring" | "notify" | null | undefined;
  /**
   * it rings whatever the callees wish, but for whom they block; only where the setting
   * `urgent_allowed` is on
   */
  urgent?: boolean | undefined;
  /** seconds for which it rings; else the limit `ring` */
  ring_time?: number | null | undefined;
  /** the backend's own data, 2,048 bytes as JSON at most */
  custom?: Record<string, unknown> | undefined;
}

/** One attempt to reach one member. */
export interface Ring {
  /** CallKit's UUID, never used again */
  uuid: string;
  /** `ringing`, or how it settled: accepted, declined, cancelled, missed, … */
  state: string;
  /** until when it rings; RFC 3339, UTC, with milliseconds */
  expires_at: string;
  /** when it settled; RFC 3339, UTC, with milliseconds */
  settled_at: string | null;
  /** CXCallEndedReason for devices that are to stop */
  callkit_reason: number | null;
  /**
   * whether a device has said that it is on its screen: `waiting`, `confirmed`, or none within
   * the limit `unconfirmed`
   */
  receipt?: "waiting" | "confirmed" | "unconfirmed" | (string & {}) | undefined;
  /** how many devices have said that it is on their screen */
  devices?: number | undefined;
}

/** The emergency switch. */
export interface RingingIn {
  /** true: no new ring begins, until it is false again */
  stopped: boolean;
}

/** How the emergency switch stands. */
export interface Ringing {
  /** since when no new ring begins; null: all ring; RFC 3339, UTC, with milliseconds */
  stopped_at: string | null;
}

/** `overlap`: seconds for which the old secret signs too. */
export interface RotateIn {
  /** seconds for which the old secret signs too */
  overlap?: number | undefined;
}

/** Until when missed calls have been seen; without it, until now. */
export interface SeenIn {
  /** missed calls until then have been seen */
  until?: string | null | undefined;
}

/** What may be shown of a signing secret. */
export interface SigningSecret {
  /** its id: the `kid` in the header of a user token */
  kid: string;
  /** when it was made */
  created_at: string;
  /** when a token signed with it was last seen, to the minute */
  last_used_at: string | null;
  /** null while it is live */
  revoked_at: string | null;
}

/** A tenant's signing secrets, live ones first, the newest first. */
export interface SigningSecrets {
  /** at most two are live */
  signing_secrets: SigningSecret[];
}

/** A `PushSubscription` as a browser gives it (`toJSON()`). */
export interface SubscriptionIn {
  /** where pushes to it go: https, and public */
  endpoint: string;
  /** what pushes to it are sealed with */
  keys: SubscriptionKeysIn;
  /** as the browser says (the Push API's name); it is not needed */
  expirationTime?: number | null | undefined;
}

/** What pushes to a browser are sealed with. */
export interface SubscriptionKeysIn {
  /** its public key: 65 bytes in base64url */
  p256dh: string;
  /** its secret: 16 bytes in base64url */
  auth: string;
}

/** The settings of one tenant; what is absent has its default. */
export interface TenantSettings {
  /** seconds and counts, by name (docs/guides/limits.md) */
  limits?: Record<string, unknown> | undefined;
  /** limits per call type */
  call_types?: Record<string, Record<string, unknown>> | undefined;
  /** how often a minute, by name (docs/guides/limits.md) */
  rate_limits?: Record<string, unknown> | undefined;
  /**
   * what becomes of a ring to who is in another call: `ring`; `busy`, at once and without a
   * push; or `quiet`: told by a notification at most
   */
  when_busy?: "ring" | "busy" | "quiet" | undefined;
  /** the same per call type */
  busy_call_types?: Record<string, "ring" | "busy" | "quiet"> | undefined;
  /** a user token may ring, as its own subject */
  users_may_ring?: boolean | undefined;
  /** a ring may say that it is `urgent`: of what a user wishes only a block keeps it away then */
  urgent_allowed?: boolean | undefined;
  /**
   * a caller is told at once, with the reason, that the callee's wishes keep a ring away
   * (`member.suppressed`); of a block never
   */
  tell_suppressed?: boolean | undefined;
  /**
   * a user token may set its subject's handles; who has one is rung by it, and nobody checks
   * that a number is theirs
   */
  users_may_set_handles?: boolean | undefined;
  /** Apple may keep a ring for a phone that is off, until its deadline */
  store_and_forward?: boolean | undefined;
  /** a stop may travel as a VoIP push, as last resort */
  voip_stops?: boolean | undefined;
  /**
   * the ring of a user whom nothing can ring ends at once, and the call if nobody else is
   * rung; without it that is told, and it rings on for a device that may come
   */
  end_unreachable?: boolean | undefined;
  /**
   * whom a decline that does not say so is for: all the user's devices, or only the one that
   * declines while others ring on
   */
  decline_reach?: "user" | "device" | undefined;
  /**
   * devices in a call must show life (`heartbeat_every`); without it nobody is away, or
   * removed for silence
   */
  presence?: boolean | undefined;
  /** payload profile per bundle id */
  profiles?: Record<string, string> | undefined;
  /** payload profile per Android package */
  android_profiles?: Record<string, string> | undefined;
  /**
   * Android packages that are sent FCM's `android_v2` in place of `android`: a preview of
   * Google's (docs/guides/android.md)
   */
  android_v2?: string[] | undefined;
  /** custom payload per bundle id */
  templates?: Record<string, Record<string, unknown>> | undefined;
  /** notifications per call type (docs/guides/payloads.md) */
  notifications?: Record<string, NotificationsIn> | undefined;
  /**
   * bundle ids whose devices without a VoIP token are rung by notifications: seconds from one
   * to the next (docs/guides/payloads.md)
   */
  alert_rings?: Record<string, number> | undefined;
  /** what user tokens must say, beyond `sub` and `exp` */
  user_tokens?: UserTokenRules | undefined;
  /** days for which events are kept */
  keep_events_days?: number | undefined;
  /** days for which calls are kept */
  keep_calls_days?: number | undefined;
}

/** Whose phones are to ring as a test; one of them if `device_id` is given. */
export interface TestPushIn {
  /** whose phones ring */
  user_id: string;
  /** this one alone */
  device_id?: string | null | undefined;
}

/** A test push to each phone of a user. */
export interface TestPush {
  /** what the service said of each */
  devices: Tried[];
}

/** The call that a timeline is of. */
export interface TimelineCall {
  /** the client's own id */
  id: string;
  /** UUID of the session */
  session_id: string;
  /** `type:id` */
  cid: string;
  /** how the call stands */
  state: "ringing" | "active" | "ended" | (string & {});
  /** why it ended */
  reason: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | (string & {}) | null;
  /** as screens show it */
  title: string | null;
  /** who called */
  caller_id: string;
  /** who called, as screens show them */
  caller: Caller;
  /** when it began; RFC 3339, UTC, with milliseconds */
  created_at: string;
  /** when it ended; RFC 3339, UTC, with milliseconds */
  ended_at: string | null;
  /** by which a backend of OpenTelemetry traces finds it; null: it was not traced */
  trace_id: string | null;
}

/** Everything that happened in a call, in order. */
export interface Timeline {
  /** which call */
  call: TimelineCall;
  /** what happened, the earliest first */
  timeline: Line[];
  /** whether that is all; false: it is of the first 5,000 events, rings or pushes */
  whole: boolean;
}

/** A push address as the phone has it. */
export interface TokenIn {
  /** which push it takes */
  kind: string;
  /** the app's bundle id, Android package, or origin */
  app_id: string;
  /**
   * as PushKit or UserNotifications gave it, in hexadecimal; or as FCM did; of `webpush` there
   * is none
   */
  token?: string | null | undefined;
  /** of `webpush`, in place of a token */
  subscription?: SubscriptionIn | null | undefined;
  /**
   * of `webpush`: the public VAPID key that it was made with; the app's of the moment unless
   * told
   */
  application_server_key?: string | null | undefined;
  /** Apple's, production unless told: sandbox for builds run from Xcode; other kinds have none */
  environment?: "production" | "sandbox" | null | undefined;
}

/** A push token, of which the last four characters are shown. */
export interface Token {
  /** which push it takes */
  kind: "voip" | "alert" | "fcm" | "webpush" | (string & {});
  /** the app */
  app_id: string;
  /** Apple's environment; null for other kinds */
  environment: "production" | "sandbox" | (string & {}) | null;
  /** its last four characters */
  ends_with: string;
  /** when it was last registered; RFC 3339, UTC, with milliseconds */
  registered_at: string;
  /** until when it is rung; RFC 3339, UTC, with milliseconds */
  expires_at: string;
  /** since when it is not rung; RFC 3339, UTC, with milliseconds */
  retired_at: string | null;
  /** why; `not_activated`: its activation token has not been posted back */
  retired_reason: string | null;
}

/** What the push service said of one phone. */
export interface Tried {
  /** the phone */
  device_id: string;
  /** as people know it */
  name: string | null;
  /** the app */
  app_id: string;
  /** the token's environment */
  environment: "production" | "sandbox" | (string & {});
  /** its end */
  token: string;
  /** which credential was used */
  credential_id: string | null;
  /** the service's answer */
  says: "accepted" | "refused" | "unknown" | (string & {});
  /** the HTTP status */
  status: number | null;
  /** the service's reason, or what failed */
  words: string | null;
  /** what to look at */
  hint: string | null;
  /** how long it took */
  milliseconds: number | null;
}

/** Which device to remove, by a push token that it holds; `user_id` only with an API key. */
export interface UnregisterIn {
  /** a push token that the device holds, or its subscription's endpoint */
  token: string;
  /** whose device; with a key only */
  user_id?: string | null | undefined;
}

/**
 * How long a user token shall be good, in seconds, and for what. The tenant's
 * `user_tokens.longest_life` shortens it. Without `scopes` it is good for all that the key
 * that asks for it may do.
 */
export interface UserTokenIn {
  /** seconds for which it is good */
  expires_in?: number | undefined;
  /** what the token is good for */
  scopes?: ("devices" | "calls" | "ring" | "history")[] | null | undefined;
}

/** A user token, signed by Ringline with the tenant's secret. */
export interface UserToken {
  /** a JWT for this user's app */
  token: string;
  /** until when it is good; RFC 3339, UTC, with milliseconds */
  expires_at: string;
}

/** What a tenant asks of its users' tokens; without any rule, what RFC 7519 asks. */
export interface UserTokenRules {
  /** seconds from `iat` (without it, from now) to `exp` that a token may have */
  longest_life?: number | null | undefined;
  /** the `iss` that a token must have */
  issuer?: string | null | undefined;
  /** the `aud` that a token must name */
  audience?: string | null | undefined;
  /** public keys of the issuer (RFC 7517: RS256, ES256) */
  jwks?: Record<string, unknown> | null | undefined;
  /** where the issuer's public keys are fetched instead: https, public, cached for 10 minutes */
  jwks_url?: string | null | undefined;
}

/** For which web app a VAPID key is to be made, and whom push services may write to. */
export interface VapidIn {
  /** the web app's origin, or a UnifiedPush app's package */
  app_id: string;
  /** whom a push service may write to: `mailto:` or `https:` (VAPID's `sub`) */
  subject: string;
}

/** With what an app's browsers subscribe. */
export interface VapidKey {
  /** the app */
  app_id: string;
  /** `applicationServerKey` for `PushManager.subscribe`, in base64url */
  public_key: string;
}

/** Something that does not refuse the request, and that a person should know. */
export interface Notice {
  /** stable, for programs */
  code: string;
  /** what it is, and the way out */
  detail: string;
  /** whom it is about, if a user */
  user_id?: string | null | undefined;
  /** which app it is about, if one */
  app_id?: string | null | undefined;
}

/** A new endpoint. `events`: `*`, `call.*` or whole types. */
export interface WebhookIn {
  /** where events are sent: https, public */
  url: string;
  /** `*`, groups such as `call.*`, or types */
  events?: string[] | undefined;
  /** for people */
  description?: string | undefined;
}

/** An endpoint of the backend, and how it does. */
export interface Webhook {
  /** its id */
  id: string;
  /** where events are sent */
  url: string;
  /** `*`, groups or types */
  events: string[];
  /** for people */
  description: string;
  /** whether anything is sent */
  state: "active" | "disabled" | (string & {});
  /** when it was turned off; RFC 3339, UTC, with milliseconds */
  disabled_at: string | null;
  /** why */
  disabled_reason: string | null;
  /** failed deliveries in a row */
  failures: number;
  /** since when it fails; RFC 3339, UTC, with milliseconds */
  failing_since: string | null;
  /** when it last took one; RFC 3339, UTC, with milliseconds */
  succeeded_at: string | null;
  /** when it was made; RFC 3339, UTC, with milliseconds */
  created_at: string | null;
}

/** Every endpoint. */
export interface Webhooks {
  /** the oldest first */
  webhooks: Webhook[];
}

/** The same in another language; what is absent is as in the notification itself. */
export interface WordsIn {
  /** its title */
  title?: string | null | undefined;
  /** its text */
  body?: string | null | undefined;
}
