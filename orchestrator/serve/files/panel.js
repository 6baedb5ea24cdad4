// One job: where it stands and why, its curves, results and log, commands to copy.

import { $, clock, h, moment, number, quoted, words } from "./basic.js";
import { elapsedOf, whyOf } from "./jobs.js";
import { go, kindOf, rows, signOf, state } from "./app.js";
import { curves, looks, shownValue } from "./draw.js";
import { address, askOrErrors, logPiece, ofRun, Refused } from "./server.js";
import { actionButtons, overrideButton } from "./dialogs.js";

const LOG_BYTES = 32768;
const LOG_LETTERS = 400000;
const WHOLE = matchMedia("(max-width: 36rem)");
let job = null;
let before = null; // what had the focus
let log = null; // {next, attempt, decoder, element, follows}

export const panelIsOpen = () => job !== null;

export async function showPanel(name) {
  if (job === name) return;
  if (job === null) before = document.activeElement?.dataset?.key ?? null;
  job = name;
  log = null;
  const panel = $("panel");
  panel.hidden = false;
  panel.setAttribute("aria-label", `Job ${name}`);
  cover(true);
  panel.scrollTop = 0;
  place(head(name, "asking…"));
  panel.querySelector(".close").focus({ preventScroll: true });
  await draw();
}

// Where the panel has the whole screen, what lies behind it is not there for keys and readers.
function cover(there) {
  const whole = there && WHOLE.matches;
  for (const one of document.querySelectorAll("header, main, .skip")) one.inert = whole;
}

WHOLE.addEventListener("change", () => cover(job !== null));

export function closePanel() {
  if (job === null) return;
  const name = job;
  job = null;
  log = null;
  $("panel").hidden = true;
  cover(false);
  $("panel").replaceChildren();
  const keys = [before, `row-${name}`].filter(Boolean);
  for (const key of keys) {
    const found = document.querySelector(`main [data-key="${CSS.escape(key)}"]`);
    if (found) return found.focus({ preventScroll: true });
  }
}

export async function updatePanel() {
  if (job !== null) await draw();
}

async function draw() {
  const [run, name] = [state.run, job];
  const row = state.rows.get(name);
  if (!row) {
    // Before the first answer nobody knows.
    if (state.number) place(head("no such job", name));
    return;
  }
  const asked = { why: { job: name }, curves: { job: name } };
  if (row.state === "COMPLETED") asked.results = { job: name };
  try {
    const values = {};
    await Promise.all(Object.entries(asked).map(async ([key, query]) => { values[key] = await askOrErrors(ofRun(run, key, query)); }));
    if (run !== state.run || name !== job) return;
    fill(row, values);
    await more();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (run === state.run && name === job) place(head(name, error.lines.join(" ")));
  }
}

const head = (title, below) => [
  h("button", { class: "close", "aria-label": "Close (Esc)", "data-key": "close", onclick: () => go({ job: null }) }, "×"),
  h("h2", {}, title),
  h("p", { class: "soft sub" }, below),
];

const axesText = (axes) => Object.entries(axes).map(([axis, value]) => `${axis} ${shownValue(value)}`).join(", ");

