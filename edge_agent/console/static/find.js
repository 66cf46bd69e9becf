// Only the devices that somebody looks for: by words, and by how they do. "/" begins, Enter opens the first.
const form = document.getElementById("find");
const input = document.getElementById("words");
const told = form?.querySelector("output");
const chips = [...(form?.querySelectorAll("[data-state]") ?? [])];

function sift() {
  const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const states = chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.state);
  let count = 0;
  for (const place of document.querySelectorAll("details.place")) {
    let some = false;
    for (const row of place.querySelectorAll("tr[data-find]")) {
      const text = row.dataset.find.toLowerCase();
      const fits = wanted.every((word) => text.includes(word))
        && (!states.length || states.some((state) => row.classList.contains(state)));
      row.hidden = !fits;
      if (fits) { some = true; count += 1; }
    }
    place.hidden = !some;
  }
  const all = !wanted.length && !states.length;
  told.textContent = all ? "" : String(count || told.dataset.none);
}

if (form) {
  form.hidden = false;
  for (const group of form.querySelectorAll(".chips")) group.hidden = false;
  form.querySelector("select")?.addEventListener("change", () => form.submit());
  form.addEventListener("input", sift);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector("tr[data-find]:not([hidden]) a.name")?.click();
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      sift();
    });
  }
  document.addEventListener("fresh", sift);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape" && event.target === input) {
      input.value = "";
      sift();
    }
  });
}
