// What the pages do beyond HTML and htmx. Everything works without it, only less swiftly.
"use strict";

// Said to screen readers, politely; `aloud` shows it to everybody for a while.
function announce(words, aloud = false) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = words;
  announcer.className = aloud ? "toast" : "visually-hidden";
  if (aloud) setTimeout(() => { announcer.className = "visually-hidden"; }, 6000);
}

// Times are written in UTC; show them in the reader's own zone.
const FORMS = {
  full: { dateStyle: "medium", timeStyle: "short" },
  day: { dateStyle: "medium" },
};

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.textContent = moment.toLocaleString(document.documentElement.lang, FORMS[time.dataset.form]);
    time.title = moment.toLocaleString(document.documentElement.lang, { dateStyle: "full", timeStyle: "long" });
  }
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of root.querySelectorAll("input[name=zone]")) field.value = zone;
  for (const name of root.querySelectorAll("[data-zone-name]")) name.textContent = zone;
}

// Codes of ours group themselves in fours while they are typed; any other text is left alone.
const OURS = /^[0-9A-Z]{0,12}$/;

function grouped(text) {
  const bare = text.normalize("NFKC").toUpperCase().replace(/[\s\u2010-\u2015-]/g, "");
  return OURS.test(bare) && !bare.includes("U") ? bare.replace(/.{4}(?=.)/g, "$&-") : text;
}

function groupCode(input) {
  const before = input.value;
  const after = grouped(before);
  if (after === before) return;
  const typed = (text) => text.replace(/[\s\u2010-\u2015-]/g, "").length;
  const caret = typed(before.slice(0, input.selectionStart));
  input.value = after;
  let position = 0;
  while (position < after.length && typed(after.slice(0, position)) < caret) position += 1;
  input.setSelectionRange(position, position);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const words = button.textContent;
  button.textContent = "Copied";
  announce(button.dataset.said);
  setTimeout(() => { button.textContent = words; }, 2000);
}

function countDown(clock) {
  const end = new Date(clock.dataset.countdown).getTime();
  let minutes = null;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (minutes !== Math.ceil(left / 60)) {
      minutes = Math.ceil(left / 60);
      announce(minutes ? `${minutes} min` : "");
    }
    if (left === 0) {
      clearInterval(timer);
      clock.textContent = "Now";
      announce("You can try again now.");
    }
  };
  const timer = setInterval(tick, 1000);
  tick();
}

function refreshWhileVisible(element) {
  setInterval(() => {
    const busy = element.contains(document.activeElement) || element.querySelector("details[open]");
    if (document.visibilityState === "visible" && !busy) htmx.trigger(element, "refresh");
  }, element.dataset.refresh * 1000);
}

document.addEventListener("DOMContentLoaded", () => {
  localise(document);
  document.querySelectorAll("[data-countdown]").forEach(countDown);
  document.querySelectorAll("[data-refresh]").forEach(refreshWhileVisible);
  document.querySelectorAll("input[data-code]").forEach(groupCode);
});

// In the capture phase, so that htmx sees the grouped value.
document.addEventListener("input", (event) => {
  if (event.target.matches("input[data-code]") && !event.isComposing) groupCode(event.target);
}, true);

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-copy], [data-print], [data-close]");
  if (!target) return;
  if (target.dataset.copy) copy(target);
  if ("print" in target.dataset) print();
  const dialog = target.closest("dialog");
  if ("close" in target.dataset && dialog) {
    event.preventDefault();
    dialog.close();
  }
});

// Rows that are ticked, to do one thing with all of them: tick every one, and say how many there are.
document.addEventListener("change", (event) => {
  const list = event.target.closest(".history");
  if (!list || event.target.type !== "checkbox") return;
  const boxes = [...list.querySelectorAll("tbody input[type=checkbox]")];
  if ("chooseAll" in event.target.dataset) for (const box of boxes) box.checked = event.target.checked;
  const chosen = boxes.filter((box) => box.checked).length;
  list.querySelector("[data-choose-all]").checked = chosen === boxes.length;
  list.querySelector("[data-chosen]").textContent = `With the ${chosen} chosen:`;
});

// One menu at a time; a click elsewhere or Escape closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-items")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("htmx:load", (event) => localise(event.detail.elt));

document.addEventListener("htmx:afterSwap", (event) => {
  const { target, requestConfig } = event.detail;
  if (target?.id === "dialog-body") document.getElementById("dialog").showModal();
  const then = requestConfig?.elt.dataset.then;
  if (then) target.querySelector(`[data-name="${then}"]`)?.click();
});

for (const failure of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(failure, () => announce("That did not work. Please try again.", true));
}
