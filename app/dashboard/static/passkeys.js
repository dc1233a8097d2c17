// Passkeys: making one on one's own page, and signing in with one.
export function usePasskeys(root) {
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return;
  const maker = root.querySelector("[data-make-passkey]");
  const signer = root.querySelector("[data-passkey]");
  if (maker) makes(maker);
  if (signer) signs(signer);
}

function says(form, sentence) {
  form.querySelector("[data-says]").textContent = sentence;
}

function makes(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    const answer = await fetch(form.dataset.makePasskey, { method: "POST", body: new FormData(form) });
    if (!answer.ok) return says(form, await answer.text());
    try {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await answer.json());
      const made = await navigator.credentials.create({ publicKey });
      form.elements.credential.value = JSON.stringify(made.toJSON());
      form.elements.password.value = "";
      form.elements.password.required = false;
      form.requestSubmit();
    } catch {
      says(form, "No passkey was made.");
    }
  });
}

function signs(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.passkey.value) return;
    event.preventDefault();
    try {
      const options = JSON.parse(form.dataset.passkey);
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
      const made = await navigator.credentials.get({ publicKey });
      form.elements.passkey.value = JSON.stringify(made.toJSON());
      form.requestSubmit();
    } catch {
      says(form, "No passkey has signed.");
    }
  });
}
