// The payload's preview follows what is chosen and typed.
export function previewPayloads(root) {
  const form = root.querySelector("form[data-preview]");
  if (!form) return;
  const only = form.querySelector("[data-only]");
  const button = form.querySelector("[data-preview-button]");
  if (button) button.hidden = true;
  let timer = 0;
  let number = 0;

  async function show() {
    only.hidden = form.elements.profile.value !== only.dataset.only;
    if (!button) return;
    const mine = (number += 1);
    const answer = await fetch(form.dataset.preview, {
      method: "POST", body: new FormData(form), headers: { "X-Ringline-Part": "1" },
    });
    if (answer.status !== 200 || mine !== number) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#preview");
    if (fresh) document.querySelector("#preview").replaceWith(document.adoptNode(fresh));
  }

  only.hidden = form.elements.profile.value !== only.dataset.only;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, 200); });
}
