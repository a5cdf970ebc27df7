// Published numbers beside the run, statistics, facts of the runs, what the report does not have.

const TAGS = {
  E2: "two independent readings of the paper agree", E1: "one reading of the paper", V: "recomputed from the paper's own numbers",
  I: "inferred", "?": "doubtful",
};

const columnName = (c) => c.metric === "score" ? c.benchmark : c.benchmark === "average" ? "average" : c.benchmark + " " + c.metric;

function publishedCell(cell, digits) {
  if (cell.published === null) return NONE;
  return el("span", {title: cell.note || null}, number(cell.published, digits),
            cell.tag ? el("sup", {class: "tag", title: (TAGS[cell.tag] || "") + (cell.note ? "; " + cell.note : "")}, cell.tag) : null);
}

/** Three lines a row: published, the run's, their difference. */
function besideTable(caption, columns, t, cellsOf) {
  const rows = [];
  for (const r of t.rows) {
    const [published, run, difference] = cellsOf(r);
    const first = [r.method, r.budget, "paper"].concat(published);
    first.group = true;
    rows.push(first);
    if (r.config) rows.push(["", r.config, "this run"].concat(run), ["", "", "difference"].concat(difference));
  }
  return table(caption, [{head: "method", left: true, plain: true}, {head: "budget", left: true}, {head: "from", left: true}].concat(columns), rows);
}

function referenceTable(t) {
  const digits = (i) => ({points: 0, s: 0, x: 2})[t.columns[i].unit] ?? 1;
  const text = (i) => (v) => number(v, digits(i));
  return besideTable("Table " + t.number + " of arXiv 2502.11501, " + t.model, t.columns.map((c) => ({head: columnName(c) + (c.unit ? ", " + c.unit : "")})), t, (r) => [
    r.cells.map((cell, i) => publishedCell(cell, digits(i))),
    r.cells.map((cell, i) => cell.run && cell.run.low === cell.run.high ? text(i)(cell.run.value) : withEnds(cell.run, 1, text(i))),
    r.cells.map((cell, i) => cell.difference === null ? NONE : signed(cell.difference, digits(i)))]);
}

/** Scores in % of the unpruned model's: what can be compared between models. */
function relativeTable(t) {
  const at = t.columns.map((_, i) => i).filter((i) => t.columns[i].metric === "score" && t.rows.some((r) => r.cells[i].relative_difference !== null));
  if (!at.length) return null;
  const pruned = {...t, rows: t.rows.filter((r) => r.method !== "none" && at.some((i) => r.cells[i].relative_difference !== null))};
  return besideTable("Table " + t.number + ", scores in % of the unpruned model's", at.map((i) => ({head: t.columns[i].benchmark})), pruned, (r) => [
    at.map((i) => number(r.cells[i].published_relative, 1)), at.map((i) => withEnds(r.cells[i].run_relative)),
    at.map((i) => r.cells[i].relative_difference === null ? NONE : signed(r.cells[i].relative_difference, 1))]);
}

function referenceSection() {
  if (!data.references.length) return null;
  const text = data.runs[0].text;
  return section("reference", "Beside published numbers",
    note("Wen et al. 2025, \u201CToken Pruning in Multimodal Large Language Models: Are We Solving the Right Problem?\u201D Letters say how sure a published number is: " +
         Object.entries(TAGS).map(([tag, words]) => tag + " " + words).join("; ") + ". Averages of the run are over the benchmarks that it shares with the table."),
    data.references.map((t) => [el("h3", {}, "Table " + t.number + ": " + t.title),
      t.same_model ? note("By its file's name, " + text + ", the run's model is " + t.model + ".")
        : el("div", {class: "flag"}, el("strong", {}, "Not the paper's model. "), "The run's model is " + text + ", the paper's " + t.model +
             " (told apart by the file's name). Differences of scores are then between models and data, not between implementations; compare what is relative to the unpruned model."),
      referenceTable(t), relativeTable(t)]));
}

function statisticsSection() {
  return section("statistics", "Statistics",
    el("ul", {class: "words"},
      ["Values: the number that papers print for the benchmark under the convention " + data.convention + ". Wilson's interval where it is a plain share of independent questions, else the percentile interval of the bootstrap.",
       "Bootstrap: " + data.resamples + " resamples, seed " + data.bootstrap_seed + ", of groups of questions that belong together (MME's pairs, rotations), within the strata that the benchmark's sum has; every configuration on the same resamples, so differences are paired.",
       "\u201CNo difference shown\u201D: the 95 % interval of the difference covers zero, or McNemar's exact test on the questions (where scores are 0 or 1) has p > 0.05. It does not say that there is none.",
       "Averages: the mean over benchmarks of score / unpruned score, as the \u201CAvg.\u201D of Wen et al. 2025. Benchmarks are resampled independently of each other.",
       "Failed questions count as wrong. No correction is made for the number of comparisons.",
       "Methods that draw at random ran with one seed a question; intervals cover the choice of questions, not of that seed."].map((s) => el("li", {}, s))));
}

function runFacts(run) {
  const hash = (text) => el("span", {class: "mono"}, text);
  const facts = [["run", run.folder], ["started", run.started], ["winnow", run.winnow + ", commit " + run.commit], ["text model", el("span", {}, run.text, " ", hash(run.text_sha256))],
    ["vision model", el("span", {}, run.mmproj, " ", hash(run.mmproj_sha256))], ["hardware", run.hardware], ["threads, jobs", run.threads + ", " + run.jobs], ["seed", run.seed],
    ["convention", run.convention], ["questions from", run.data]].concat(
    run.benchmarks.map((b) => [b.name + (b.split ? ", " + b.split : ""), el("span", {}, b.questions + " questions ", hash(b.sha256))]),
    run.parameters.filter(([, value]) => value !== "").map(([name, value]) => [name, value]));
  return table("Run " + run.folder, [{head: "what", left: true, plain: true}, {head: "value", text: true}], facts);
}

function factsSection() {
  const configurations = data.runs[0].configurations.map((c) => [c.name, c.method, c.keep]);
  return section("facts", "Facts",
    data.runs.map(runFacts),
    el("details", {}, el("summary", {}, "Configurations with every parameter"),
       table("Configurations", [{head: "name", left: true}, {head: "method", text: true}, {head: "budgets", left: true}], configurations)),
    data.left_out.length ? [el("h3", {id: "left-out"}, "Not in this report"), el("ul", {class: "words"}, data.left_out.map((l) => el("li", {}, el("strong", {}, l.section), ": " + l.reason + ".")))] : null);
}
