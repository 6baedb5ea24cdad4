// Curves, results, report and costs.

import { $, groupBy, h, nextSort, number, plural, sorted, table, words } from "./basic.js";
import { go, hash, link, openJob, rows, state } from "./app.js";
import { curves, grouped, key, looks, reading, shownValue, TWO_PANELS } from "./draw.js";
import { address, ofRun } from "./server.js";

const SHOWN = 200;

const errorsOf = (value) => (value?.errors ? [h("h1", {}, value.errors[0]), ...value.errors.slice(1).map((line) => h("p", { class: "sub" }, line))] : null);

export function curvesPart({ width }) {
  const known = state.data.curves;
  const problem = errorsOf(known);
  if (problem) return problem;
  const list = known?.curves ?? [];
  if (!list.length) return [h("h1", {}, "No job has reported progress yet"), h("p", { class: "sub" }, "Engines do by themselves, a script of your own with orch.progress(step, total, loss=…).")];
  const wanted = hash();
  const look = looks(rows(), wanted.get("by"), state.data.overview?.colours);
  const apart = wanted.get("apart") === "1";
  const stages = [...new Set(list.map((one) => one.stage))];
  const stage = stages.includes(wanted.get("stage")) ? wanted.get("stage") : "";
  const chosen = list.filter((one) => !stage || one.stage === stage);
  const wide = width > TWO_PANELS ? (width - 35) / 2 : width;
  const tools = h("div", { class: "tools" },
    select("curve-stage", "Stage", [["", "every stage"], ...stages.map((one) => [one, one])], stage, (value) => go({ stage: value }, false)),
    look.axes.length > 1 ? select("curve-by", "Colour", look.axes.map((one) => [one, `colour: ${one}`]), look.main, (value) => go({ by: value }, false)) : null,
    h("label", {}, h("input", { type: "checkbox", checked: apart, "data-key": "apart", onchange: (event) => go({ apart: event.target.checked ? "1" : null }, false) }), "each job"));
  const read = [];
  const panels = [...groupBy(chosen, (one) => `${one.stage}\n${one.metric}`).values()].map((own) => {
    const groups = grouped(own, state.rows, look);
    read.push(...groups);
    const { begun, drawn } = known.stages[own[0].stage];
    const detail = `${words(own[0].metric)}${drawn < begun ? `, ${drawn} of ${begun} jobs` : own.length > 1 ? `, ${plural(own.length, "job")}` : ""}`;
    return h("div", {}, curves(groups, { name: own[0].stage, detail, width: wide, apart }), groups.length > 1 || groups[0].label ? key(groups.slice(0, 24)) : null);
  });
  return [tools, h("p", { class: "count" }, apart ? "each line is a job" : reading(read)), h("div", { class: "panels" }, panels)];
}

function select(name, label, options, value, change) {
  return h("select", { "aria-label": label, "data-key": name, onchange: (event) => change(event.target.value) }, options.map(([one, text]) => h("option", { value: one, selected: one === value }, text)));
}

let allResults = false;

export function resultsPart({ fresh }) {
  const known = state.data.results;
  const problem = errorsOf(known);
  if (problem) return problem;
  const list = known?.rows ?? [];
  if (!list.length) return [h("h1", {}, "No results yet"), h("p", { class: "sub" }, state.rows.size ? "Jobs have results when they are done; a script of your own writes them with orch.result(name, value)." : "")];
  if (!fresh && $("results-table")) {
    $("results-table").replaceChildren(...resultsContent(known, list));
    return null;
  }
  const metrics = [...new Set(list.map((row) => row.metric))];
  const wanted = hash();
  return [
    h("div", { class: "tools", role: "search" },
      h("input", { type: "search", id: "filter", value: wanted.get("rq") ?? "", placeholder: "Filter: words, arm=baseline, value>0.5   ( / )", "aria-label": "Filter results", "data-key": "filter", oninput: (event) => go({ rq: event.target.value }, false) }),
      select("metric", "Metric", [["", "every metric"], ...metrics.map((one) => [one, words(one)])], wanted.get("metric") ?? "", (value) => go({ metric: value }, false))),
    h("div", { id: "results-table" }, ...resultsContent(known, list)),
  ];
}

