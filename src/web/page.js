// The page works without this. It keeps the newest events up to date, and writes times as the reader's clock shows them.
"use strict";

const EVERY_MS = 5000;
const shown = new Map();

function ago(iso) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function clock(iso) {
  const time = new Date(iso);
  const today = time.toDateString() === new Date().toDateString();
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return time.toLocaleString([], today ? parts : { day: "numeric", month: "short", ...parts });
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = ago(time.dateTime);
  for (const time of document.querySelectorAll("time[data-clock]")) {
    time.title = time.dateTime;
    time.textContent = clock(time.dateTime);
  }
}

// Only what changed is replaced, so that pictures do not flicker and what is open stays open.
function take(fresh) {
  const now = document.querySelector(fresh.id === "status" ? "#status" : `section#${fresh.id}`);
  const html = fresh.innerHTML.replace(/<time[^>]*data-ago[^>]*>[^<]*/g, "");
  if (!now || shown.get(fresh.id) === html) return;
  const first = !shown.has(fresh.id);
  // Whoever is just using it with the keyboard keeps it; the next round tries again.
  if (!first && now.contains(document.activeElement)) return;
  shown.set(fresh.id, html);
  if (first) return;
  const open = [...now.querySelectorAll("details[open]")].map((details) => details.dataset.key);
  now.innerHTML = fresh.innerHTML;
  for (const details of now.querySelectorAll("details")) details.open = open.includes(details.dataset.key);
}

function takeAll(page) {
  for (const part of page.querySelectorAll("#status, section")) take(part);
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    takeAll(new DOMParser().parseFromString(await answer.text(), "text/html"));
    document.body.classList.remove("lost");
  } catch {
    document.body.classList.add("lost");
  }
  tellTimes();
}

takeAll(document);
tellTimes();
setInterval(tellTimes, 1000);
if ("live" in document.body.dataset) {
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}
