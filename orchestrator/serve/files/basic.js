// Elements, words and numbers that all parts of the page share. Text from runs only ever becomes
// text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "open"]);

// h("p", {class: "soft", onclick: f}, "text", element, [elements], null)
export function h(tag, values = {}, ...children) {
  const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (PROPERTIES.has(key)) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

export const $ = (id) => document.getElementById(id);

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

// 42 s, 3:07, 12:03:44
export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const all = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function moment(seconds) {
  if (!seconds) return "";
  return new Date(seconds * 1000).toLocaleString("sv").slice(0, 16);
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

// Four significant digits, without an exponent where that is readable; minus as a minus.
export function number(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en").replace("-", "−");
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replaceAll("-", "−");
}

// How all numbers of a column are written: with the decimals that its values need for four digits.
export function column(values) {
  const known = values.filter((one) => typeof one === "number" && Number.isFinite(one));
  const sizes = known.map(Math.abs).filter((one) => one > 0);
  if (known.every(Number.isInteger) || !sizes.length || Math.min(...sizes) < 1e-4 || Math.max(...sizes) >= 1e6) return number;
  const digits = Math.min(4, Math.max(0, ...known.map((one) => (String(Number(one.toPrecision(4))).split(".")[1] ?? "").length)));
  return (value) => (value === null || value === undefined ? "" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−"));
}

// As the commands print it: the words of a metric without its ending.
export const words = (metric) => metric.replace(/_mean$/, "").replaceAll("_", " ");

export const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

const collator = new Intl.Collator("en", { numeric: true });

// Numbers by size, texts by their words; what is not there comes last, whichever way.
export function compare(a, b, falls) {
  const [noA, noB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
  if (noA || noB) return noA - noB;
  const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return falls ? -order : order;
}

export function groupBy(list, key) {
  const found = new Map();
  for (const one of list) {
    const name = key(one);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(one);
  }
  return found;
}

// The table that all parts use: columns are {key, name, kind, value(row), cell(row), opens}; kind
// "r": numbers. A row that opens something is a stop for keys; for a screen reader, which says of a
// row nothing that can be done with it, the cell of the column that opens is a link there.
export function table(columns, rows, { sort, onsort, onopen, linkOf, keyOf, chosen, groups, label }) {
  const head = columns.map((one) => {
    const state = sort && sort.key === one.key ? (sort.falls ? "descending" : "ascending") : "none";
    const text = one.name || "state";
    const inner = onsort ? h("button", { "data-key": `sort-${one.key}`, onclick: () => onsort(one.key) }, text) : text;
    return h("th", { scope: "col", class: one.kind, "aria-sort": onsort ? state : null }, inner);
  });
  const body = [];
  const written = new Map(columns.filter((one) => one.kind === "r" && !one.cell).map((one) => [one, column(rows.map(one.value))]));
  let group = null;
  rows.forEach((row, place) => {
    const own = groups ? groups(row) : null;
    if (own !== group) {
      group = own;
      body.push(h("tr", { class: "group" }, h("td", { colspan: columns.length }, own)));
    }
    const key = keyOf ? keyOf(row) : String(place);
    const open = onopen ? () => onopen(row) : null;
    const cells = columns.map((one) => {
      const inner = one.cell ? one.cell(row) : shownCell(one, row, written.get(one));
      const opens = one.opens && linkOf ? linkOf(row) : null;
      return h("td", { class: one.kind }, opens ? h("a", { class: "opens", href: opens.href, "aria-label": opens.label, tabindex: -1 }, inner) : inner);
    });
    body.push(h("tr", { class: key === chosen ? "chosen" : null, "data-key": `row-${key}`, tabindex: open ? (place ? -1 : 0) : null, onclick: open }, cells));
  });
  return h("div", { class: "table" }, h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

function shownCell(one, row, write) {
  const value = one.value(row);
  if (value === null || value === undefined) return "";
  if (typeof value === "number" && write) return write(value);
  return one.kind === "r" ? number(value) : typeof value === "string" ? value : shown(value);
}

// Rows in the order that a person chose; the plan's without one.
export function sorted(rows, columns, sort) {
  const chosen = sort && columns.find((one) => one.key === sort.key);
  if (!chosen) return rows;
  return [...rows].sort((a, b) => compare(chosen.value(a), chosen.value(b), sort.falls));
}

// Up, down, and back to the plan's order.
export function nextSort(sort, key) {
  if (!sort || sort.key !== key) return { key, falls: false };
  return sort.falls ? null : { key, falls: true };
}
