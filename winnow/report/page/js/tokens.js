// Alpha curves, and which tokens are kept: where they stand, how far methods agree, examples.

function alphaSection() {
  if (!data.alpha.length) return null;
  const relative = data.benchmarks.every((b) => b.rows.every((r) => r.relative));
  const of = (row) => relative ? {value: 100 * row.relative.value, low: 100 * row.relative.low, high: 100 * row.relative.high} : row.value;
  const y = relative ? "% of " + baseWords : "value";
  const panels = data.alpha.map((curve) => linePlot(methodOf(curve.points[0].config).split(":")[0] + ", " + budgetName(curve.budget),
    data.benchmarks.map((b, k) => ({name: b.name, order: k, points: curve.points.map((p) => {
      const v = of(b.rows[p.index]);
      return {x: p.alpha + 0.008 * (k - (data.benchmarks.length - 1) / 2), y: v.value, low: v.low, high: v.high, config: p.config + ", " + b.name};
    })})), {x: "alpha: 0 redundancy alone, 1 importance alone", y, at: relative ? 100 : undefined, unit: relative ? " %" : "", height: 330, places: curve.points.map((p) => p.alpha)}));
  const rows = data.alpha.flatMap((curve) => curve.points.map((p) => [p.config, sorted(String(p.alpha), p.alpha)].concat(
    data.benchmarks.map((b) => sorted(el("span", {}, withEnds(b.rows[p.index].value), mark(b.rows[p.index].words)), b.rows[p.index].value.value)))));
  return section("alpha", "Accuracy over alpha",
    note("Score of a token: alpha x importance + (1 - alpha) x (1 - redundancy), both scaled to 0..1 (Wen et al. 2025, Eq. 6)."),
    el("div", {class: "panels"}, panels),
    table("Values over alpha [95 %]; marks: against " + baseWords, [{head: "configuration", left: true}, {head: "alpha"}].concat(data.benchmarks.map((b) => ({head: b.name}))),
          withGroups(rows, data.alpha.flatMap((c) => c.points.map(() => c.budget)))),
    note("Points are moved sideways by less than 0.03, so that whiskers do not cover each other."));
}

