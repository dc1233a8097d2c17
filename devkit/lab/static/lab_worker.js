// The client's own service worker, which this page hands what the simulated push service has opened:
// a vendor's push service, which alone can wake a worker, cannot be told to deliver it.
"use strict";

importScripts("worker.js");

self.addEventListener("message", (event) => {
  const work = [];
  class Pushed extends PushEvent {
    waitUntil(promise) {
      work.push(promise);
    }
  }
  self.dispatchEvent(new Pushed("push", { data: event.data.push }));
  event.waitUntil(Promise.all(work));
});
