"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const place = document.getElementById("chart");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const boxes = [...document.querySelectorAll("input[data-story]")];
  const stories = [...document.querySelectorAll("article[data-story]")];
  const status = document.getElementById("picked");
  const names = Object.fromEntries(data.narratives.map((n) => [n.id, n.name]));
  let view = null;

  /* The drawing takes its colours from the page, in light and in dark. */
  const painted = (value) => {
    if (typeof value === "string") return value.startsWith("var(") ? css(value.slice(4, -1)) : value;
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, painted(inner)]));
    return value;
  };

  const rows = () => {
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const series = document.querySelector("input[name=series]:checked").value;
    return data.shares.filter((row) => row.series === series && chosen.has(row.narrative));
  };

  const pick = (id) => {
    for (const story of stories) story.hidden = id !== "" && story.dataset.story !== id;
    status.textContent = id ? `Sentences on ${names[id]} only.` : "Sentences on every story.";
    document.getElementById("all").hidden = id === "";
    const found = stories.find((story) => story.dataset.story === id);
    if (found) found.scrollIntoView({ block: "start" });
    else if (id) status.textContent = `No sentence on ${names[id]} in these days.`;
  };

  /* The page names the drawing as a whole; marks without a name would only be noise to a screen reader. */
  const quiet = () => {
    for (const mark of place.querySelectorAll("svg [role], svg[role]"))
      for (const name of ["role", "aria-roledescription", "aria-label"]) mark.removeAttribute(name);
  };

  const refresh = async () => {
    if (view) await view.data("shares", rows()).runAsync();
    quiet();
    place.dataset.rows = String(rows().length);
  };

  const draw = async () => {
    const spec = painted(data.spec);
    spec.datasets.shares = rows();
    for (const part of spec.vconcat) part.width = Math.max(160, Math.min(980, place.clientWidth - 60));
    const made = await vegaEmbed(place, spec, { ast: true, actions: false, renderer: "svg", logLevel: 1 });
    view = made.view;
    view.addEventListener("click", (event, item) => {
      const id = item && item.datum && item.datum.narrative;
      if (id in names) pick(id);
    });
    place.dataset.rows = String(rows().length);
    quiet();
    place.dataset.ready = "yes";
  };

  for (const box of document.querySelectorAll("input")) box.addEventListener("change", refresh);
  for (const link of document.querySelectorAll("button[data-story]"))
    link.addEventListener("click", () => pick(link.dataset.story));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let wide = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== wide) { wide = innerWidth; draw(); }
  });
  draw();
})();
