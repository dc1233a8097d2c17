// Small helps for pages that work without them: live parts, dropping files, copying, previews.
import { followLive } from "./live.js";
import { takeDrops } from "./drop.js";
import { previewPayloads } from "./preview.js";
import { usePasskeys } from "./passkeys.js";

function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    });
  }
}

// Times come in UTC; show each in the reader's own zone, and UTC when pointed at.
export function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (time.textContent.endsWith(" UTC")) {
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    }
  }
}

function closeOthers() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.ask[open]")) {
      const inside = open.contains(document.activeElement);
      open.open = false;
      if (inside) open.querySelector("summary").focus();
    }
  });
}

offerCopies();
localTimes(document);
closeOthers();
takeDrops(document);
previewPayloads(document);
usePasskeys(document);
followLive(localTimes);
