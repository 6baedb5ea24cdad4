// The first part: how the run is, what must be done, when each job ran.

import { ago, clock, groupBy, h, moment, plural, table, words } from "./basic.js";
import { countsOf, kindOf, link, now, openJob, rows, signOf, state } from "./app.js";
import { curves, grouped, key, looks, reading, timeline, TWO_PANELS } from "./draw.js";
import { askOrErrors, ofRun } from "./server.js";
import { actionButtons, overrideButton } from "./dialogs.js";

const MOST_PANELS = 4;
const MOST_NAMED = 12;
const MOST_TOLD = 10;
const MOST_GATES = 60;
const SOON = ["RUNNING", "PENDING", "COMPLETING", "SUSPENDED"];

export function overviewPart({ width }) {
  const known = state.data.overview ?? {};
  const all = rows();
  return [
    ...heads(all, known),
    state.trouble ? h("p", { class: "trouble" }, `could not ask: ${state.trouble}`) : null,
    state.copy ? h("p", { class: "trouble" }, state.copy) : null,
    ...[known, state.data.gates, state.data.curves].flatMap((one) => one?.errors ?? []).map((line) => h("p", { class: "trouble" }, line)),
    share(),
    state.about.actions ? h("p", {}, actionButtons("all", all)) : null,
    ...failures(known),
    ...others(known),
    ...stages(all, known),
    h("h2", {}, "When each job ran"),
    timeline(all, starts(all), now(), width, kindOf, openJob),
    ...someCurves(width),
    ...gates(),
  ].filter(Boolean);
}

// What the reports have found comes first; where the run stands, if there is none.
function heads(all, known) {
  const told = (known.reports ?? []).filter((one) => one.headline).slice(-2);
  const stands = headline(all, known);
  const more = h("p", { class: "sub" }, told.length ? [stands, " ", h("a", { href: link({ part: "report" }), "data-key": "to-report" }, "Read the report"), " · "] : null, lineBelow(known));
  return [...(told.length ? told.map((one) => h("h1", {}, one.headline.replace(/-(?=\d)/g, "−"))) : [h("h1", {}, stands)]), more];
}

function headline(all, known) {
  const count = (wanted) => all.filter((row) => wanted.includes(row.state)).length;
  const done = count(["COMPLETED"]);
  const skipped = count(["SKIPPED"]);
  const failed = (known.failed ?? []).reduce((sum, one) => sum + one.count, 0);
  const active = count(SOON);
  const ends = all.map((row) => row.expected_end).filter((one) => one && one > now());
  const left = ends.length ? `, the running ones for about ${clock(Math.max(...ends) - now())} more` : "";
  if (!all.length) return "This run has no job yet.";
  if (failed) {
    const reasons = known.failed.length;
    return `${failed} of ${plural(all.length, "job")} failed, for ${plural(reasons, "reason")}${active ? `; ${active} are queued or running` : ""}.`;
  }
  if (done + skipped === all.length) {
    const times = all.filter((row) => row.ended && !row.reused);
    const span = times.length ? Math.max(...times.map((row) => row.ended)) - Math.min(...times.map((row) => row.started ?? row.ended)) : 0;
    const also = skipped ? `; ${skipped} skipped by gates` : "";
    return `${done} of ${plural(all.length, "job")} done${span ? ` in ${clock(span)}` : ""}${also}.`;
  }
  const running = count(["RUNNING", "COMPLETING"]);
  return `${done} of ${plural(all.length, "job")} done, ${running} running${left}.`;
}

function lineBelow(known) {
  const made = known.created ? `launched ${moment(known.created)}` : "";
  return [known.about, `on ${state.cluster}`, made].filter(Boolean).join(" · ");
}

function share() {
  const counts = countsOf();
  return h("div", {},
    h("div", { class: "share", "aria-hidden": "true" }, counts.map(([one, count]) => {
      const bar = h("i", { class: `f-${kindOf(one)}` });
      bar.style.flex = String(count);
      return bar;
    })),
    h("ul", { class: "chips", "aria-label": "Jobs by state" }, counts.map(([one, count]) => h("li", {},
      h("a", { class: `t-${kindOf(one)}`, href: link({ part: "jobs", state: one, q: null }), "data-key": `chip-${one}` },
        `${signOf(one).sign} `, h("b", {}, count.toLocaleString("en")), ` ${signOf(one).word}`)))));
}

// Of many like entries the first ones, and where the others are.
function first(list, make, jobState) {
  const more = list.length - MOST_TOLD;
  const rest = more > 0 ? h("p", { class: "told" }, h("a", { href: link({ part: "jobs", state: jobState, q: null }), "data-key": `more-${jobState}` }, `and ${more} more`)) : null;
  return [...list.slice(0, MOST_TOLD).map(make), rest];
}

function failures(known) {
  const failed = [...(known.failed ?? [])].sort((a, b) => b.count - a.count);
  if (!failed.length) return [];
  return [h("h2", {}, "What went wrong"), ...first(failed, (one) => h("div", { class: "told fail" },
    h("p", {}, h("b", { class: "t-fail" }, `✗ ${one.kind}: `), one.jobs),
    one.line ? h("p", {}, h("code", {}, one.line)) : null,
    h("p", {}, one.advice ? `What helps: ${one.advice}. ` : null, h("a", { href: link({ job: one.first }), "data-key": `why-${one.first}` }, one.count > 1 ? "Log and cause of the first" : "Log and cause"))), "FAILED")];
}

function others(known) {
  return [...groupBy(known.others ?? [], (one) => one.title)].flatMap(([title, list]) => [
    h("h2", {}, title),
    ...first(list, (one) => h("div", { class: "told" },
      h("p", {}, h("b", { class: `t-${kindOf(one.state)}` }, `${signOf(one.state).sign} `), h("a", { href: link({ job: one.first }), "data-key": `other-${one.first}` }, one.jobs)),
      one.reason ? h("p", {}, one.reason) : null), list[0].state)]);
}

