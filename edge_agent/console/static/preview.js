// What becomes of the last values, while somebody writes a calibration or a ratio; and rows for more points.
const form = document.querySelector("form.fields");
const number = (input) => (input.value.trim() === "" ? NaN : Number(input.value));

function points(of) {
  return [...of.querySelectorAll(".row")]
    .map((row) => [...row.querySelectorAll("input")].map(number))
    .filter((point) => point.every(Number.isFinite))
    .sort((left, right) => left[0] - right[0]);
}

function through(known, value) {
  const at = Math.max(1, known.slice(0, -1).findLastIndex((point) => point[0] <= value) + 1);
  const [[x, y], [next, then]] = [known[at - 1], known[at]];
  return y + ((value - x) * (then - y)) / (next - x);
}

function calibrated(value) {
  const known = points(form.querySelector(".points"));
  if (known.length > 1) return through(known, value);
  const [scale, offset] = ["scale", "offset"].map((key) => form.elements[`calibrate.${key}`]);
  return value * (scale.value.trim() ? number(scale) : 1) + (offset.value.trim() ? number(offset) : 0);
}

function multiplied(output) {
  return output.dataset.by.split(" ").reduce((value, name) => {
    const ratio = form.elements[name];
    const [now, was] = [ratio.value, ratio.defaultValue].map((text) => (text.trim() ? Number(text) : 1));
    return (value * now) / was;
  }, Number(output.dataset.value));
}

function show() {
  for (const output of document.querySelectorAll("output[data-unit]")) {
    const { raw } = output.dataset;
    const value = raw === undefined ? multiplied(output) : calibrated(Number(raw));
    output.textContent = Number.isFinite(value) ? `${Number(value.toPrecision(6))}${output.dataset.unit}` : "?";
  }
}

function renumber(of) {
  [...of.querySelectorAll(".row")].forEach((row, at) => {
    [...row.querySelectorAll("input")].forEach((input, side) => {
      input.name = `${of.dataset.name}.${at}.${side}`;
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, at + 1));
    });
  });
  show();
}

for (const of of form.querySelectorAll(".points")) {
  for (const button of of.querySelectorAll("button")) button.hidden = false;
  of.addEventListener("click", ({ target }) => {
    const rows = of.querySelectorAll(".row");
    if (target.matches(".more")) {
      const row = rows[rows.length - 1].cloneNode(true);
      for (const input of row.querySelectorAll("input")) input.value = "";
      rows[rows.length - 1].after(row);
      renumber(of);
      row.querySelector("input").focus();
    } else if (target.matches(".less") && rows.length > 2) {
      target.closest(".row").remove();
      renumber(of);
      of.querySelector(".more").focus();
    }
  });
}

form.addEventListener("input", show);
show();
