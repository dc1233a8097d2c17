// The service worker of ringline-client: serve it from your app's root, and give its address to
// `phone.subscribe`. It shows each push, says that the ring has come, hands it to the pages that are
// open, and declines without one.
"use strict";

/** Ask the server; that nobody answers must not keep a call from being shown. */
function post(url, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(url, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => undefined);
}

const pages = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

function show(notification) {
  const { title, body, tag, silent, renotify, data } = notification;
  return self.registration.showNotification(title, {
    body,
    tag,
    silent,
    renotify,
    requireInteraction: notification.require_interaction,
    actions: data.ring?.token ? [{ action: "decline", title: "Decline" }] : [],
    data: notification,
  });
}

async function tell(data) {
  for (const page of await pages()) page.postMessage({ ringline: data });
}

async function open(navigate) {
  const [page] = await pages();
  return page ? page.focus() : self.clients.openWindow(new URL(navigate, self.registration.scope));
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  const { notification } = event.data.json();
  const { activation, ring } = notification.data;
  const work = [show(notification), tell(notification.data)];
  if (activation) work.push(post(activation.url, { token: activation.token }));
  if (ring?.token) work.push(post(`${ring.state_url}/report`, { status: "delivered" }, ring.token));
  event.waitUntil(Promise.all(work));
});

self.addEventListener("notificationclick", (event) => {
  const { navigate, data } = event.notification.data;
  event.notification.close();
  const declines = event.action === "decline";
  const { ring } = data;
  event.waitUntil(declines ? post(`${ring.state_url}/decline`, {}, ring.token) : open(navigate));
});
