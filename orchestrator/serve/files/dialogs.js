// What asks before it does: runs, keys, cancel, retry, override.

import { $, ago, h, plural } from "./basic.js";
import { go, kindOf, now, poll, signOf, state } from "./app.js";
import { act, ask, Refused } from "./server.js";

function openDialog(...children) {
  const dialog = $("dialog");
  dialog.replaceChildren(...children);
  const head = dialog.querySelector("h2");
  if (head) head.id = "asks";
  if (!dialog.open) dialog.showModal();
  return dialog;
}

const close = () => $("dialog").close();

export async function runsDialog() {
  const list = h("tbody");
  const field = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs" });
  openDialog(h("h2", {}, "Runs"), field, h("div", { class: "table" }, h("table", { "aria-label": "Runs" }, list)));
  field.focus();
  let runs;
  try {
    runs = [...(await ask("list")).runs].reverse();
  } catch (error) {
    list.replaceChildren(h("tr", {}, h("td", {}, error instanceof Refused ? error.lines.join(" ") : "no answer")));
    return;
  }
  const draw = () => {
    const wanted = field.value.toLowerCase();
    const chosen = runs.filter((one) => one.run.toLowerCase().includes(wanted));
    list.replaceChildren(...chosen.slice(0, 200).map((one) => {
      const states = Object.keys(state.about.signs).filter((name) => one.states[name]);
      return h("tr", {},
        h("td", {}, h("a", { href: `#${new URLSearchParams({ run: one.run })}`, "aria-current": one.run === state.run ? "true" : null, onclick: close }, one.run)),
        h("td", {}, states.map((name) => h("span", { class: `t-${kindOf(name)}`, title: signOf(name).word }, `${signOf(name).sign} ${one.states[name].toLocaleString("en")} `))),
        h("td", { class: "soft r" }, ago(now() - one.created)));
    }), ...(chosen.length > 200 ? [h("tr", {}, h("td", {}, `and ${chosen.length - 200} more`))] : []));
  };
  field.addEventListener("input", draw);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("a")?.click();
  });
  draw();
}

export function keysDialog() {
  const keys = [["/", "filter"], ["j k ↓ ↑", "next and previous row"], ["Enter", "open the row's job"], ["Esc", "close it, or empty the filter"], ["1 to 6", "parts of the run"], ["r", "other runs"], ["?", "these keys"]];
  openDialog(h("h2", {}, "Keys"), h("dl", {}, keys.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])), h("p", {}, h("button", { class: "do", onclick: close }, "Close")));
}

// jobs: names, or "all"; only what there is something to do for has a button.
export function actionButtons(jobs, rows) {
  const active = rows.filter((row) => ["RUNNING", "PENDING", "SUSPENDED", "WAITING", "UNKNOWN"].includes(row.state));
  const failed = rows.filter((row) => kindOf(row.state) === "fail" || row.state === "CANCELLED" || row.state === "UNKNOWN");
  const what = (list) => (jobs === "all" ? plural(list.length, "job") : jobs.join(", "));
  return [
    active.length ? h("button", { class: "do bad", "data-key": "cancel", onclick: () => sure("cancel", `Cancel ${what(active)}?`, "What is done stays done; retry starts them again.", { jobs }) }, jobs === "all" ? "Cancel the run" : "Cancel") : null,
    failed.length ? h("button", { class: "do", "data-key": "retry", onclick: () => sure("retry", `Submit ${what(failed)} again?`, "With the code as it is now. Trainings continue from their newest checkpoint.", { jobs }) }, jobs === "all" ? "Retry what failed" : "Retry") : null,
  ];
}

function sure(action, question, more, values) {
  openDialog(h("h2", {}, question), h("p", { class: "soft" }, more), h("p", {},
    h("button", { class: "do bad", id: "sure", onclick: () => carryOut(action, values) }, action === "cancel" ? "Cancel jobs" : "Submit again"),
    h("button", { class: "do", onclick: close }, "Back")));
}

export function overrideButton(job) {
  if (!state.about.actions) return null;
  return h("button", { class: "do", "data-key": `override-${job}`, onclick: (event) => { event.stopPropagation(); decide(job); } }, "Decide it yourself");
}

function decide(job) {
  const reason = h("input", { type: "text", id: "reason", maxlength: 2000 });
  const send = (decision) => carryOut("override", { job, decision, reason: reason.value });
  openDialog(h("h2", {}, `Decide in place of the gate of ${job}`), h("label", {}, "Why? It is kept with the decision.", reason), h("p", {},
    h("button", { class: "do", id: "let-run", onclick: () => send("run") }, "Let it run"),
    h("button", { class: "do bad", onclick: () => send("skip") }, "Skip it"),
    h("button", { class: "do", onclick: close }, "Back")));
  reason.focus();
}

async function carryOut(action, values) {
  openDialog(h("h2", {}, "working…"));
  let lines;
  let failed = false;
  try {
    lines = await act(state.run, action, values);
  } catch (error) {
    failed = true;
    lines = error instanceof Refused ? error.lines : ["no answer: look at the jobs before you try again"];
  }
  const nothing = action === "retry" ? "nothing more to say" : "nothing was active";
  openDialog(...[h("h2", { class: failed ? "t-fail" : null }, failed ? "Refused" : "Done"), ...(lines.length ? lines : [nothing]).slice(0, 40).map((line) => h("p", {}, line)), lines.length > 40 ? h("p", { class: "soft" }, `and ${lines.length - 40} more`) : null, h("p", {}, h("button", { class: "do", id: "done", onclick: close }, "Close"))].filter(Boolean));
  $("done").focus();
  await poll();
}

$("dialog").addEventListener("click", (event) => {
  if (event.target === $("dialog")) close();
});
