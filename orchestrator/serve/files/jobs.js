// The table of jobs: filtered, sorted, with seeds together; the field of the filter stays while the
// table is drawn anew.

import { $, clock, column, groupBy, h, nextSort, number, plural, sorted, table, words } from "./basic.js";
import { go, hash, kindOf, link, now, openJob, rows, signOf, state } from "./app.js";
import { looks, shownValue } from "./draw.js";
import { effects } from "./effects.js";

const SHOWN = 200;
const METRICS = 3;
let all = false; // more than SHOWN rows are wanted
let together = true; // rows that differ by their seed alone are one

export function jobsPart({ fresh }) {
  const tools = fresh || !$("jobs-table") ? makeTools() : null;
  const body = h("div", { id: "jobs-table" }, ...content());
  if (tools) return [tools, body];
  updateTools();
  $("jobs-table").replaceChildren(...body.childNodes);
  return null;
}

function makeTools() {
  const wanted = hash();
  const field = h("input", { type: "search", id: "filter", value: wanted.get("q") ?? "", placeholder: "Filter: words, lr=0.1, loss<0.5   ( / )", "aria-label": "Filter: words, axis=value, metric<number", "data-key": "filter", oninput: (event) => go({ q: event.target.value }, false) });
  return h("div", { class: "tools", role: "search" }, field,
    h("select", { id: "stage", "aria-label": "Stage", "data-key": "stage", onchange: (event) => go({ stage: event.target.value }, false) }),
    h("select", { id: "state", "aria-label": "State", "data-key": "state", onchange: (event) => go({ state: event.target.value }, false) }),
    rows().some((row) => "seed" in row.axes) ? h("label", {}, h("input", { type: "checkbox", checked: together, "data-key": "together", onchange: (event) => { together = event.target.checked; refresh(); } }), "seeds together") : null);
}

// The lists of the selects follow what there is; an address may have other choices than the fields.
function updateTools() {
  const wanted = hash();
  const known = rows();
  if (document.activeElement !== $("filter")) $("filter").value = wanted.get("q") ?? "";
  fill($("stage"), "every stage", [...new Set(known.map((row) => row.stage))], (one) => one, wanted.get("stage"));
  fill($("state"), "every state", Object.keys(state.about.signs).filter((one) => known.some((row) => row.state === one)), (one) => signOf(one).word, wanted.get("state"));
}

function fill(select, none, values, name, chosen) {
  if (select.dataset.of !== values.join("\n")) {
    select.dataset.of = values.join("\n");
    select.replaceChildren(h("option", { value: "" }, none), ...values.map((one) => h("option", { value: one }, name(one))));
  }
  select.value = values.includes(chosen) ? chosen : "";
}

function refresh() {
  updateTools();
  $("jobs-table").replaceChildren(...content());
}

// Words that must stand in the name, reason or state; axis=value; metric above or below a number.
export function matcher(text) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const found = word.match(/^([\w.-]+)(=|<=|>=|<|>)(.+)$/);
    if (!found) {
      const small = word.toLowerCase();
      return (row) => [row.job, row.reason, signOf(row.state).word, row.state, row.host, row.log_line].some((one) => (one ?? "").toLowerCase().includes(small));
    }
    const [, name, sign, value] = found;
    return (row) => {
      const own = valueOf(row, name);
      if (own === undefined || own === null) return false;
      if (sign === "=") return String(shownValue(own)) === value || Number(own) === Number(value);
      const [a, b] = [Number(own), Number(value)];
      return sign === "<" ? a < b : sign === ">" ? a > b : sign === "<=" ? a <= b : a >= b;
    };
  });
  return (row) => tests.every((test) => test(row));
}

function valueOf(row, name) {
  if (name in row.axes) return row.axes[name];
  const metrics = metricsOf(row);
  const metric = Object.keys(metrics).find((one) => one === name || words(one).replaceAll(" ", "_") === name || one.endsWith(`_${name}`));
  if (metric) return metrics[metric];
  return { stage: row.stage, state: row.state, host: row.host, time: row.elapsed_seconds, attempt: row.attempt, step: row.step }[name];
}

