"use strict";
// The report's data, texts of numbers, elements. Everything that comes from a run becomes text, never markup.

const data = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes and children; strings and numbers become text. */
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

const MINUS = "\u2212", THIN = "\u2009", NONE = "\u2013";
const GROUP = /\B(?=(\d{3})+(?!\d))/g;

function number(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  const [whole, rest] = text.split(".");
  const grouped = whole.length > 4 ? whole.replace(GROUP, THIN) : whole;
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + grouped + (rest ? "." + rest : "");
}

function signed(value, digits) {
  return (value > 0 && Number(value.toFixed(digits)) !== 0 ? "+" : "") + number(value, digits);
}

/** Three significant digits. */
function short(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  return number(value, size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

const percent = (share, digits = 1) => number(100 * share, digits);

function bytes(value) {
  return value >= 1e9 ? number(value / 1e9, 2) + " GB" : value >= 1e6 ? number(value / 1e6, 1) + " MB"
    : number(value / 1e3, 0) + " kB";
}

function milliseconds(value) {
  return value >= 10000 ? number(value / 1000, 1) + " s" : short(value) + " ms";
}

function flops(value) {
  return value >= 1e12 ? number(value / 1e12, 2) + " T" : value >= 1e9 ? number(value / 1e9, 2) + " G"
    : number(value / 1e6, 1) + " M";
}

function pText(p) {
  return p === null ? NONE : p < 0.0001 ? "<" + THIN + "0.0001" : number(p, 4);
}

/** "72.0 [65.1, 78.0]" with the ends in a softer colour. */
function withEnds(interval, scale = 1, text = (v) => number(v, 1)) {
  if (!interval) return NONE;
  return el("span", {}, text(scale * interval.value), " ",
            el("span", {class: "ends"}, "[" + text(scale * interval.low) + ", " + text(scale * interval.high) + "]"));
}

const VERDICTS = {
  "lower": {class: "lower", mark: "\u25BC"},
  "higher": {class: "higher", mark: "\u25B2"},
  "no difference shown": {class: "same", mark: "\u25CB"},
};

function verdict(words) {
  const known = VERDICTS[words];
  return known ? el("span", {class: known.class}, known.mark + " " + words) : words;
}

/** The mark alone, with its words for screen readers and pointers. */
function mark(words) {
  const known = VERDICTS[words];
  return known ? el("span", {class: known.class, title: words, role: "img", "aria-label": words}, " " + known.mark) : "";
}

const budgetOf = (config) => { const at = config.lastIndexOf(" @ "); return at < 0 ? "" : config.slice(at + 3); };
const methodOf = (config) => { const at = config.lastIndexOf(" @ "); return at < 0 ? config : config.slice(0, at); };
/** With places where a long name may break. */
const breakable = (name) => name.replace(/[:,_]/g, "$&\u200B");
const budgetName = (budget) => budget === "" ? "own counts" : "keep " + budget;

/** Lists of items by a text of each, in order of appearance. */
function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return [...groups];
}

const configNames = data.runs[0].configurations.map((c) => c.name);
const prunedMethods = [...new Set(configNames.filter((c) => c !== data.baseline).map(methodOf))];
const nAveraged = data.benchmarks.length - data.not_in_average.length;
const baseWords = data.baseline === "none" ? "unpruned" : data.baseline;
const averagedText = nAveraged === 1 ? "one benchmark" : "mean of " + nAveraged + " benchmarks";

const sections = [];
/** A section of the page, in the list of contents too. */
function section(id, title, ...children) {
  const node = el("section", {id, "aria-labelledby": id + "-title"}, el("h2", {id: id + "-title"}, title), ...children);
  sections.push({id, title});
  return node;
}
const note = (...text) => el("p", {class: "note"}, ...text);
