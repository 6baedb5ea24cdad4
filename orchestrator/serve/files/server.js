// Asking the server: each question with what is known already, so that what has not changed is
// neither computed nor sent.

const base = location.pathname; // "/TOKEN/"
const token = base.split("/")[1];
const known = new Map();
const old = new Set(); // answers from before the newest change: they cost too much to make at each

export class Refused extends Error {
  constructor(status, lines) {
    super(lines.join("\n"));
    this.status = status;
    this.lines = lines;
  }
}

async function answered(answer) {
  if (answer.ok) return answer;
  let lines = [`the server says ${answer.status}`];
  try {
    lines = (await answer.json()).errors;
  } catch { /* not one of our answers: a tunnel's, or a proxy's */ }
  throw new Refused(answer.status, lines);
}

export const address = (path) => `${base}api/${path}`;

export const ofRun = (run, question, values = {}) => {
  const query = new URLSearchParams(values).toString();
  return `run/${run.split("/").map(encodeURIComponent).join("/")}/${question}${query ? `?${query}` : ""}`;
};

// The value of a question; the same object as before where nothing has changed.
export async function ask(path) {
  const before = known.get(path);
  const answer = await fetch(address(path), { cache: "no-store", headers: before ? { "If-None-Match": before.tag } : {} });
  if (answer.headers.has("X-Orch-Again")) old.add(path);
  else old.delete(path);
  if (answer.status === 304) return before.value;
  const value = await (await answered(answer)).json();
  const tag = answer.headers.get("ETag");
  if (tag) known.set(path, { tag, value });
  return value;
}

// The same, with the errors that a command would print as a value.
export async function askOrErrors(path) {
  try {
    return await ask(path);
  } catch (error) {
    if (error instanceof Refused && error.status === 409) return { errors: error.lines };
    throw error;
  }
}

export function forget() {
  known.clear();
  old.clear();
}

export const isOld = () => old.size > 0;

// The status since a number: null as value where nothing has changed.
export async function status(run, number, tag) {
  const answer = await fetch(address(ofRun(run, "status", number ? { since: number } : {})), { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
  const header = (name) => Number(answer.headers.get(`X-Orch-${name}`));
  const value = answer.status === 304 ? null : await (await answered(answer)).json();
  return { value, tag: answer.headers.get("ETag"), number: header("Number"), since: header("Since"), read: header("Read"), pause: header("Pause") };
}

// A piece of a log: its bytes, and where the next one begins.
export async function logPiece(run, job, from) {
  const answer = await answered(await fetch(address(ofRun(run, "log", { job, from })), { cache: "no-store" }));
  const header = (name) => Number(answer.headers.get(`X-Orch-${name}`));
  return { bytes: await answer.arrayBuffer(), from: header("From"), next: header("Next"), size: header("Size"), attempt: header("Attempt") };
}

export async function act(run, action, values) {
  const answer = await fetch(address(ofRun(run, action)), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Orch-Token": token },
    body: JSON.stringify(values),
  });
  return (await (await answered(answer)).json()).lines;
}
