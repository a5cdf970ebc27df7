// The summary, and accuracy benchmark by benchmark.

const LEGEND = () => el("ul", {class: "legend"}, Object.entries(VERDICTS).map(([words, v]) =>
  el("li", {class: v.class}, v.mark + " " + (words === "lower" ? "shown to be lower than " + (data.baseline === "none" ? "the unpruned model" : data.baseline)
    : words === "higher" ? "shown to be higher" : words))));

const FOREST_SHAPES = {"lower": "triangle", "higher": "triangle", "no difference shown": "circle"};

/** Configurations of one budget, their averages with intervals. */
function forest(group, range) {
  const names = group.rows.map((row) => row.method);
  const height = 90 + 25 * names.length;
  return plot(budgetName(group.budget), height, () => {
    const colours = group.rows.map((row) => themeColour(VERDICTS[row.words].class));
    return {
      type: "scatter",
      plugins: [whiskers, baselineLine],
      data: {datasets: [{
        label: "average",
        data: group.rows.map((row, i) => ({x: 100 * row.relative.value, y: i, low: 100 * row.relative.low, high: 100 * row.relative.high})),
        pointStyle: group.rows.map((row) => FOREST_SHAPES[row.words]),
        pointRotation: group.rows.map((row) => row.words === "lower" ? 180 : 0),
        pointRadius: 5.5, pointBorderWidth: 2, pointBorderColor: colours,
        pointBackgroundColor: group.rows.map((row, i) => row.words === "no difference shown" ? themeColour("page") : colours[i]),
      }]},
      options: {
        plugins: {
          whiskers: {axis: "x"}, baselineLine: {axis: "x", at: 100}, legend: {display: false},
          tooltip: {callbacks: {label: (c) => {
            const row = group.rows[c.dataIndex];
            return row.config + ": " + percent(row.relative.value) + " % [" + percent(row.relative.low) + ", " +
                   percent(row.relative.high) + "], " + row.words;
          }}},
        },
        scales: {x: axis("% of " + baseWords, {min: range.min, max: range.max, ticks: {stepSize: range.step}}), y: nameAxis(names)},
      },
    };
  });
}

function forestRange() {
  const ends = data.groups.flatMap((g) => g.rows.flatMap((r) => [100 * r.relative.low, 100 * r.relative.high]));
  const step = Math.min(...ends) < 60 ? 20 : Math.min(...ends) < 85 ? 10 : 5;
  return {min: Math.max(0, Math.floor((Math.min(...ends, 98) - 1) / step) * step), max: Math.ceil((Math.max(...ends, 101) + 1) / step) * step, step};
}

function averagesTable() {
  const rows = data.groups.flatMap((group) => group.rows.map((r) => [
    r.config, sorted(withEnds(r.relative, 100), r.relative.value), verdict(r.words),
    r.against_random ? sorted(withEnds(r.against_random, 100, (v) => signed(v, 1)), r.against_random.value) : NONE,
    r.random_words ? verdict(r.random_words) : "",
  ]));
  return table("Average over benchmarks, 95 % intervals", [
    {head: "configuration", left: true}, {head: "% of " + baseWords + " [95 %]"}, {head: "against " + baseWords, left: true},
    {head: "minus random, same budget [95 %]"}, {head: "against random", left: true},
  ], withGroups(rows, data.groups.flatMap((g) => g.rows.map(() => g.budget))));
}

function summarySection() {
  const questions = data.benchmarks.map((b) => b.name + " (" + b.questions + ")").join(", ");
  const range = data.groups.length ? forestRange() : null;
  const node = section("summary", "Summary",
    el("p", {}, configNames.length + " configurations of " + data.runs[0].text + " answered the questions of " + questions +
       ". Prompts and scores follow the convention " + data.convention + "."),
    el("ul", {class: "words"}, data.summary.map((s) => el("li", {}, s.head ? el("strong", {}, s.head + ": ") : null, s.text))));
  if (data.groups.length) {
    node.append(el("h3", {}, "How much of the unpruned score is kept at which budget"), LEGEND(),
                el("div", {class: "panels"}, data.groups.map((g) => forest(g, range))),
                note("Per cent of the " + (data.baseline === "none" ? "unpruned model's" : data.baseline + " configuration's") + " score, " + averagedText + ". Whiskers: 95 % intervals of the paired bootstrap. Where one crosses 100 the questions do not show a difference; that is no proof of equality. " +
                     "Of many configurations some cross the line or do not by chance alone: no correction is made for their number."),
                averagesTable());
  }
  return node;
}

/** Configurations x benchmarks, as papers print it. */
function overviewTable() {
  const average = new Map(data.groups.flatMap((g) => g.rows).map((r) => [r.config, r]));
  const columns = [{head: "configuration", left: true}, {head: "visual tokens"}].concat(
    data.benchmarks.map((b) => ({head: b.name + " " + b.metric})), data.groups.length ? [{head: "average %"}] : []);
  const rows = configNames.map((config, i) => {
    const row = [config, sorted(number(data.benchmarks[0].rows[i].average, 1), data.benchmarks[0].rows[i].average)];
    for (const b of data.benchmarks) {
      const r = b.rows[i];
      row.push(sorted(el("span", {}, number(r.value.value, 1), mark(r.words)), r.value.value));
    }
    if (data.groups.length) {
      const a = average.get(config);
      row.push(a ? sorted(el("span", {}, percent(a.relative.value), mark(a.words)), a.relative.value) : sorted("100.0", 1));
    }
    return row;
  });
  return table("All benchmarks", columns, withGroups(rows, configNames.map(methodOf)));
}

function benchmarkTable(b) {
  const compared = data.baseline !== "";
  const columns = [{head: "configuration", left: true}, {head: "visual tokens"}, {head: b.metric + " [95 %]"}];
  if (compared)
    columns.push({head: "% of " + baseWords}, {head: "difference [95 %]"}, {head: "better / worse"}, {head: "McNemar p"}, {head: "in words", left: true});
  const rows = b.rows.map((r) => {
    const row = [r.config, sorted(number(r.average, 1), r.average), sorted(withEnds(r.value), r.value.value)];
    if (!compared) return row;
    const own = r.difference === null;
    row.push(r.relative ? sorted(percent(r.relative.value), r.relative.value) : NONE,
             own ? "" : sorted(withEnds(r.difference, 1, (v) => signed(v, 1)), r.difference.value),
             own ? "" : r.better + " / " + r.worse, own ? "" : sorted(pText(r.p), r.p), verdict(r.words));
    return row;
  });
  const of = b.max === 100 ? "percent" : "points of " + b.max;
  return table(b.name + ": " + b.metric + ", " + of + "; " + b.questions + " questions in " + b.groups + " groups; convention " +
               data.convention, columns, withGroups(rows, b.rows.map((r) => methodOf(r.config))));
}

function accuracySection() {
  return section("accuracy", "Accuracy",
    data.baseline ? LEGEND() : null, overviewTable(),
    note("Visual tokens: mean over the decoder's layers. Marks: the paired difference to " + (data.baseline || "nothing, the run has no baseline") +
         " on the same questions."),
    data.benchmarks.map((b, i) => el("details", {open: i === 0}, el("summary", {}, b.name + ", with intervals and differences"), benchmarkTable(b))));
}
