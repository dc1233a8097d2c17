// Bob's browser beside his phones: the phone in a page, in a frame, opened when it is first wanted.
const PATIENCE = 15_000;
let ready = null;

/** Why it does not ring by push; "" if it does. The frame's own page says it. */
export function opened() {
  ready ??= new Promise((told) => {
    const frame = document.createElement("iframe");
    frame.title = "Bob's browser";
    frame.src = "/lab/web_phone?framed=yes";
    addEventListener("message", ({ source, origin, data }) => {
      if (source === frame.contentWindow && origin === location.origin && "pushes" in data) told(data.pushes);
    });
    setTimeout(told, PATIENCE, "It was not opened in time.");
    document.querySelector("#browser").replaceChildren(frame);
  });
  return ready;
}
