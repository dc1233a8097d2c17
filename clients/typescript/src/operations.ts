// Made from the OpenAPI document by `make reference`: change the server, not this file.
import { Sender, segment } from "./requests.js";
import type { Accepted, ActIn, ActivateIn, ApiKeys, Attempt, AuditLine, Block, Blocks, Call, ChangeIn, ConfirmIn, Credential, CredentialIn, Credentials, DeclineIn, Delivery, Device, DeviceChangeIn, DeviceIn, Devices, EventTypes, FileIn, Handles, HandlesIn, ListedCall, Missed, NewSecret, NewSigningSecret, NewWebhook, OwnCall, PastCall, PreferencesIn, Preview, Registered, ReportIn, RequestIn, Resent, Revoked, RingIn, Ringing, RingingIn, RotateIn, SeenIn, SigningSecrets, TenantSettings, TestPush, TestPushIn, Timeline, UnregisterIn, UserToken, UserTokenIn, VapidIn, VapidKey, Webhook, WebhookIn, Webhooks } from "./models.js";

/** One method for each operation of the API. */
export abstract class Operations extends Sender {
  /** The tenant's API keys, without the keys. New ones are made by an administrator alone. */
  listApiKeys(): Promise<ApiKeys> {
    return this.send<ApiKeys>({ method: "GET", path: `/v1/api-keys`, repeatable: true });
  }