// What the panel shows now; what has the focus keeps it.
function place(parts) {
  const panel = $("panel");
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const top = panel.scrollTop;
  panel.replaceChildren(...parts);
  panel.scrollTop = top;
  if (focused) panel.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function fill(row, values) {
  const width = $("panel").clientWidth - 44;
  const sign = signOf(row.state);
  const lasted = elapsedOf(row);
  const waited = row.started && row.submitted ? row.started - row.submitted : null;
  const parts = [
    ...head(row.stage, axesText(row.axes) || row.job),
    h("p", {}, h("b", { class: `t-${kindOf(row.state)}` }, `${sign.sign} ${sign.word}`), lasted !== null ? ` ${row.state === "RUNNING" ? "for" : "in"} ${clock(lasted)}` : null, waited > 1 ? `, after ${clock(waited)} of waiting` : null, row.phase && row.step !== null ? ` · ${whyOf(row)}` : null),
    siblings(row),
    state.about.actions ? h("p", {}, actionButtons([row.job], [row]), canDecide(row) ? overrideButton(row.job) : null) : null,
    h("h3", {}, "Why"),
    h("div", { class: "why" }, (values.why.errors ?? values.why.lines).map(whyLine)),
    ...curvesOf(row, values.curves, width),
    ...resultsOf(values.results),
    h("h3", {}, "Log", row.attempt ? h("a", { href: address(ofRun(state.run, "log", { job: row.job, whole: "" })), target: "_blank", "data-key": "whole-log" }, "all of it") : null),
    logBox(),
    h("h3", {}, "Commands"),
    ...commands(row).map((text) => h("div", { class: "cmd" }, h("code", {}, text), h("button", { "data-key": `copy-${text}`, onclick: (event) => copy(event.target, text) }, "copy"))),
    h("h3", {}, "Where and what"),
    facts(row),
  ];
  place(parts.filter(Boolean));
}

// What a line is about stands out less than what it says, as on a terminal; indented lines stay so.
function whyLine(line, place) {
  const found = place && line.match(/^([a-z][a-z ]{2,40}): (.+)$/s);
  if (found) return h("p", {}, h("span", { class: "soft" }, `${found[1]}: `), found[2]);
  const inner = line.trimStart();
  return h("p", { class: inner === line ? null : "in" }, inner);
}

const canDecide = (row) => row.state === "SKIPPED" || row.state === "WAITING";

// The jobs that differ from this one by their seed alone.
function siblings(row) {
  if (!("seed" in row.axes)) return null;
  const rest = (one) => JSON.stringify(Object.entries(one.axes).filter(([axis]) => axis !== "seed"));
  const own = rows().filter((one) => one.stage === row.stage && rest(one) === rest(row));
  if (own.length < 2) return null;
  return h("div", { class: "pick" }, h("span", {}, "seed"), own.map((one) => h("button", { "aria-pressed": String(one === row), "data-key": `seed-${one.axes.seed}`, onclick: () => go({ job: one.job }) }, h("span", { class: `t-${kindOf(one.state)}` }, `${signOf(one.state).sign} `), shownValue(one.axes.seed))));
}

function curvesOf(row, known, width) {
  const list = (known.curves ?? []).filter((one) => one.points.length);
  if (!list.length) return [];
  const panels = list.slice(0, 12).map((one) => h("div", {}, curves([{ label: "", colour: looks(rows(), null, state.data.overview?.colours).colour(row), dash: 0, lines: [one] }], { name: words(one.metric), detail: number(one.points.at(-1)[1]), width: width > 480 && list.length > 1 ? (width - 35) / 2 : width })));
  return [h("h3", {}, "Curves"), h("div", { class: width > 480 && list.length > 1 ? "two" : null }, panels)];
}

function resultsOf(known) {
  const list = (known?.rows ?? []).slice(0, 40);
  if (!list.length) return [];
  const fixed = new Set(["job", "stage", "metric", "value", "n", "low", "high", "spread", "error", "source"]);
  const own = state.rows.get(job)?.axes ?? {};
  return [h("h3", {}, "Results"), h("dl", {}, list.flatMap((row) => {
    const axes = Object.entries(row).filter(([key, value]) => !fixed.has(key) && value !== null && !(key in own)).map(([key, value]) => `${key} ${shownValue(value)}`).join(", ");
    const interval = row.low !== null && row.high !== null ? ` [${number(row.low)}, ${number(row.high)}]` : "";
    return [h("dt", {}, words(row.metric)), h("dd", {}, row.value === null ? h("span", { class: "soft" }, row.error) : [number(row.value), interval, row.n ? h("span", { class: "soft" }, `, n ${number(row.n)}`) : null], axes ? h("span", { class: "soft" }, ` ${axes}`) : null)];
  })), known.rows.length > list.length ? h("p", { class: "soft" }, `and ${known.rows.length - list.length} more under Results`) : null];
}

// The same element as long as the panel shows this job: who reads in it keeps the place.
function logBox() {
  log ??= { next: -LOG_BYTES, attempt: 0, decoder: null, text: "", element: h("pre", { tabindex: 0, "aria-label": "Log", "data-key": "log" }, "") };
  return log.element;
}

async function more() {
  const [run, name, own] = [state.run, job, log];
  if (!own) return;
  try {
    for (let piece = null; !piece || (piece.next < piece.size && piece.bytes.byteLength); ) {
      piece = await logPiece(run, name, own.next);
      if (own !== log) return;
      const isOther = piece.attempt !== own.attempt || piece.size < own.next;
      if (isOther && own.decoder) {
        Object.assign(own, { next: -LOG_BYTES, decoder: null, text: "", attempt: piece.attempt });
        piece = null;
        continue;
      }
      own.decoder ??= new TextDecoder();
      own.attempt = piece.attempt;
      own.next = piece.next;
      append(own, own.decoder.decode(piece.bytes, { stream: true }), piece.from);
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    own.element.textContent = error.lines.join("\n");
  }
}

function append(own, text, from) {
  if (!text && own.text) return;
  const box = own.element;
  const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 24;
  // A piece from the middle begins at its first whole line.
  const cut = !own.text && from > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  own.text = plain(own.text + cut).slice(-LOG_LETTERS);
  box.textContent = own.text || "the log is empty";
  if (atEnd) box.scrollTop = box.scrollHeight;
}

// Without the colours of terminals; of a progress bar its newest state.
function plain(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, "").replace(/[^\n]*\r(?!\n)/g, "");
}

function commands(row) {
  const name = quoted(`${state.run}:${row.job}`);
  const found = [`orch why ${name}`];
  if (row.started) found.push(`orch logs ${name} -f`);
  if (kindOf(row.state) === "fail" || row.state === "CANCELLED") found.push(`orch retry ${quoted(state.run)} --job ${quoted(row.job)}`);
  if (["RUNNING", "PENDING", "WAITING"].includes(row.state)) found.push(`orch cancel ${quoted(state.run)} --job ${quoted(row.job)}`);
  return found;
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "chosen: Ctrl-C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

function facts(row) {
  const list = [
    ["job", row.job], ["state from", row.source], ["attempt", row.attempt ? `${row.attempt}${row.restarts ? `, restart ${row.restarts}` : ""}` : null], ["id", row.id], ["host", row.host],
    ["asked", `${row.gpus ? `${row.gpus} GPU, ` : ""}${row.cpus} CPU, at most ${clock(row.limit_seconds)}`],
    ["submitted", moment(row.submitted)], ["started", moment(row.started)], ["ended", moment(row.ended)], ["exit code", row.exit_code], ["runs", row.engine ? `engine ${row.engine}` : "a command"], ["taken from", row.reused], ["log", row.log],
  ];
  return h("dl", {}, list.filter(([, value]) => value !== null && value !== undefined && value !== "").flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, String(value))]));
}
