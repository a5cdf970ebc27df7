// Accuracy over cost, and what was measured: stages, counted against measured savings, several sessions at once.

const benchRows = data.bench ? data.bench.rows : [];
const benchBase = benchRows.length ? benchRows[0] : null;

function tradeoffPlot() {
  const {points, measured} = data.tradeoff;
  const point = (p) => ({x: p.cost, y: 100 * p.relative.value, low: 100 * p.relative.low, high: 100 * p.relative.high, config: p.config});
  const series = groupBy(points, (p) => p.method).map(([method, list]) => ({
    name: method, points: list.map(point), order: method === data.baseline ? 7 : prunedMethods.indexOf(method) % 7 + 8 * Math.floor(prunedMethods.indexOf(method) / 7),
  }));
  const front = points.filter((p) => p.front);
  return plot("Accuracy over " + (measured ? "measured time to the first token" : "visual tokens"), 430, () => ({
    type: "scatter",
    plugins: [whiskers, baselineLine],
    data: {datasets: series.map((s) => ({
      label: s.name, data: s.points, showLine: true, borderWidth: 1.5, pointRadius: 5, borderColor: seriesColour(s.order),
      backgroundColor: seriesColour(s.order), pointStyle: seriesShape(s.order), borderDash: s.order >= 8 ? [5, 4] : [],
    })).concat([{
      label: "front", data: front.map((p) => ({x: p.cost, y: 100 * p.relative.value, config: p.config})), showLine: true, stepped: "before",
      borderColor: themeColour("soft"), borderWidth: 1, borderDash: [2, 3], pointRadius: 9, pointStyle: "circle",
      pointBackgroundColor: "transparent", backgroundColor: "transparent",
    }])},
    options: {
      plugins: {
        whiskers: {axis: "y"}, baselineLine: {axis: "y", at: 100}, legend: {position: "bottom", align: "start"},
        tooltip: {callbacks: {label: (c) => c.raw.config + ": " + number(c.raw.y, 1) + " %, " + short(c.raw.x) + (measured ? " ms" : " tokens")}},
      },
      scales: {
        x: axis(measured ? "median time to the first token, ms" : "visual tokens, mean over layers", {}),
        y: axis("% of " + baseWords + ", " + averagedText, spanOf(series.flatMap((s) => s.points))),
      },
    },
  }), "Rings and the dotted line: configurations that no other one beats in both by its point value. Neighbours on it need not differ: see the whiskers.");
}

function tradeoffTable() {
  const {points, measured} = data.tradeoff;
  return table("Accuracy over cost", [
    {head: "configuration", left: true}, {head: measured ? "first token, ms" : "visual tokens"}, {head: "% of " + baseWords + " [95 %]"}, {head: "on the front", left: true},
  ], points.map((p) => [p.config, sorted(short(p.cost), p.cost), sorted(withEnds(p.relative, 100), p.relative.value), p.front ? "yes" : ""]));
}

function equalTimeTable(result) {
  const columns = [{head: "configuration", left: true}, {head: "first token, ms"}, {head: "value [95 %]"},
                   {head: "random in that time [95 %]"}, {head: "difference [95 %]"}, {head: "in words", left: true}];
  const rows = result.rows.map((r) => [r.config, sorted(short(r.ms), r.ms), sorted(withEnds(r.value), r.value.value), sorted(withEnds(r.reference), r.reference.value),
                                       sorted(withEnds(r.difference, 1, (v) => signed(v, 1)), r.difference.value), verdict(r.words)]);
  return [table(result.benchmark + ": against random selection in the same measured time", columns, rows),
          result.outside.length ? note("Faster or slower than all of random's points: " + result.outside.join("; ") + ".") : null];
}

function tradeoffSection() {
  const {points, measured, not_measured: missing, equal_times: times} = data.tradeoff;
  if (!points.length) return null;
  return section("tradeoff", "Accuracy over cost",
    measured ? null : note("No times were given (--bench), so the cost is the number of visual tokens. Equal numbers of tokens are not equal times."),
    missing.length ? note("Not in the file of --bench: " + missing.join("; ") + ".") : null,
    tradeoffPlot(), tradeoffTable(),
    times.length ? [el("h3", {}, "At equal measured time"),
      note("What random selection would score in the time that a configuration takes, linear between its measured budgets. Times are taken as exact."),
      times.map((t, i) => el("details", {open: i === 0}, el("summary", {}, t.benchmark), equalTimeTable(t)))] : null);
}

