// The frame of the page: which run and part is shown (in the address behind #), asking the server
// while the page is seen, keys.

import { $, ago, h, plural } from "./basic.js";
import { ask, askOrErrors, forget, isOld, ofRun, Refused, status } from "./server.js";
import { overviewPart } from "./overview.js";
import { jobsPart } from "./jobs.js";
import { costsPart, curvesPart, reportPart, resultsPart } from "./parts.js";
import { closePanel, panelIsOpen, showPanel, updatePanel } from "./panel.js";
import { keysDialog, runsDialog } from "./dialogs.js";

const LOST_SECONDS = 5;
const PARTS = {
  overview: { name: "Overview", make: overviewPart, needs: ["overview", "gates", "curves"] },
  jobs: { name: "Jobs", make: jobsPart, needs: ["overview"] },
  curves: { name: "Curves", make: curvesPart, needs: ["curves", "overview"] },
  results: { name: "Results", make: resultsPart, needs: ["results"] },
  report: { name: "Report", make: reportPart, needs: ["report"] },
  costs: { name: "Costs", make: costsPart, needs: ["costs"] },
};

// What is known, and what the person has chosen.
export const state = {
  about: { actions: false, signs: {}, run: null },
  run: null, rows: new Map(), trouble: "", copy: null, cluster: "", number: 0, tag: null, read: 0, ahead: 0, pause: 5,
  data: {}, lost: false, lostWhy: "",
};

export const now = () => Date.now() / 1000 + state.ahead;

export function kindOf(jobState) {
  const colour = state.about.signs[jobState]?.colour;
  return { red: "fail", green: "done", cyan: "run", yellow: "wait", magenta: "wait" }[colour] ?? "none";
}

export const signOf = (jobState) => state.about.signs[jobState] ?? { sign: "?", word: jobState.toLowerCase() };

export const hash = () => new URLSearchParams(location.hash.slice(1));

// Change what the address says; null takes a key away. What only narrows a table makes no step for
// the browser's "back".
export function go(values, step = true) {
  const wanted = hash();
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === "") wanted.delete(key);
    else wanted.set(key, value);
  }
  const text = `#${wanted}`;
  if (text === location.hash) return;
  if (step) location.hash = text;
  else {
    history.replaceState(null, "", text);
    show();
  }
}

// An address of this page with other values.
export function link(values) {
  const wanted = hash();
  for (const [key, value] of Object.entries(values)) {
    if (value === null) wanted.delete(key);
    else wanted.set(key, value);
  }
  return `#${wanted}`;
}

const part = () => (hash().get("part") in PARTS ? hash().get("part") : "overview");

let timer = 0;
let asking = null;

function later(seconds) {
  clearTimeout(timer);
  timer = setTimeout(poll, seconds * 1000);
}

// One question at a time; whoever wants an answer now gets that of the question under way.
export function poll() {
  clearTimeout(timer);
  if (document.hidden) return Promise.resolve();
  asking ??= askAll().finally(() => { asking = null; });
  return asking;
}

async function askAll() {
  try {
    if (!state.run) await chooseRun();
    // Another run may be chosen while the answer is on its way.
    for (let run = null; state.run && run !== state.run; ) {
      run = state.run;
      await askStatus();
    }
    found();
    later(state.run ? state.pause : LOST_SECONDS);
  } catch (error) {
    lose(error);
    later(LOST_SECONDS);
  }
}

async function chooseRun() {
  if (!state.about.run) state.about = await ask("about");
  const run = hash().get("run") ?? state.about.run;
  if (run) setRun(run);
  else {
    $("name").textContent = "no run yet";
    $("main").replaceChildren(h("h1", {}, "No run here yet"), h("p", { class: "sub" }, `Launch one: orch launch EXPERIMENT. This page looks for runs in ${state.about.runs}.`));
  }
}

function setRun(run) {
  Object.assign(state, { run, rows: new Map(), trouble: "", number: 0, tag: null, data: {} });
  forget();
  $("name").textContent = run;
  document.title = run;
  $("main").replaceChildren(h("p", { class: "soft" }, "asking…"));
}

async function askStatus() {
  const run = state.run;
  const answer = await status(run, state.number, state.tag);
  if (run !== state.run) return;
  Object.assign(state, { tag: answer.tag, number: answer.number, read: answer.read, pause: answer.pause });
  if (answer.value === null) {
    // Only the ages have changed.
    if (isOld()) {
      await load();
      show();
    }
    return;
  }
  state.ahead = Math.max(-1e9, answer.read - Date.now() / 1000);
  if (Math.abs(state.ahead) < 30) state.ahead = 0;
  if (!answer.since) state.rows = new Map();
  for (const row of answer.value.jobs) state.rows.set(row.job, row);
  const { trouble, copy, cluster, folder } = answer.value;
  Object.assign(state, { trouble, copy, cluster, folder });
  await load();
  show();
  await updatePanel();
}

// What the shown part needs beside the status. Another part may be chosen while the answers are on
// their way.
async function load() {
  for (let [run, name] = [null, null]; run !== state.run || name !== part(); ) {
    [run, name] = [state.run, part()];
    const needs = PARTS[name].needs;
    const values = await Promise.all(needs.map((one) => askOrErrors(ofRun(run, one))));
    if (run === state.run) needs.forEach((one, place) => { state.data[one] = values[place]; });
  }
}

function found() {
  if (state.lost) $("said").textContent = "connected again";
  state.lost = false;
  drawLive();
}

