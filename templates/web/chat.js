"use strict";
// Keeps the page current: on each server-sent event the messages are fetched again and replaced.
const live = document.getElementById("live");

function localTimes() {
  for (const time of live.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    const today = moment.toDateString() === new Date().toDateString();
    time.title = time.textContent;
    time.textContent = today ? moment.toLocaleTimeString() : moment.toLocaleString();
  }
}

function atEnd(panel) {
  return panel.scrollHeight - panel.scrollTop - panel.clientHeight < 80;
}

async function refresh() {
  const address = new URL(location.href);
  address.searchParams.set("fragment", "1");
  const answer = await fetch(address);
  if (!answer.ok) return;
  const kept = [...live.children].map((panel) => (atEnd(panel) ? null : panel.scrollTop));
  live.innerHTML = await answer.text(); // made by the server's escaping template
  [...live.children].forEach((panel, index) => {
    panel.scrollTop = kept[index] ?? panel.scrollHeight;
  });
  localTimes();
}

localTimes();
for (const panel of live.children) panel.scrollTop = panel.scrollHeight;
document.getElementById(location.hash.slice(1))?.scrollIntoView();
new EventSource("/chat/events").onmessage = refresh;
for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (sent.ok) form.elements.text.value = "";
  });
}