const MEASURES = [
  {name: "visual tokens", of: (r) => r.own && r.own.average / benchBase.own.average},
  {name: "FLOPs, prefill", of: (r) => r.own && r.own.flops / benchBase.own.flops},
  {name: "KV bytes", of: (r) => r.own && r.own.kv_bytes / benchBase.own.kv_bytes},
  {name: "time, prefill", of: (r) => r.stage_ms.prefill / benchBase.stage_ms.prefill},
  {name: "time to first token", of: (r) => r.first_ms.value / benchBase.first_ms.value},
];

const benchGroups = groupBy(benchRows.slice(1), (r) => budgetOf(r.config));
const benchName = (r) => methodOf(r.config);

/** What each measure says is left of the unpruned model. */
function measuresPlot([budget, rows]) {
  return plot(budgetName(budget), 130 + 25 * rows.length, () => ({
    type: "scatter",
    plugins: [baselineLine],
    data: {datasets: MEASURES.map((m, k) => ({
      label: m.name, data: rows.map((r, i) => ({x: 100 * m.of(r), y: i})).filter((p) => p.x > 0), pointRadius: 5,
      pointStyle: ["circle", "rectRot", "rect", "triangle", "star"][k], borderColor: seriesColour(k), backgroundColor: k < 3 ? "transparent" : seriesColour(k), borderWidth: 2,
    }))},
    options: {
      plugins: {
        baselineLine: {axis: "x", at: 100}, legend: {position: "bottom", align: "start"},
        tooltip: {callbacks: {label: (c) => rows[c.raw.y].config + ", " + c.dataset.label + ": " + number(c.raw.x, 1) + " %"}},
      },
      scales: {x: axis("% of unpruned", {min: 0}), y: nameAxis(rows.map(benchName))},
    },
  }));
}

const STAGES = [["tower", ["image", "tower"]], ["projector", ["projector"]], ["select, gather", ["select", "gather"]], ["prefill", ["prefill"]]];

function stagesPlot([budget, rows], top) {
  const all = [benchBase, ...rows];
  return plot(budgetName(budget), 120 + 24 * all.length, () => ({
    type: "bar",
    data: {
      labels: all.map(benchName),
      datasets: STAGES.map(([name, parts], k) => ({
        label: name, data: all.map((r) => parts.reduce((sum, part) => sum + r.stage_ms[part], 0)), backgroundColor: seriesColour([0, 4, 1, 2][k]),
        borderWidth: 0, barPercentage: 0.8,
      })),
    },
    options: {
      indexAxis: "y",
      plugins: {legend: {position: "bottom", align: "start"}, tooltip: {callbacks: {label: (c) => c.dataset.label + ": " + short(c.raw) + " ms"}}},
      scales: {x: axis("ms, medians of the stages", {stacked: true, max: top}), y: {stacked: true, grid: {display: false}, ticks: {autoSkip: false}}},
    },
  }));
}

function costsTable() {
  const share = (value, base) => el("span", {}, " ", el("span", {class: "ends"}, "(" + percent(value / base, 0) + " %)"));
  const columns = [{head: "configuration", left: true}, {head: "visual tokens"}, {head: "mean over layers"}, {head: "FLOPs, prefill"}, {head: "KV cache"},
                   {head: "prefill"}, {head: "first token [quartiles]"}, {head: "tokens / s"}, {head: "prefill x, realised"}, {head: "ideal by FLOPs"},
                   {head: "realised / ideal"}, {head: "first token x"}, {head: "Amdahl ceiling"}];
  const rows = benchRows.map((r) => {
    const o = r.own, b = benchBase.own;
    return [r.config, o ? sorted(number(o.before, 0) + " \u2192 " + number(o.after, 0), o.after) : NONE,
      o ? sorted(number(o.average, 1), o.average) : NONE,
      o ? sorted(el("span", {}, flops(o.flops), share(o.flops, b.flops)), o.flops) : NONE,
      o ? sorted(el("span", {}, bytes(o.kv_bytes), share(o.kv_bytes, b.kv_bytes)), o.kv_bytes) : NONE,
      sorted(el("span", {}, milliseconds(r.stage_ms.prefill), share(r.stage_ms.prefill, benchBase.stage_ms.prefill)), r.stage_ms.prefill),
      sorted(withEnds(r.first_ms, 1, short), r.first_ms.value), sorted(short(r.decode_per_s), r.decode_per_s),
      o ? sorted(number(o.realised, 2), o.realised) : NONE, o ? sorted(number(o.ideal_flops, 2), o.ideal_flops) : NONE,
      o ? sorted(percent(o.realised / o.ideal_flops, 0) + " %", o.realised / o.ideal_flops) : NONE,
      sorted(number(r.speedup, 2), r.speedup), o ? sorted(number(o.amdahl, 2), o.amdahl) : NONE];
  });
  return table("Tokens, FLOPs, KV bytes and seconds side by side; medians, in brackets % of unpruned", columns, withGroups(rows, benchRows.map((r) => methodOf(r.config))));
}

