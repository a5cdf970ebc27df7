// The page: its sections in order, contents, theme.

function themeButton() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const show = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  const redraw = () => { show(); drawCharts(); drawCanvases(); };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let shown;
  addEventListener("beforeprint", () => {  // paper is white
    shown = root.dataset.theme;
    root.dataset.theme = "light";
    for (const details of document.querySelectorAll("details")) details.open = true;
    redraw();
  });
  addEventListener("afterprint", () => {
    if (shown) root.dataset.theme = shown; else delete root.dataset.theme;
    redraw();
  });
  show();
}

function buildPage() {
  const run = data.runs[0];
  const main = document.getElementById("main");
  const parts = [summarySection, accuracySection, tradeoffSection, latencySection, alphaSection, positionsSection, overlapSection, examplesSection,
                 referenceSection, statisticsSection, factsSection].map((make) => make()).filter((node) => node !== null);
  const names = data.benchmarks.map((b) => b.name).join(", ");
  main.append(el("h1", {}, "Visual-token pruning on " + run.text),
    el("p", {class: "soft"}, names + " \u00B7 " + configNames.length + " configurations \u00B7 " + run.started.slice(0, 10) + " \u00B7 winnow " + run.winnow + ", commit " + run.commit),
    ...parts,
    el("footer", {}, "Made by winnow report. Charts: Chart.js (MIT licence, text in this file's source). This file is self-contained; it loads nothing."));
  document.getElementById("contents").append(el("ol", {}, sections.map((s) => el("li", {}, el("a", {href: "#" + s.id}, s.title)))));
  document.title = "Winnow report: " + run.text + ", " + names;
}

buildPage();
themeButton();
drawCharts();
drawCanvases();
document.documentElement.dataset.report = "ready";
