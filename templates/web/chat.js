"use strict";
// Keeps the page current: on each server-sent event the messages are fetched again and replaced.
const live = document.getElementById("live");

// The tokens of Slack's dates. "_pretty" says today and yesterday where that is so.
const FORMS = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date_short: { month: "short", day: "numeric", year: "numeric" },
  date_long: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
  date: { month: "long", day: "numeric", year: "numeric" },
  time: { hour: "numeric", minute: "2-digit" },
  time_secs: { hour: "numeric", minute: "2-digit", second: "2-digit" },
};

function said(moment, token) {
  const [name, pretty] = token.split("_pretty");
  if (!FORMS[name]) return `{${token}}`;
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(moment).setHours(0, 0, 0, 0)) / 86400000);
  if (pretty !== undefined && (days === 0 || days === 1)) return days ? "yesterday" : "today";
  return new Intl.DateTimeFormat(undefined, FORMS[name]).format(moment);
}

function localTimes() {
  for (const time of live.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = time.dataset.form.replace(/\{(\w+)\}/g, (_, token) => said(moment, token));
  }
}

function atEnd(panel) {
  return panel.scrollHeight - panel.scrollTop - panel.clientHeight < 80;
}

function panels() {
  return live.querySelectorAll("main, aside");
}

function windowState() {
  return document.getElementById("window")?.dataset.state;
}

function place(list) {
  return `${list.closest("[id]")?.id} ${list.name}`;
}

// What was chosen in lists and not sent yet, by place.
function choices() {
  const changed = [...live.querySelectorAll("select:not([multiple])")].filter(
    (list) => list.selectedIndex !== Math.max(0, [...list.options].findIndex((option) => option.defaultSelected)),
  );
  return new Map(changed.map((list) => [place(list), list.value]));
}

let isHeld = false; // while the mouse is down nothing is replaced, or the click would be lost

async function refresh() {
  const address = new URL(location.href);
  address.searchParams.set("fragment", "1");
  const answer = await fetch(address);
  if (!answer.ok) return;
  const text = await answer.text();
  while (isHeld) await new Promise((resume) => setTimeout(resume, 50));
  const kept = [...panels()].map((panel) => (atEnd(panel) ? null : panel.scrollTop));
  const open = document.getElementById("window");
  const before = windowState();
  const unsent = choices();
  live.innerHTML = text; // made by the server's escaping template
  if (open && before === windowState()) {
    document.getElementById("window").replaceWith(open); // what was written into it stays
  } else {
    document.querySelector("#window .fields :is(input, textarea, select)")?.focus();
  }
  for (const list of live.querySelectorAll("select")) {
    if (unsent.has(place(list))) list.value = unsent.get(place(list));
  }
  [...panels()].forEach((panel, index) => {
    panel.scrollTop = kept[index] ?? panel.scrollHeight;
  });
  localTimes();
}

localTimes();
for (const panel of panels()) panel.scrollTop = panel.scrollHeight;
document.getElementById(location.hash.slice(1))?.scrollIntoView();
new EventSource("/chat/events").onmessage = refresh;
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.getAttribute("action").endsWith("/chat/person")) return;
  event.preventDefault();
  const sent = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
  if (sent.ok && form.elements.text) form.elements.text.value = "";
  if (!live.contains(form)) return;
  if (!form.closest("#window")) form.reset();
  await refresh();
});
document.addEventListener("pointerdown", () => { isHeld = true; });
for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, () => setTimeout(() => { isHeld = false; })); // the click comes first
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector('#window button[value="close"]')?.click();
});