// What was to be drawn was not: without a tag the next answer is drawn even if nothing has changed.
function lose(error) {
  if (!(error instanceof TypeError || error instanceof Refused)) console.error(error);
  state.tag = null;
  if (!state.lost) $("said").textContent = "the server does not answer";
  state.lost = true;
  state.lostWhy = error instanceof Refused ? error.lines.join(" ") : "";
  drawLive();
}

function drawLive() {
  const live = $("live");
  live.classList.toggle("lost", state.lost);
  const age = state.read ? ago(now() - state.read) : "";
  live.textContent = state.lost ? state.lostWhy || `no answer${age ? `, seen ${age}` : ""}` : age ? `live, ${age}` : "";
  live.title = state.lost ? "Is orch serve still running, and the ssh tunnel? The page asks again." : "";
}

export const rows = () => [...state.rows.values()];

function counts() {
  const found = new Map();
  for (const row of state.rows.values()) found.set(row.state, (found.get(row.state) ?? 0) + 1);
  return Object.keys(state.about.signs).filter((one) => found.has(one)).map((one) => [one, found.get(one)]);
}

export const countsOf = counts;

let drawnPart = null;
let toFilter = false; // the field of the filter is wanted, which may have to be drawn first

function focusFilter() {
  if (!toFilter || !$("filter")) return;
  toFilter = false;
  $("filter").focus();
}

// A part that shows no heading of its own has one for who moves by headings.
function headed(made, name) {
  return made.some((one) => one.tagName === "H1") ? made : [h("h1", { class: "hidden" }, name), ...made];
}

// Draw the part again; what has the focus keeps it.
export function show() {
  if (!state.run || !state.rows.size && !state.number) return;
  drawBar();
  const main = $("main");
  const focused = document.activeElement?.dataset?.key;
  const inside = main.contains(document.activeElement);
  const name = part();
  const made = PARTS[name].make({ fresh: drawnPart !== name, width: main.clientWidth - 40 });
  // A part that keeps its own elements up to date (a field in which somebody types) makes none.
  if (made) main.replaceChildren(...headed(made, PARTS[name].name));
  document.title = `${PARTS[name].name} · ${state.run}`;
  if (drawnPart !== null && drawnPart !== name) scrollTo(0, 0);
  drawnPart = name;
  if (inside && focused && !main.contains(document.activeElement)) {
    main.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  focusFilter();
}

function drawBar() {
  const all = counts();
  const kinds = all.map(([one]) => kindOf(one));
  const worst = ["fail", "run", "wait", "done", "none"].find((one) => kinds.includes(one)) ?? "none";
  $("dot").className = `dot ${worst}`;
  const text = all.map(([one, count]) => `${count} ${signOf(one).word}`).join(", ");
  if ($("said").dataset.counts !== text) {
    if ($("said").dataset.counts) $("said").textContent = text;
    $("said").dataset.counts = text;
  }
  const chosen = part();
  $("parts").replaceChildren(...Object.entries(PARTS).map(([key, { name }]) =>
    h("a", { href: link({ part: key, job: null }), "aria-current": key === chosen ? "page" : null, "data-key": `part-${key}` }, name, key === "jobs" ? h("b", {}, ` ${state.rows.size.toLocaleString("en")}`) : null)));
}

async function changed() {
  const run = hash().get("run") ?? state.about.run;
  if (run && run !== state.run) {
    closePanel();
    setRun(run);
    await poll();
  } else if (state.run) {
    await orLose(load());
    show();
  }
  await panel();
}

// The panel of the job that the address names now, which may be another one than when it was asked.
async function panel() {
  const job = hash().get("job");
  if (job && state.run) await orLose(showPanel(job));
  else closePanel();
}

async function orLose(done) {
  try {
    await done;
  } catch (error) {
    lose(error);
    later(LOST_SECONDS);
  }
}

export const openJob = (job) => go({ job });

function keys(event) {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if ($("dialog").open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (panelIsOpen()) go({ job: null });
    else if (inField && event.target.type === "search") {
      event.target.value = "";
      event.target.dispatchEvent(new Event("input"));
      event.target.blur();
    } else return;
  } else if (inField) return;
  else if (event.key === "/") {
    if (!$("filter")) go({ part: "jobs" });
    toFilter = true;
    focusFilter();
  } else if (["j", "k", "ArrowDown", "ArrowUp"].includes(event.key)) {
    if (!move(event.key === "j" || event.key === "ArrowDown" ? 1 : -1, event.key.length === 1)) return;
  } else if (event.key === "Enter" && event.target.tagName === "TR") event.target.click();
  else if (event.key >= "1" && event.key <= String(Object.keys(PARTS).length)) go({ part: Object.keys(PARTS)[Number(event.key) - 1], job: null });
  else if (event.key === "r") runsDialog();
  else if (event.key === "?") keysDialog();
  else return;
  event.preventDefault();
}

// To the next row of the table; with the arrows only from one.
function move(by, anyway) {
  const lines = [...document.querySelectorAll("main tr[tabindex]")];
  const place = lines.indexOf(document.activeElement);
  if (!lines.length || (place < 0 && !anyway)) return false;
  const next = lines[Math.max(0, Math.min(lines.length - 1, place < 0 ? 0 : place + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

async function begin() {
  document.addEventListener("keydown", keys);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  addEventListener("hashchange", changed);
  $("runs").addEventListener("click", runsDialog);
  // What stands behind # says what is shown, so the way past the bar is no address.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("main").focus();
  });
  let resizing = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(show, 120);
  });
  setInterval(drawLive, 1000);
  for (;;) {
    try {
      state.about = await ask("about");
      break;
    } catch (error) {
      lose(error);
      await new Promise((done) => setTimeout(done, LOST_SECONDS * 1000));
    }
  }
  await poll();
  await panel();
}


begin();
