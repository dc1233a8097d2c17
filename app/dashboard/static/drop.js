// Drop a file anywhere on the page: it goes into the page's first form that takes one.
export function takeDrops(root) {
  const form = root.querySelector("form[data-drop]");
  if (!form) return;
  for (const hint of root.querySelectorAll("[data-drop-hint]")) hint.hidden = false;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  let inside = 0;
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    inside += 1;
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (!inside) document.body.classList.remove("dropping");
  });
  addEventListener("dragover", (event) => { if (holdsFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    inside = 0;
    document.body.classList.remove("dropping");
    form.querySelector("input[type=file]").files = event.dataTransfer.files;
    form.requestSubmit();
  });
}