function stages(all, known) {
  const list = known.stages ?? [];
  const by = groupBy(all, (row) => row.stage);
  const lines = list.map((one) => {
    const own = by.get(one.stage) ?? [];
    const states = groupBy(own, (row) => row.state);
    const order = Object.keys(state.about.signs).filter((name) => states.has(name));
    const after = [one.after.length > 4 ? `after ${one.after.length} stages` : one.after.length ? `after ${one.after.join(", ")}` : "", one.gates.length ? `if ${one.gates.join(" and ")} allow${one.gates.length > 1 ? "" : "s"} it` : ""].filter(Boolean).join("; ");
    return h("div", { class: "row", role: "listitem" },
      h("a", { class: "name", href: link({ part: "jobs", stage: one.stage, q: null, state: null }), "data-key": `stage-${one.stage}` }, one.stage),
      h("span", { class: "of soft" }, one.of),
      h("span", { class: "part", "aria-hidden": "true" }, order.map((name) => {
        const bar = h("i", { class: `f-${kindOf(name)}` });
        bar.style.flex = String(states.get(name).length);
        return bar;
      })),
      h("span", {}, order.map((name, place) => h("span", { class: `t-${kindOf(name)}` }, `${place ? " " : ""}${signOf(name).sign} ${states.get(name).length.toLocaleString("en")} ${signOf(name).word}`))),
      h("span", { class: "after", title: after }, after));
  });
  return [h("h2", {}, "Stages", h("small", {}, `${list.length}, in the order of the plan`)), h("div", { class: "stages", role: "list", "aria-label": "Stages" }, lines)];
}

// Earlier starts of jobs that were started several times; the status knows the newest one.
function starts(all) {
  const several = all.some((row) => row.attempt > 1 || row.restarts);
  if (!several || all.length > 2000) return [];
  const costs = state.data.costs;
  if (!costs) {
    const run = state.run;
    askOrErrors(ofRun(run, "costs")).then((value) => { if (run === state.run) state.data.costs = value; }, () => {});
    return [];
  }
  return (costs.starts ?? []).map((start) => ({ ...start, row: state.rows.get(start.job) })).filter((start) => start.row);
}

function someCurves(width) {
  const list = state.data.curves?.curves ?? [];
  if (!list.length) return [];
  const all = rows();
  const look = looks(all, null, state.data.overview?.colours);
  const wide = width > TWO_PANELS ? (width - 35) / 2 : width;
  const panels = [...groupBy(list, (one) => `${one.stage}\n${one.metric}`)];
  // Of each stage the first metric, before the second ones.
  const seen = new Set();
  const firsts = panels.filter(([, own]) => !seen.has(own[0].stage) && seen.add(own[0].stage));
  const chosen = [...firsts, ...panels.filter((one) => !firsts.includes(one))].slice(0, MOST_PANELS);
  const drawn = chosen.map(([, own]) => [own[0], grouped(own, state.rows, look)]);
  const shared = keyOf(look, drawn.flatMap(([, groups]) => groups));
  return [
    h("h2", {}, "Curves", h("small", {}, `${reading(drawn.flatMap(([, groups]) => groups))} · `, h("a", { href: link({ part: "curves" }), "data-key": "all-curves" }, "all of them"))),
    shared && key(shared),
    h("div", { class: "panels" }, drawn.map(([first, groups]) => {
      const own = shared || groups.length < 2 ? null : key(groups.slice(0, MOST_NAMED));
      return h("div", {}, curves(groups, { name: first.stage, detail: words(first.metric), width: wide }), own);
    })),
  ];
}

// What colours and kinds of line mean in all panels; none where they do not mean the same in all.
function keyOf(look, groups) {
  if (look.values.size < 2 || look.values.size > MOST_NAMED) return null;
  const named = [...look.values].map(([value, colour]) => ({ label: `${look.main} ${value}`, colour, dash: 0 }));
  const without = `without ${look.main}`;
  if (groups.some((one) => one.label.split(", ").includes(without))) named.push({ label: without, colour: "n", dash: 0 });
  const kinds = new Map();
  for (const one of groups) {
    const rest = one.label.split(", ").filter((part) => !part.startsWith(`${look.main} `) && part !== without).join(", ");
    if (!rest) continue;
    if (kinds.has(one.dash) && kinds.get(one.dash) !== rest) return null;
    kinds.set(one.dash, rest);
  }
  return [...named, ...(kinds.size > 1 ? [...kinds].map(([dash, label]) => ({ label, colour: "n", dash })) : [])];
}

function gates() {
  const list = state.data.gates?.gates ?? [];
  if (!list.length) return [];
  const columns = [
    { key: "gate", name: "gate of", kind: "job", value: (one) => one.gate },
    { key: "decision", name: "decision", value: (one) => (one.decision === "open" ? "undecided" : one.decision) },
    { key: "time", name: "decided", kind: "wide", value: (one) => one.time, cell: (one) => ago(now() - one.time) },
    { key: "text", name: "why", kind: "long", value: (one) => one.text, cell: (one) => [one.text, state.about.actions && (one.decision === "open" || one.decision === "skip") ? h("p", { class: "below" }, overrideButton(one.gate)) : null] },
  ];
  const open = [...list].sort((a, b) => (b.decision === "open") - (a.decision === "open"));
  return [h("h2", {}, "Gates", list.length > MOST_GATES ? h("small", {}, `${MOST_GATES} of ${list.length}`) : null), table(columns, open.slice(0, MOST_GATES), { label: "Gates" })];
}