const FIXED = new Set(["job", "stage", "metric", "value", "n", "low", "high", "spread", "error", "source"]);

function resultsContent(known, list) {
  const wanted = hash();
  const tests = (wanted.get("rq") ?? "").trim().split(/\s+/).filter(Boolean);
  const fits = (row) => tests.every((word) => {
    const found = word.match(/^([\w.-]+)(=|<|>)(.+)$/);
    if (!found) return [row.job, row.metric, row.error, ...Object.keys(row).filter((one) => !FIXED.has(one)).map((one) => row[one])].some((one) => String(one ?? "").toLowerCase().includes(word.toLowerCase()));
    const own = row[found[1]];
    if (own === null || own === undefined) return false;
    return found[2] === "=" ? String(own) === found[3] || Number(own) === Number(found[3]) : found[2] === "<" ? Number(own) < Number(found[3]) : Number(own) > Number(found[3]);
  });
  const chosen = list.filter((row) => (!wanted.get("metric") || row.metric === wanted.get("metric")) && fits(row));
  const axes = [...new Set(list.flatMap((row) => Object.keys(row)))].filter((one) => !FIXED.has(one));
  const has = (name) => chosen.some((row) => row[name] !== null && row[name] !== undefined && row[name] !== "");
  const varies = (name) => new Set(chosen.map((row) => JSON.stringify(row[name]))).size > 1 || chosen.length === 1;
  const columns = [
    { key: "stage", name: "stage", opens: true, value: (row) => row.stage },
    ...axes.filter((one) => has(one) && varies(one)).map((one) => ({ key: one, name: one, value: (row) => row[one], cell: (row) => (row[one] === null || row[one] === undefined ? "" : shownValue(row[one])) })),
    { key: "metric", name: "metric", value: (row) => words(row.metric) },
    ...["value", "n", "low", "high", "spread"].filter(has).map((one) => ({ key: one, name: one, kind: "r", value: (row) => row[one] })),
    has("error") ? { key: "error", name: "why there is none", kind: "long", value: (row) => row.error } : null,
  ].filter(Boolean);
  const text = wanted.get("rsort");
  const sort = text ? { key: text.replace(/^-/, ""), falls: text.startsWith("-") } : null;
  const inOrder = sorted(chosen, columns, sort);
  const visible = allResults ? inOrder : inOrder.slice(0, SHOWN);
  const missing = known.unfinished.length ? `; none yet of ${plural(known.unfinished.length, "job")}` : "";
  return [
    h("p", { class: "count", role: "status" }, `${plural(chosen.length, "result")}${chosen.length < list.length ? ` of ${list.length.toLocaleString("en")}` : ""}${missing}`),
    ...known.problems.map((line) => h("p", { class: "trouble" }, line)),
    table(columns, visible, { label: "Results", sort, onsort: (one) => { const next = nextSort(sort, one); go({ rsort: next ? `${next.falls ? "-" : ""}${next.key}` : null }, false); }, onopen: (row) => openJob(row.job), linkOf: (row) => ({ href: link({ job: row.job }), label: row.job }) }),
    inOrder.length > visible.length ? h("button", { class: "more", "data-key": "more", onclick: () => { allResults = true; $("results-table").replaceChildren(...resultsContent(known, list)); } }, `show all ${inOrder.length.toLocaleString("en")} rows`) : null,
  ].filter(Boolean);
}

export function reportPart({ fresh }) {
  const known = state.data.report;
  const problem = errorsOf(known);
  if (problem) return problem;
  const list = known?.reports ?? [];
  const text = JSON.stringify(list.map((one) => one.text));
  // A frame that was read to its middle is not loaded again.
  if (!fresh && $("reports")?.dataset.text === text) return null;
  const made = h("div", { id: "reports" }, list.map((one) => {
    const url = address(ofRun(state.run, "page", { job: one.job }));
    const frame = h("iframe", { src: url, sandbox: "allow-same-origin", title: `Report of ${one.job}` });
    frame.addEventListener("load", () => {
      const body = frame.contentDocument?.documentElement;
      if (body) frame.style.height = `${body.scrollHeight + 24}px`;
    });
    return h("section", {}, h("h2", {}, one.job, h("small", {}, h("a", { href: url, target: "_blank", "data-key": `report-${one.job}` }, "alone in a tab"))), frame);
  }));
  made.dataset.text = text;
  return [made];
}

