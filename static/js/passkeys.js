// Passkeys, where the browser has them. A form with data-passkey is hidden elsewhere; when it is
// sent, the browser answers first, and its answer goes along as JSON in an ordinary field.
"use strict";

const KNOWN = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
const ASK = {
  create: (options) => navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  }),
  get: (options) => navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
  }),
};

async function answer(form) {
  const response = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
  const credential = await ASK[form.dataset.passkey](await response.json());
  form.elements.credential.value = JSON.stringify(credential);
  form.submit();
}

function offer(form) {
  form.hidden = !KNOWN;
  const failure = form.querySelector("[data-passkey-failure]");
  const button = form.querySelector("button");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    failure.hidden = true;
    button.disabled = true;
    answer(form)
      .catch(() => { failure.hidden = false; })
      .finally(() => { button.disabled = false; });
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) offer(form);
for (const words of document.querySelectorAll("[data-without-passkeys]")) words.hidden = KNOWN;
