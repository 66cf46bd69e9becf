// Parts of a page that follow by themselves: fetched ready to be shown, at their own pace, while somebody looks.
import { since } from "./live.js";
import { ready } from "./plot.js";

const WITHIN_MS = 20000;

function seen(part) {
  const box = part.getBoundingClientRect();
  return !document.hidden && box.bottom > 0 && box.top < innerHeight && !part.querySelector(".cursor, details[open]"); // which somebody reads
}

async function renew(part) {
  const answer = await fetch(part.dataset.part, { signal: AbortSignal.timeout(WITHIN_MS), redirect: "error" });
  if (!answer.ok) return;
  const made = document.createElement("template");
  made.innerHTML = await answer.text();
  const fresh = made.content.firstElementChild;
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  since(fresh);
  part.replaceWith(fresh);
  ready();
  if (focused) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function follow(id) {
  const part = document.getElementById(id);
  setTimeout(async () => {
    try {
      if (seen(part)) await renew(part);
    } catch { /* the gateway is busy or gone, which the page says already */ }
    follow(id);
  }, 1000 * Number(part.dataset.every));
}

for (const part of document.querySelectorAll("[data-part]")) follow(part.id);