export function costsPart() {
  const known = state.data.costs;
  const problem = errorsOf(known);
  if (problem) return problem;
  if (!known) return [];
  const gpu = known.all.gpu_hours_asked || known.all.gpu_hours_used;
  const unit = gpu ? "gpu" : "cpu";
  const hours = (one, word) => one[`${unit}_hours_${word}`];
  // One unit for all numbers of the page.
  const [factor, word] = hours(known.all, "asked") < 5 ? [60, "minutes"] : [1, "hours"];
  const text = (value, atLeast) => `${atLeast ? "≥ " : ""}${(value * factor).toFixed(factor === 1 ? 2 : 1)}`;
  const name = (one) => [one.stage, ...Object.entries(one.axes ?? {}).map(([axis, value]) => `${axis} ${shownValue(value)}`)].join(", ");
  const columns = [
    { key: "stage", name: "stage", kind: "job", value: name },
    { key: "jobs", name: "jobs", kind: "r", value: (one) => one.jobs },
    { key: "starts", name: "starts", kind: "r", value: (one) => one.starts },
    ...["asked", "used", "wasted"].map((one) => ({ key: one, name: one, kind: "r", value: (part) => hours(part, one), cell: (part) => text(hours(part, one), part.unknown && one !== "asked") })),
  ];
  const used = known.used;
  const usedColumns = [
    { key: "stage", name: "stage", value: (one) => one.stage },
    { key: "cpus", name: "CPUs busy", kind: "r", value: (one) => one.cpus_busy, cell: (one) => (one.cpus_busy === null ? "–" : `${one.cpus_busy.toFixed(1)} of ${one.cpus}`) },
    { key: "memory", name: "memory, GB", kind: "r", value: (one) => one.memory_peak_gb, cell: (one) => (one.memory_peak_gb === null ? "–" : `${one.memory_peak_gb.toFixed(1)} of ${one.memory_gb}`) },
    !used.some((one) => one.gpus) ? null : { key: "gpu", name: "GPUs busy", kind: "r", value: (one) => one.gpu_percent, cell: (one) => (one.gpus ? (one.gpu_percent === null ? "–" : `${one.gpu_percent.toFixed(0)} % of ${one.gpus}`) : "") },
    { key: "minutes", name: "minutes", kind: "r", value: (one) => one.longest_minutes, cell: (one) => (one.longest_minutes ? `${one.longest_minutes.toFixed(0)} of ${one.minutes}` : "–") },
  ].filter(Boolean);
  const price = known.price_per_gpu_hour && gpu ? `; ${(known.all.gpu_hours_used * known.price_per_gpu_hour).toFixed(2)} ${known.currency} at ${known.price_per_gpu_hour} for a GPU-hour` : "";
  const budget = known.budget_gpu_hours === null ? "" : `; the run may take ${number(known.budget_gpu_hours)} GPU-hours`;
  const advice = used.flatMap((one) => one.advice);
  return [
    h("h1", {}, `${text(hours(known.all, "used"), known.all.unknown)} ${unit.toUpperCase()}-${word} used${price}${budget}.`),
    h("p", { class: "sub" }, `In ${unit.toUpperCase()}-${word}. Asked: time limits. Used: all starts of all attempts. Wasted: starts that left no results, since the last saved moment.`),
    known.trouble ? h("p", { class: "trouble" }, known.trouble) : null,
    table(columns, [...known.groups, { ...known.all, stage: "all", axes: {} }], { label: "Costs" }),
    used.length ? h("h2", {}, "Used at most, of what was asked for") : null,
    used.length ? table(usedColumns, used, { label: "Use" }) : null,
    advice.length ? h("h2", {}, "Next time") : null,
    ...advice.map((line) => h("p", { class: "told" }, h("code", {}, line))),
  ].filter(Boolean);
}
