// What a calibration makes of the value that was read last, while somebody writes it.
const preview = document.getElementById("preview");
const form = document.querySelector("form.fields");

function show() {
  const scale = Number(form.elements["calibrate.scale"].value || 1);
  const offset = Number(form.elements["calibrate.offset"].value || 0);
  const value = Number(preview.dataset.raw) * scale + offset;
  preview.querySelector("b").textContent = Number.isFinite(value) ? `${Number(value.toPrecision(6))}${preview.dataset.unit}` : "?";
}

if (preview) {
  form.addEventListener("input", show);
  show();
}

// A scan that runs is looked at each second, until it has ended.
async function look() {
  const answer = await fetch("/change/scan");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("scan");
  if (!fresh || !("running" in fresh.dataset)) return location.reload();
  document.getElementById("scan").replaceWith(fresh);
  setTimeout(look, 1000);
}

if (document.querySelector("#scan[data-running]")) setTimeout(look, 1000);