  /** Revoke an API key, also the one that asks: within a second it is good for nothing. */
  revokeApiKey(keyId: string, query: { confirm?: boolean | undefined } = {}): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/api-keys/${segment(keyId)}`, repeatable: true, query });
  }

  /** The tenant's signing secrets, without the secrets. */
  listSigningSecrets(): Promise<SigningSecrets> {
    return this.send<SigningSecrets>({ method: "GET", path: `/v1/signing-secrets`, repeatable: true });
  }

  /** Make a second signing secret; the first stays good until it is revoked. At most two live. */
  createSigningSecret(): Promise<NewSigningSecret> {
    return this.send<NewSigningSecret>({ method: "POST", path: `/v1/signing-secrets` });
  }

  /** Revoke a signing secret: within two seconds no user token signed with it is good. */
  revokeSigningSecret(kid: string, query: { confirm?: boolean | undefined } = {}): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/signing-secrets/${segment(kid)}`, repeatable: true, query });
  }

  /**
   * The tenant's calls, the newest first. A page may be short and still have a next one.
   * `since` and `until` bound `created_at`, the latter exclusively.
   */
  listCalls(query: { user_id?: string | null | undefined; state?: "ringing" | "active" | "ended" | null | undefined; reason?: "completed" | "cancelled" | "declined" | "busy" | "missed" | "unreachable" | "alone" | "max_duration" | "ended_by_server" | "failed" | null | undefined; type?: string | null | undefined; since?: string | null | undefined; until?: string | null | undefined; limit?: number | undefined } = {}): AsyncIterable<ListedCall> {
    return this.pages<ListedCall>({ method: "GET", path: `/v1/calls`, repeatable: true, query }, "calls");
  }

  /** Ring: start a call, or ring more members of a live one. Returns the call. */
  ring(body: RingIn, options: { idempotencyKey?: string | undefined } = {}): Promise<Call> {
    return this.send<Call>({ method: "POST", path: `/v1/calls`, repeatable: true, body, keyed: true, idempotencyKey: options.idempotencyKey });
  }

  /**
   * A user's own calls, the newest first, with direction, what was missed, and what is unseen.
   * By a key, or by the user's own token. The first page says how many are missed and unseen.
   */
  listUserCalls(userId: string, query: { direction?: "incoming" | "outgoing" | null | undefined; missed?: boolean | null | undefined; state?: "ringing" | "active" | "ended" | null | undefined; type?: string | null | undefined; since?: string | null | undefined; until?: string | null | undefined; limit?: number | undefined } = {}): AsyncIterable<PastCall> {
    return this.pages<PastCall>({ method: "GET", path: `/v1/users/${segment(userId)}/calls`, repeatable: true, query }, "calls");
  }

  /** Mark what was missed as seen, on all the user's devices; returns what is still unseen. */
  seeUserCalls(userId: string, body: SeenIn = {}): Promise<Missed> {
    return this.send<Missed>({ method: "POST", path: `/v1/users/${segment(userId)}/calls/seen`, repeatable: true, body });
  }

  /**
   * A call by `type:id` (the live one, else the latest) or by the id of its session. With an
   * ETag. A call token is shown its own member, its ring, and how many others there are.
   */
  readCall(reference: string): Promise<OwnCall | Call> {
    return this.send<OwnCall | Call>({ method: "GET", path: `/v1/calls/${segment(reference)}`, repeatable: true });
  }

  /**
   * The ring is on this device's screen (`delivered`), or cannot be (`unavailable`). With a
   * call token of its ring and device; a page that rings by its stream says `device_id`. The
   * first word of each device is told as `member.ringing` to who is in the call.
   */
  reportRing(reference: string, body: ReportIn): Promise<void> {
    return this.send<void>({ method: "POST", path: `/v1/calls/${segment(reference)}/report`, repeatable: true, body });
  }

  /**
   * Answer. The first device wins; the same device again gets the same answer.
   * `heartbeat_every`: the device must show life at least so often, in seconds, by `POST
   * .../heartbeat` or an open stream; silent for three times that it is away, then removed.
   * None: it need not.
   */
  acceptCall(reference: string, body: ActIn = {}): Promise<Accepted> {
    return this.send<Accepted>({ method: "POST", path: `/v1/calls/${segment(reference)}/accept`, repeatable: true, body });
  }

  /** Answer, or come back into a call that is still active after leaving or missing it. */
  joinCall(reference: string, body: ActIn = {}): Promise<Accepted> {
    return this.send<Accepted>({ method: "POST", path: `/v1/calls/${segment(reference)}/join`, repeatable: true, body });
  }

  /**
   * Decline for all devices of this member, or for this one. Late or repeated: no harm. With
   * `reach` `device` the others ring on; once none is left the member has declined.
   */
  declineCall(reference: string, body: DeclineIn = {}): Promise<OwnCall | Call> {
    return this.send<OwnCall | Call>({ method: "POST", path: `/v1/calls/${segment(reference)}/decline`, repeatable: true, body });
  }

  /** Give up before anyone has joined: the caller, or the server. */
  cancelCall(reference: string, body: ActIn = {}): Promise<Call> {
    return this.send<Call>({ method: "POST", path: `/v1/calls/${segment(reference)}/cancel`, repeatable: true, body });
  }

  /** Leave; the others go on. Late or repeated: no harm. */
  leaveCall(reference: string, body: ActIn = {}): Promise<Call> {
    return this.send<Call>({ method: "POST", path: `/v1/calls/${segment(reference)}/leave`, repeatable: true, body });
  }

  /** End the call for everyone: a member who has joined, or the server. */
  endCall(reference: string, body: ActIn = {}): Promise<Call> {
    return this.send<Call>({ method: "POST", path: `/v1/calls/${segment(reference)}/end`, repeatable: true, body });
  }

  /** Keep a joined member: silence makes it away, then takes it out. Returns its own part. */
  heartbeat(reference: string, body: ActIn = {}): Promise<OwnCall> {
    return this.send<OwnCall>({ method: "POST", path: `/v1/calls/${segment(reference)}/heartbeat`, repeatable: true, body });
  }

  /** Every type of event, with an example and its JSON Schema, and what webhooks may ask for. */
  listEventTypes(): Promise<EventTypes> {
    return this.send<EventTypes>({ method: "GET", path: `/v1/events/types`, repeatable: true });
  }

  /** Everything that happened in a call, in order: events, pushes, what phones reported. */
  readTimeline(reference: string): Promise<Timeline> {
    return this.send<Timeline>({ method: "GET", path: `/v1/calls/${segment(reference)}/timeline`, repeatable: true });
  }

  /** Register a device with its tokens, or refresh it. Doing so again changes only the expiry. */
  registerDevice(body: DeviceIn = {}): Promise<Registered> {
    return this.send<Registered>({ method: "POST", path: `/v1/devices`, repeatable: true, body });
  }

  /** A user's devices, the newest first; of each token the last four digits. */
  listDevices(query: { user_id?: string | null | undefined } = {}): Promise<Devices> {
    return this.send<Devices>({ method: "GET", path: `/v1/devices`, repeatable: true, query });
  }

  /**
   * Remove the device that holds a push token, with all its tokens: it will not ring again.
   * For apps that know only their token when a person signs out. A token never stands in a
   * URL.
   */
  unregisterDevice(body: UnregisterIn): Promise<void> {
    return this.send<void>({ method: "POST", path: `/v1/devices/unregister`, repeatable: true, body });
  }

  /** With which public VAPID key the browsers of a web app subscribe. */
  readWebPushKey(query: { app_id: string }): Promise<VapidKey> {
    return this.send<VapidKey>({ method: "GET", path: `/v1/web-push/key`, repeatable: true, query });
  }

  /**
   * Show that pushes to a subscription arrive: the activation push brought this token. The
   * token is all that is needed, since a service worker has no login. From then on the
   * subscription is rung; if its user is being rung, it rings at once.
   */
  activateSubscription(body: ActivateIn): Promise<void> {
    return this.send<void>({ method: "POST", path: `/v1/devices/activate`, repeatable: true, body });
  }

  /**
   * Turn ringing of a device off, or on again, from the next ring on. A device that is off
   * gets no rings and no notifications; it may answer, and its streams go on. Registering
   * again, or a new token, leaves it off.
   */
  changeDevice(deviceId: string, body: DeviceChangeIn): Promise<Device> {
    return this.send<Device>({ method: "PATCH", path: `/v1/devices/${segment(deviceId)}`, repeatable: true, body });
  }

  /** Remove a device with its tokens: it will not ring again. */
  removeDevice(deviceId: string, query: { user_id?: string | null | undefined } = {}): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/devices/${segment(deviceId)}`, repeatable: true, query });
  }

  /** Erase a user: devices, tokens and events; past calls keep a tombstone in their place. */
  eraseUser(userId: string): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/users/${segment(userId)}`, repeatable: true });
  }

  /** A user token for this user's app, signed by Ringline with the tenant's secret. */
  createUserToken(userId: string, body: UserTokenIn = {}): Promise<UserToken> {
    return this.send<UserToken>({ method: "POST", path: `/v1/users/${segment(userId)}/tokens`, repeatable: true, body });
  }

  /**
   * Revoke every token of this user issued by now: user, call and member tokens. Within two
   * seconds no process takes them, and streams opened with them have ended. A token whose
   * `iat` is in this very second is dead too, as is one without `iat`; later ones are good.
   */
  revokeUserTokens(userId: string): Promise<Revoked> {
    return this.send<Revoked>({ method: "POST", path: `/v1/users/${segment(userId)}/revoke`, repeatable: true });
  }

  /** What is understood of a file; nothing is stored, and Apple is not asked. */
  previewCredential(body: CredentialIn): Promise<Preview> {
    return this.send<Preview>({ method: "POST", path: `/v1/credentials/preview`, body });
  }

  /** Add a credential. Apple is asked about it, so this takes up to 5 s. */
  addCredential(body: CredentialIn): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials`, body });
  }

  /** Every credential, the newest first; of one app if `app_id` is given. */
  listCredentials(query: { app_id?: string | null | undefined } = {}): Promise<Credentials> {
    return this.send<Credentials>({ method: "GET", path: `/v1/credentials`, repeatable: true, query });
  }

  /** Make a key that never leaves, and the signing request (`request`) for Apple's portal. */
  requestCertificate(body: RequestIn): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/requests`, body });
  }

  /**
   * Make a VAPID key for a web app; `key_id` is what its browsers subscribe with from now on.
   * Browsers that have subscribed before go on by the key that they know.
   */
  makeVapidKey(body: VapidIn): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/vapid`, body });
  }

  /** Bring the `.cer` that Apple gave for a signing request. */
  completeCertificate(credentialId: string, body: FileIn): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/${segment(credentialId)}/certificate`, body });
  }

  /** Ring a user's phones (or one of them) once, marked as a test: what Apple says of each. */
  testPush(body: TestPushIn): Promise<TestPush> {
    return this.send<TestPush>({ method: "POST", path: `/v1/credentials/test-push`, body });
  }

  /** One credential. */
  readCredential(credentialId: string): Promise<Credential> {
    return this.send<Credential>({ method: "GET", path: `/v1/credentials/${segment(credentialId)}`, repeatable: true });
  }

  /**
   * Delete it and its private key for good. The last working one, and a VAPID key that
   * browsers know, want `?confirm=true`.
   */
  deleteCredential(credentialId: string, query: { confirm?: boolean | undefined } = {}): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/credentials/${segment(credentialId)}`, repeatable: true, query });
  }

  /** Ask Apple now whether it takes this credential, and in which environments. */
  probeCredential(credentialId: string): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/${segment(credentialId)}/probe` });
  }

  /** Use this one from now on: brings back one that was replaced or retired. */
  activateCredential(credentialId: string): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/${segment(credentialId)}/activate` });
  }

  /**
   * Use it no more, but keep it. The last working one, and a VAPID key that browsers know,
   * want `{"confirm": true}`.
   */
  retireCredential(credentialId: string, body: ConfirmIn = {}): Promise<Credential> {
    return this.send<Credential>({ method: "POST", path: `/v1/credentials/${segment(credentialId)}/retire`, body });
  }

  /** Who did what, when and from where, the newest first. `cursor` is `next_cursor` of before. */
  readAuditLog(query: { limit?: number | undefined; target?: string | null | undefined } = {}): AsyncIterable<AuditLine> {
    return this.pages<AuditLine>({ method: "GET", path: `/v1/audit`, repeatable: true, query }, "audit");
  }

  /** Every webhook of the tenant. */
  listWebhooks(): Promise<Webhooks> {
    return this.send<Webhooks>({ method: "GET", path: `/v1/webhooks`, repeatable: true });
  }

  /** A new webhook. Its `secret` is shown this once. */
  createWebhook(body: WebhookIn): Promise<NewWebhook> {
    return this.send<NewWebhook>({ method: "POST", path: `/v1/webhooks`, body });
  }

  /** One webhook, and how it does. */
  readWebhook(webhookId: string): Promise<Webhook> {
    return this.send<Webhook>({ method: "GET", path: `/v1/webhooks/${segment(webhookId)}`, repeatable: true });
  }

  /** Change a webhook, turn it off, or on again. */
  changeWebhook(webhookId: string, body: ChangeIn = {}): Promise<Webhook> {
    return this.send<Webhook>({ method: "PATCH", path: `/v1/webhooks/${segment(webhookId)}`, repeatable: true, body });
  }

  /** Delete a webhook; what waits for it is not sent. */
  deleteWebhook(webhookId: string): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/webhooks/${segment(webhookId)}`, repeatable: true });
  }

  /** A new secret, shown this once. The old one signs too for a while: two signatures. */
  rotateWebhookSecret(webhookId: string, body: RotateIn = {}): Promise<NewSecret> {
    return this.send<NewSecret>({ method: "POST", path: `/v1/webhooks/${segment(webhookId)}/rotate`, body });
  }

  /** What was sent to a webhook, or waits to be, the newest first. */
  listDeliveries(webhookId: string, query: { state?: "pending" | "sending" | "delivered" | "failed" | null | undefined; limit?: number | undefined } = {}): AsyncIterable<Delivery> {
    return this.pages<Delivery>({ method: "GET", path: `/v1/webhooks/${segment(webhookId)}/deliveries`, repeatable: true, query }, "deliveries");
  }

  /** Every try, with the beginning of what the endpoint answered, the newest first. */
  listAttempts(webhookId: string, query: { event_id?: string | null | undefined; limit?: number | undefined } = {}): AsyncIterable<Attempt> {
    return this.pages<Attempt>({ method: "GET", path: `/v1/webhooks/${segment(webhookId)}/attempts`, repeatable: true, query }, "attempts");
  }

  /** Send an event once more, whatever came of it before. */
  resendDelivery(webhookId: string, eventId: string): Promise<Resent> {
    return this.send<Resent>({ method: "POST", path: `/v1/webhooks/${segment(webhookId)}/deliveries/${segment(eventId)}/resend` });
  }

  /** The tenant's settings, those that have their default included. */
  readSettings(): Promise<TenantSettings> {
    return this.send<TenantSettings>({ method: "GET", path: `/v1/settings`, repeatable: true });
  }

  /**
   * Replace the settings; what is not named has its default. In force within a second. Calls
   * that live keep the limits they began with.
   */
  replaceSettings(body: TenantSettings = {}): Promise<TenantSettings> {
    return this.send<TenantSettings>({ method: "PUT", path: `/v1/settings`, repeatable: true, body });
  }

  /** Whether all new ringing is stopped. */
  readRinging(): Promise<Ringing> {
    return this.send<Ringing>({ method: "GET", path: `/v1/settings/ringing`, repeatable: true });
  }

  /** Stop all new ringing at once, or let it go on. Calls that live are not touched. */
  switchRinging(body: RingingIn): Promise<Ringing> {
    return this.send<Ringing>({ method: "PUT", path: `/v1/settings/ringing`, repeatable: true, body });
  }

  /** What a user wants of rings; by a key, or by the user's own token. */
  readPreferences(userId: string): Promise<PreferencesIn> {
    return this.send<PreferencesIn>({ method: "GET", path: `/v1/users/${segment(userId)}/preferences`, repeatable: true });
  }

  /**
   * Replace what a user wants of rings; what is absent wants nothing. The next ring obeys it.
   * A ring that it stops is not pushed, and told to nobody of the user's; to the caller it
   * rings until its time is over.
   */
  replacePreferences(userId: string, body: PreferencesIn = {}): Promise<PreferencesIn> {
    return this.send<PreferencesIn>({ method: "PUT", path: `/v1/users/${segment(userId)}/preferences`, repeatable: true, body });
  }

  /** Whom a user has blocked, by id; at most 1,000. */
  listBlocks(userId: string): Promise<Blocks> {
    return this.send<Blocks>({ method: "GET", path: `/v1/users/${segment(userId)}/blocks`, repeatable: true });
  }

  /** Block another user: their rings reach nobody of this user's, and they are not told so. */
  blockUser(userId: string, blockedId: string): Promise<Block> {
    return this.send<Block>({ method: "PUT", path: `/v1/users/${segment(userId)}/blocks/${segment(blockedId)}`, repeatable: true });
  }

  /** Take a block back. */
  unblockUser(userId: string, blockedId: string): Promise<void> {
    return this.send<void>({ method: "DELETE", path: `/v1/users/${segment(userId)}/blocks/${segment(blockedId)}`, repeatable: true });
  }

  /** By which handles a user may be rung, as they were given. */
  listHandles(userId: string): Promise<Handles> {
    return this.send<Handles>({ method: "GET", path: `/v1/users/${segment(userId)}/handles`, repeatable: true });
  }

  /**
   * Replace a user's handles: `POST /v1/calls` may name who is rung by them. Of one kind a
   * handle is one user's: 409 `handle_taken`, and nothing is changed. By the user's own token
   * where the setting `users_may_set_handles` is on.
   */
  replaceHandles(userId: string, body: HandlesIn): Promise<Handles> {
    return this.send<Handles>({ method: "PUT", path: `/v1/users/${segment(userId)}/handles`, repeatable: true, body });
  }
}
