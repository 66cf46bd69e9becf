// A scan that runs is looked at each second, until it has ended.
async function look() {
  const answer = await fetch("/change/scan");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("scan");
  if (!fresh || !("running" in fresh.dataset)) return location.reload();
  document.getElementById("scan").replaceWith(fresh);
  setTimeout(look, 1000);
}

if (document.querySelector("#scan[data-running]")) setTimeout(look, 1000);
