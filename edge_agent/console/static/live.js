// What changes comes as rows and parts that are ready to be shown; ages count on by themselves.
const lost = document.getElementById("lost");

function words(seconds) {
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${name}`;
  }
  return `${Math.round(seconds)} s`;
}

export function since(root) {
  for (const time of root.querySelectorAll("time[data-age]")) {
    time.dataset.from = performance.now() / 1000 - Number(time.dataset.age);
  }
}

function put(id, html) {
  const old = document.getElementById(id);
  if (!old) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const made = document.createElement("template");
  made.innerHTML = html;
  const fresh = made.content.firstElementChild;
  since(fresh);
  old.replaceWith(fresh);
  if (focused) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function listen() {
  const source = new EventSource(`/api/live${document.body.dataset.live ?? ""}`);
  source.addEventListener("message", (event) => {
    lost.hidden = true;
    for (const [id, html] of Object.entries(JSON.parse(event.data))) put(id, html);
    document.dispatchEvent(new Event("fresh"));
  });
  source.addEventListener("error", () => { lost.hidden = false; });
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("again", () => location.reload()); // devices came or went
  source.addEventListener("over", () => { source.close(); listen(); });
  source.addEventListener("out", () => { location.href = "/login"; });
}

since(document);
listen();
setInterval(() => {
  const now = performance.now() / 1000;
  for (const time of document.querySelectorAll("time[data-from]")) {
    time.textContent = words(now - Number(time.dataset.from));
  }
}, 1000);
