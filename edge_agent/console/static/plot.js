// What a plot says at one step of time: under the pointer, or where the arrow keys have moved to.
const SVG = "http://www.w3.org/2000/svg";
const shown = new Map(); // by id of a plot: which step

function marks(plot) {
  return plot.dataset.marks.split(";").map((mark) => mark.split("|"));
}

function text(plot, [, at, value, low, high, doubt]) {
  const unit = plot.dataset.unit && ` ${plot.dataset.unit}`;
  const range = low === high ? "" : ` (${low} … ${high})`;
  return `${at}  ${value}${unit}${range}${doubt && ` – ${plot.dataset.doubt}`}`;
}

function show(plot, step) {
  const all = marks(plot);
  const at = Math.max(0, Math.min(all.length - 1, step));
  let cursor = plot.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS(SVG, "path");
    cursor.setAttribute("class", "cursor");
    plot.append(cursor);
  }
  const [, , width, height] = plot.getAttribute("viewBox").split(" ");
  cursor.setAttribute("d", `M${all[at][0]} 0V${height - 24}`);
  const said = text(plot, all[at]);
  plot.ariaValueNow = at;
  plot.ariaValueText = said;
  plot.parentElement.querySelector(".at").textContent = said;
  shown.set(plot.id, at);
}

function hide(plot) {
  plot.querySelector(".cursor")?.remove();
  plot.parentElement.querySelector(".at").textContent = "";
  shown.delete(plot.id);
}

function nearest(plot, event) {
  const box = plot.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * Number(plot.getAttribute("viewBox").split(" ")[2]);
  const all = marks(plot).map(([at]) => Math.abs(Number(at) - x));
  return all.indexOf(Math.min(...all));
}

export function ready() {
  for (const plot of document.querySelectorAll("svg.plot:not([tabindex])")) {
    plot.tabIndex = 0;
    plot.setAttribute("role", "slider");
    plot.ariaValueMin = 0;
    plot.ariaValueMax = marks(plot).length - 1;
    plot.ariaValueNow = plot.ariaValueMax;
    const at = document.createElement("span");
    at.className = "at";
    plot.parentElement.querySelector("figcaption").append(at);
  }
}

const under = (event) => event.target.closest?.("svg.plot");
document.addEventListener("pointermove", (event) => {
  if (under(event)) show(under(event), nearest(under(event), event));
});
document.addEventListener("pointerout", (event) => {
  const plot = under(event);
  if (plot && !plot.contains(event.relatedTarget) && plot !== document.activeElement) hide(plot);
});
document.addEventListener("focusin", (event) => {
  if (under(event) && !shown.has(under(event).id)) show(under(event), Infinity);
});
document.addEventListener("focusout", (event) => { if (under(event)) hide(under(event)); });
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
  if (!under(event) || step === undefined) return;
  event.preventDefault();
  show(under(event), (shown.get(under(event).id) ?? 0) + step);
});

ready();