function metricsOf(row) {
  // The overview has the results of finished jobs too, and of many jobs a part.
  return { ...state.data.overview?.metrics?.[row.job], ...row.metrics };
}

export function elapsedOf(row) {
  if (row.state === "RUNNING" && row.started && row.elapsed_seconds !== null) return Math.max(0, now() - row.started);
  return row.elapsed_seconds;
}

function content() {
  if (!$("filter")) setTimeout(updateTools);
  const wanted = hash();
  const known = rows();
  const fits = matcher(wanted.get("q") ?? "");
  const [stage, jobState] = [wanted.get("stage"), wanted.get("state")];
  const chosen = known.filter((row) => (!stage || row.stage === stage) && (!jobState || row.state === jobState) && fits(row));
  const lines = together ? folded(chosen) : chosen.map((row) => ({ row, members: [row] }));
  const narrow = matchMedia("(max-width: 760px)").matches;
  const columns = columnsOf(lines, narrow);
  const sort = sortOf();
  const order = Object.keys(state.about.signs);
  // What a person has to look at comes first.
  const byState = [...lines].sort((a, b) => rank(order, a.row) - rank(order, b.row));
  const inOrder = sort ? sorted(lines, columns, sort) : byState;
  const visible = all ? inOrder : inOrder.slice(0, SHOWN);
  const count = lines.length < chosen.length ? `${plural(chosen.length, "job")} in ${plural(lines.length, "row")}` : plural(chosen.length, "job");
  const of = chosen.length < known.length ? ` of ${known.length.toLocaleString("en")}` : "";
  return [
    h("p", { class: "count", role: "status" }, `${count}${of}`),
    table(columns, visible, {
      label: "Jobs", sort, keyOf: (line) => line.row.job, chosen: wanted.get("job"),
      groups: narrow ? (line) => line.row.stage : null,
      onsort: (key) => { const next = nextSort(sort, key); go({ sort: next ? `${next.falls ? "-" : ""}${next.key}` : null }, false); },
      onopen: (line) => openJob(line.row.job), linkOf: (line) => ({ href: link({ job: line.row.job }), label: line.members.length > 1 ? `${line.row.job} and ${line.members.length - 1} more` : line.row.job }),
    }),
    inOrder.length > visible.length ? h("button", { class: "more", "data-key": "more", onclick: () => { all = true; refresh(); } }, `show all ${inOrder.length.toLocaleString("en")} rows`) : null,
    ...axesOf(chosen),
  ].filter(Boolean);
}

// Of the stage that has the most finished jobs among those that are shown.
function axesOf(chosen) {
  const stages = [...groupBy(chosen, (row) => row.stage).values()];
  const finished = (own) => own.filter((row) => row.state === "COMPLETED" && Object.keys(metricsOf(row)).length);
  const own = stages.sort((a, b) => finished(b).length - finished(a).length)[0] ?? [];
  if (finished(own).length < 3) return [];
  const metric = Object.keys(metricsOf(finished(own)[0]))[0];
  const width = $("main").clientWidth - 40;
  return [effects(own, (row) => metricsOf(row)[metric], metric, looks(rows(), null, state.data.overview?.colours), width, openJob)];
}

const rank = (order, row) => (kindOf(row.state) === "fail" ? 0 : 1) * 100 + (kindOf(row.state) === "fail" ? order.indexOf(row.state) : 0);

function sortOf() {
  const text = hash().get("sort");
  return text ? { key: text.replace(/^-/, ""), falls: text.startsWith("-") } : null;
}

// Jobs of a stage that differ by their seed alone, and are in one state, as one row.
function folded(chosen) {
  const groups = groupBy(chosen, (row) => {
    const { seed, ...rest } = row.axes;
    return seed === undefined ? `${row.job}` : JSON.stringify([row.stage, rest, row.state]);
  });
  return [...groups.values()].map((members) => ({ row: members[0], members }));
}