/** Means over parts of the sequence: two rows of a grid of 12 or 24, so that even patterns look even. */
function binned(share) {
  const n = Math.min(share.length, share.length >= 256 ? 12 : 6);
  return Array.from({length: n}, (_, i) => {
    const part = share.slice(Math.round(i * share.length / n), Math.round((i + 1) * share.length / n));
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}

function positionsSection() {
  const {tokens, rows, other} = data.positions;
  if (!rows.length) return null;
  const side = sideOf(tokens);
  const groups = groupBy(rows, (r) => r.budget), parts = binned(rows[0].share).length;
  const panels = groups.map(([budget, list]) => linePlot(budgetName(budget), list.map((r) => ({
    name: methodOf(r.config), order: prunedMethods.indexOf(methodOf(r.config)), points: binned(r.share).map((s, i) => ({x: i + 1, y: 100 * s, config: r.config})),
  })), {x: "part of the sequence, 1 to " + parts, y: "% of pictures that keep a token there", unit: " %", isSmall: true, height: 380, places: Array.from({length: parts}, (_, i) => i + 1)}));
  const last = Math.floor(tokens / 4);
  const lines = rows.map((r) => {
    const mean = r.share.reduce((a, b) => a + b, 0) / r.share.length;
    const spread = Math.sqrt(r.share.reduce((a, b) => a + (b - mean) ** 2, 0) / r.share.length) / mean;
    return [r.config, sorted(percent(mean), mean), sorted(percent(r.last_quarter), r.last_quarter), sorted(percent(Math.min(...r.share)), Math.min(...r.share)),
            sorted(percent(Math.max(...r.share)), Math.max(...r.share)), sorted(number(spread, 2), spread), r.images];
  });
  const maps = side ? groups.map(([budget, list]) => {
    const even = list[0].share.reduce((a, b) => a + b, 0) / tokens, top = Math.min(1, 3 * even);
    return [el("h4", {}, budgetName(budget) + "; an even spread keeps each place in " + percent(even, 0) + " % of the pictures, darkest: " + percent(top, 0) + " % or more"), el("div", {class: "maps"}, list.map((r) =>
      el("div", {class: "map"}, shareMap(r.share, side, top, r.config + ": how often each of " + side + " x " + side + " tokens is kept"), breakable(methodOf(r.config)))))];
  }) : null;
  return section("positions", "Positions of kept tokens",
    note("Of " + tokens + " tokens of a picture. An even spread is a flat line; the parts of the sequence run from the top of the picture to its bottom. A rise to the right is the position bias of Wen et al. 2025, section 4. " +
         (other ? other + " pictures with another number of tokens are left out." : "")),
    el("div", {class: "panels"}, panels),
    table("How evenly tokens are kept", [{head: "configuration", left: true}, {head: "kept, %"}, {head: "of these in the last quarter, % (even: " + percent(last / tokens, 0) + ")"},
      {head: "rarest place, %"}, {head: "most frequent place, %"}, {head: "spread / mean"}, {head: "pictures"}], withGroups(lines, rows.map((r) => methodOf(r.config)))),
    maps ? el("h3", {}, "The same over the picture") : null, maps);
}

function overlapTable(o) {
  const columns = [{head: "method", left: true}].concat(o.configs.map((c) => ({head: methodOf(c)})));
  const rows = o.configs.map((config, a) => [methodOf(config)].concat(o.iou[a].map((v, b) => {
    const cell = el("span", {style: "display:block;margin:-.26rem -.6rem;padding:.26rem .6rem"}, number(v, 2));
    if (a !== b) painters.push(() => {
      cell.style.background = heat(0.9 * v);
      cell.style.color = textOn(heat(0.9 * v));
    });
    return sorted(cell, v);
  })));
  return table("Mean overlap of kept sets, " + budgetName(o.budget) + "; " + o.images + " pictures; two independent random choices would share " + number(o.chance, 2), columns, rows);
}

function overlapSection() {
  if (!data.overlaps.length) return null;
  return section("overlap", "Overlap of methods",
    note("Intersection over union of the sets of kept tokens, mean over pictures: 1 is the same choice, 0 none in common. Methods that merge tokens keep none as it was and are left out."),
    data.overlaps.map(overlapTable));
}

function exampleCard(example, image, budget) {
  const whole = example.answers.filter((a) => a.config === data.baseline || a.budget === budget);
  const maps = whole.map((a) => el("div", {class: "map"},
    a.maps ? keptMap(example, a.maps, image, a.config + " keeps " + a.n_kept + " tokens") : el("p", {class: "soft"}, "no map: merged tokens"),
    el("strong", {}, breakable(methodOf(a.config))), el("span", {class: "said " + (a.right ? "higher" : "lower")},
      (a.right ? "\u2713 " : "\u2717 ") + (a.prediction.trim() || "(nothing)") + (a.score > 0 && a.score < 1 ? " (" + number(a.score, 2) + ")" : ""))));
  return el("div", {class: "example"}, el("div", {class: "soft"}, example.benchmark + ", question " + example.id),
            el("div", {class: "asked"}, example.prompt.replaceAll("<image>", "").trim()), el("div", {}, "True answer: ", el("strong", {}, example.answer)),
            el("div", {class: "maps"}, maps));
}

function loaded(picture) {
  if (!picture) return Promise.resolve(null);
  const image = new Image();
  return new Promise((resolve) => {
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = picture.url;
  });
}

function examplesSection() {
  const {list, problems} = data.examples;
  if (!list.length) return null;
  const budgets = [...new Set(list.flatMap((e) => e.answers.filter((a) => a.config !== data.baseline).map((a) => a.budget)))];
  const choice = el("select", {id: "example-budget"}, budgets.map((b) => el("option", {value: b}, budgetName(b))));
  choice.value = budgets[Math.floor((budgets.length - 1) / 2)];
  const cards = el("div", {id: "example-cards"});
  const own = [];  // painters of the cards that are shown
  painters.push(() => own.forEach((paint) => paint()));
  const images = Promise.all(list.map((e) => loaded(e.picture)));
  const show = async () => {
    const pictures = await images;
    const before = painters.length;
    cards.replaceChildren(...list.map((e, i) => exampleCard(e, pictures[i], choice.value)));
    own.splice(0, own.length, ...painters.splice(before));
    own.forEach((paint) => paint());
    document.documentElement.dataset.examples = "ready";
  };
  choice.addEventListener("change", show);
  show();
  return section("examples", "Examples",
    note("The questions on which configurations disagree most, benchmarks in turn: chosen to show differences, not to be typical. In full colour: kept tokens; washed out: dropped ones."),
    problems.length ? el("div", {class: "flag"}, "Pictures that are not there (give their folder with --data):", el("ul", {}, problems.map((p) => el("li", {}, p)))) : null,
    el("div", {class: "controls"}, el("label", {for: "example-budget"}, "Budget"), choice), cards);
}
