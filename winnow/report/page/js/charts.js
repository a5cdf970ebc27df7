// Charts by Chart.js: colours of the theme, 95 % intervals as whiskers, one shape and colour for each method.

const SHAPES = ["circle", "rect", "triangle", "rectRot", "crossRot", "star", "rectRounded", "cross"];
const SERIES = {  // Okabe and Ito 2008, darker or lighter where the page needs contrast
  light: ["#0072b2", "#d55e00", "#008a64", "#a8508a", "#9a6b00", "#2b8cc4", "#555b61", "#7a7100"],
  dark: ["#56b4e9", "#ff8c5a", "#2fd0a0", "#e08fc0", "#e6b84d", "#9ad0f5", "#c3cad1", "#e8e070"],
};
const charts = [];

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const seriesColour = (i) => SERIES[isDark() ? "dark" : "light"][i % 8];
const seriesShape = (i) => SHAPES[(i + Math.floor(i / 8) * 3) % 8];

/** Whiskers of points that have `low` and `high` along the axis that the chart names. */
const whiskers = {
  id: "whiskers",
  beforeDatasetsDraw(chart, _, options) {
    const {ctx, chartArea, scales} = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(chartArea.left - 1, chartArea.top - 1, chartArea.width + 2, chartArea.height + 2);
    ctx.clip();
    chart.data.datasets.forEach((set, i) => {
      if (!chart.isDatasetVisible(i)) return;
      set.data.forEach((point, k) => {
        if (!point || point.low === undefined) return;
        const style = set.pointBorderColor || set.borderColor;
        ctx.strokeStyle = Array.isArray(style) ? style[k] : style;
        ctx.globalAlpha = 0.75;
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        if (options.axis === "x") {
          const y = scales.y.getPixelForValue(point.y);
          ctx.moveTo(scales.x.getPixelForValue(point.low), y);
          ctx.lineTo(scales.x.getPixelForValue(point.high), y);
        } else {
          const x = scales.x.getPixelForValue(point.x);
          ctx.moveTo(x, scales.y.getPixelForValue(point.low));
          ctx.lineTo(x, scales.y.getPixelForValue(point.high));
        }
        ctx.stroke();
      });
    });
    ctx.restore();
  },
};

/** A dashed line at a value of the x or y axis. */
const baselineLine = {
  id: "baselineLine",
  beforeDatasetsDraw(chart, _, options) {
    if (options.at === undefined) return;
    const {ctx, chartArea, scales} = chart;
    const along = options.axis === "x" ? scales.x.getPixelForValue(options.at) : scales.y.getPixelForValue(options.at);
    ctx.save();
    ctx.strokeStyle = themeColour("soft");
    ctx.setLineDash([5, 4]);
    ctx.beginPath();
    if (options.axis === "x") {
      ctx.moveTo(along, chartArea.top);
      ctx.lineTo(along, chartArea.bottom);
    } else {
      ctx.moveTo(chartArea.left, along);
      ctx.lineTo(chartArea.right, along);
    }
    ctx.stroke();
    ctx.restore();
  },
};

/** make(): a Chart.js configuration in the colours of the theme; made again when the theme changes. */
function plot(title, height, make, caption) {
  const canvas = el("canvas", {role: "img", "aria-label": title + ". The numbers are in the table below."});
  const figure = el("figure", {}, el("h4", {}, title), el("div", {class: "plot", style: "height:" + height + "px"}, canvas),
                    caption ? el("figcaption", {}, caption) : null);
  charts.push({canvas, make, chart: null});
  return figure;
}

function drawCharts() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.color = themeColour("text");
  Chart.defaults.borderColor = themeColour("line");
  Chart.defaults.plugins.legend.labels.usePointStyle = true;
  Chart.defaults.plugins.legend.labels.boxHeight = 7;
  for (const one of charts) {
    if (one.chart) one.chart.destroy();
    one.chart = new Chart(one.canvas, one.make());
  }
}

const axis = (text, more) => Object.assign({title: {display: true, text}, grid: {color: themeColour("line")}}, more);

/** Names as places 0, 1 ... from the top. */
function nameAxis(names) {
  return {
    type: "linear", min: -0.6, max: names.length - 0.4, reverse: true, grid: {display: false},
    afterBuildTicks: (scale) => { scale.ticks = names.map((_, i) => ({value: i})); },
    ticks: {autoSkip: false, callback: (value) => names[value]},
  };
}

const pointText = (name, point, unit) =>
  name + ": " + number(point.y, 1) + unit + (point.low === undefined ? "" : " [" + number(point.low, 1) + ", " + number(point.high, 1) + "]");

/** Ticks at the places of the points alone. */
function atPlaces(places) {
  if (!places) return {};
  const margin = 0.05 * (Math.max(...places) - Math.min(...places));
  return {min: Math.min(...places) - margin, max: Math.max(...places) + margin,
          afterBuildTicks: (scale) => { scale.ticks = places.map((value) => ({value})); }};
}

/** So that whiskers are inside. */
function spanOf(points) {
  const ends = points.flatMap((p) => p.low === undefined ? [] : [p.low, p.high]);
  return ends.length ? {suggestedMin: Math.min(...ends), suggestedMax: Math.max(...ends)} : {};
}

/** Lines with whiskers over a numeric axis. series: {name, points: [{x, y, low, high}], order}; places: where ticks are */
function linePlot(title, series, {x, y, height = 300, at, unit = "", caption, isSmall, places}) {
  return plot(title, height, () => ({
    type: "scatter",
    plugins: [whiskers, baselineLine],
    data: {datasets: series.map((s) => ({
      label: s.name, data: s.points, showLine: true, borderWidth: 2, pointRadius: isSmall ? 2.5 : 5, pointHitRadius: 8,
      borderColor: seriesColour(s.order), backgroundColor: seriesColour(s.order), pointStyle: seriesShape(s.order),
      borderDash: s.order >= 8 ? [4, 3] : [],
    }))},
    options: {
      plugins: {
        whiskers: {axis: "y"}, baselineLine: {axis: "y", at},
        legend: {position: "bottom", align: "start"},
        tooltip: {callbacks: {label: (c) => (c.raw.config || c.dataset.label) + " " + pointText("", c.raw, unit).slice(2)}},
      },
      scales: {x: axis(x, atPlaces(places)), y: axis(y, spanOf(series.flatMap((s) => s.points)))},
    },
  }), caption);
}