function columnsOf(lines, narrow) {
  const list = lines.map((line) => line.row);
  const shownRows = lines.flatMap((line) => line.members);
  const folds = lines.some((line) => line.members.length > 1);
  const axes = [...new Set(list.flatMap((row) => Object.keys(row.axes)))].filter((axis) => !(folds && axis === "seed"));
  const varying = axes.filter((axis) => new Set(list.map((row) => JSON.stringify(row.axes[axis]))).size > 1 || list.length === 1);
  const look = looks(rows(), null, state.data.overview?.colours);
  const counts = new Map();
  for (const row of shownRows) for (const name of Object.keys(metricsOf(row))) counts.set(name, (counts.get(name) ?? 0) + 1);
  const metrics = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, narrow ? 1 : METRICS);
  const metricColumns = metrics.map((name) => {
    const write = column(lines.map((line) => mean(line, name)));
    return { key: name, name: words(name), kind: "r", value: (line) => mean(line, name), cell: (line) => metricCell(line, name, write) };
  });
  const stateCell = (line) => h("span", { class: `t-${kindOf(line.row.state)}` }, `${signOf(line.row.state).sign} `, narrow ? null : signOf(line.row.state).word, line.row.stalled_seconds ? ", stalled" : null, line.row.attempt > 1 ? ` [attempt ${line.row.attempt}]` : null);
  const swatch = (line, axis) => (axis === look.main ? h("span", { class: `swatch b${look.colour(line.row)}`, "aria-hidden": "true" }) : null);
  if (narrow) {
    return [
      { key: "state", name: "", value: (line) => line.row.state, cell: stateCell },
      { key: "job", name: "job", kind: "job", opens: true, value: (line) => line.row.job, cell: (line) => [look.main in line.row.axes ? swatch(line, look.main) : null, varying.filter((axis) => axis in line.row.axes).map((axis) => `${axis} ${shownValue(line.row.axes[axis])}`).join(", ") || line.row.stage, line.members.length > 1 ? ` ×\u00a0${line.members.length}` : null] },
      ...metricColumns,
      { key: "time", name: "time", kind: "r", value: (line) => elapsedOf(line.row), cell: (line) => clock(elapsedOf(line.row)) },
    ];
  }
  return [
    { key: "state", name: "state", value: (line) => signOf(line.row.state).word, cell: stateCell },
    { key: "stage", name: "stage", opens: true, value: (line) => line.row.stage },
    ...varying.map((axis) => ({ key: axis, name: axis, value: (line) => line.row.axes[axis], cell: (line) => (axis in line.row.axes ? [swatch(line, axis), shownValue(line.row.axes[axis])] : "") })),
    folds ? { key: "jobs", name: "jobs", kind: "r", value: (line) => line.members.length } : null,
    ...metricColumns,
    { key: "time", name: "time", kind: "r", value: (line) => elapsedOf(line.row), cell: (line) => clock(elapsedOf(line.row)) },
    { key: "why", name: "progress, or why", kind: "cut", value: (line) => whyOf(line.row), cell: (line) => h("span", { title: whyOf(line.row) }, whyOf(line.row)) },
  ].filter(Boolean);
}

function mean(line, name) {
  const values = line.members.map((row) => metricsOf(row)[name]).filter((one) => one !== undefined);
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

// The value of a job that has not finished is no result, and soft.
function metricCell(line, name, write) {
  const values = line.members.map((row) => metricsOf(row)[name]).filter((one) => one !== undefined);
  if (!values.length) return "";
  const half = (Math.max(...values) - Math.min(...values)) / 2;
  const text = [write(mean(line, name)), half ? h("span", { class: "soft" }, ` ±${number(Number(half.toPrecision(2)))}`) : null];
  return line.row.state === "COMPLETED" ? text : h("span", { class: "soft" }, text);
}

export function whyOf(row) {
  if (row.phase && row.step !== null) {
    const parts = [`${row.phase} ${number(row.step)}${row.total === null ? "" : `/${number(row.total)}`}`];
    if (row.expected_end && row.expected_end > now()) parts.push(`ends in ${clock(row.expected_end - now())}`);
    if (row.requeues_expected) parts.push("its time limit comes first");
    return parts.join(", ");
  }
  if (row.expected_start && row.expected_start > now()) return [row.reason, `starts in ${clock(row.expected_start - now())} (Slurm's estimate)`].filter(Boolean).join(", ");
  return row.reason || row.log_line || row.phase || "";
}
