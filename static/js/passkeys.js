// Passkeys, where the browser has them. A form with data-passkey is hidden elsewhere; when it is
// sent, the browser answers first, and its answer goes along as JSON in an ordinary field. Where a
// field of the page asks for it by its autocomplete, the browser suggests passkeys there as well.
"use strict";

const KNOWN = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
const FRESH = 4 * 60 * 1000; // milliseconds: the portal takes answers for five minutes
const ASK = {
  create: (options) => navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  }),
  get: (options, manner) => navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
    ...manner,
  }),
};
const WANTED = KNOWN && document.querySelector("input[autocomplete~='webauthn']");
const SUGGESTS = WANTED && PublicKeyCredential.isConditionalMediationAvailable?.();
let suggestion = new AbortController();

async function answer(form, manner) {
  const response = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
  const credential = await ASK[form.dataset.passkey](await response.json(), manner);
  form.elements.credential.value = JSON.stringify(credential);
  form.submit();
}

// A browser answers one question at a time: neither may stand in the way of the other.
async function suggest(form) {
  if (!(await SUGGESTS) || form.querySelector("button").disabled) return;
  suggestion.abort();
  suggestion = new AbortController();
  answer(form, { mediation: "conditional", signal: suggestion.signal }).catch(() => {});
}

function offer(form) {
  form.hidden = !KNOWN;
  const failure = form.querySelector("[data-passkey-failure]");
  const button = form.querySelector("button");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    failure.hidden = true;
    button.disabled = true;
    suggestion.abort();
    answer(form).catch(() => { failure.hidden = false; }).finally(() => {
      button.disabled = false;
      if (!failure.hidden) suggest(form);
    });
  });
  suggest(form);
  setInterval(suggest, FRESH, form);
}

for (const form of document.querySelectorAll("form[data-passkey]")) offer(form);
for (const words of document.querySelectorAll("[data-without-passkeys]")) words.hidden = KNOWN;