function loadParts() {
  const rows = benchRows.filter((r) => r.load.length);
  if (!rows.length) return null;
  const series = (key) => rows.map((r, i) => ({name: r.config, order: i, points: r.load.map((p) => ({x: p.sessions, y: p[key]}))}));
  const options = {x: "sessions at once", height: 320, places: [...new Set(rows.flatMap((r) => r.load.map((p) => p.sessions)))]};
  const columns = [{head: "configuration", left: true}, {head: "sessions"}, {head: "threads each"}, {head: "answers / s"}, {head: "first token"}, {head: "90 %"},
                   {head: "answer"}, {head: "90 %"}, {head: "KV cache"}, {head: "peak memory"}];
  const lines = rows.flatMap((r) => r.load.map((p) => [r.config, p.sessions, p.threads, sorted(short(p.answers_per_s), p.answers_per_s), sorted(milliseconds(p.first_ms), p.first_ms),
    sorted(milliseconds(p.first_p90_ms), p.first_p90_ms), sorted(milliseconds(p.answer_ms), p.answer_ms), sorted(milliseconds(p.answer_p90_ms), p.answer_p90_ms),
    sorted(bytes(p.kv_bytes), p.kv_bytes), sorted(bytes(p.rss_bytes), p.rss_bytes)]));
  return [el("h3", {}, "Several sessions at once"),
          el("div", {class: "panels"}, linePlot("Answers per second", series("answers_per_s"), {...options, y: "answers / s"}),
             linePlot("Median time to the first token", series("first_ms"), {...options, y: "ms"})),
          table("Under load; medians and 90 % quantiles", columns, withGroups(lines, rows.flatMap((r) => r.load.map(() => r.config))))];
}

function latencySection() {
  if (!data.bench) return null;
  const b = data.bench;
  const times = benchRows.map((r) => STAGES.reduce((sum, [, parts]) => sum + parts.reduce((s, part) => s + r.stage_ms[part], 0), 0));
  const step = 10 ** Math.floor(Math.log10(Math.max(...times))) / 2;
  const top = Math.ceil(Math.max(...times) / step) * step;
  return section("latency", "Measured latency",
    el("p", {}, b.backend + ", " + b.threads + " threads; " + b.repetitions + " repetitions in interleaved order after " + b.warmup + " for warming up, " + b.decode_tokens +
       " tokens decoded; peak memory " + bytes(b.rss_bytes) + "."),
    b.model === data.runs[0].text ? null : el("div", {class: "flag"}, el("strong", {}, "Another model. "), "Times are of " + b.model + ", answers of " + data.runs[0].text + "."),
    benchBase.own && benchGroups.length ? [el("h3", {}, "What each measure says is left of the unpruned model"),
      el("div", {class: "panels"}, benchGroups.map(measuresPlot)),
      note("Hollow marks are counted, full ones measured. Where they part, tokens or FLOPs are no proxy for time.")] : null,
    el("h3", {}, "Where the time to the first token goes"),
    el("div", {class: "panels"}, (benchGroups.length ? benchGroups : [["", []]]).map((g) => stagesPlot(g, top))),
    costsTable(),
    note("Realised: the unpruned prefill's time over this one's. Ideal: the same of counted FLOPs of the decoder. Amdahl ceiling: the speed-up to the first token if the decoder took no time; tower and projector run in full whatever is pruned behind them."),
    loadParts());
}
