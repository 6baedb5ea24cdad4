// Drawings, each for the width that it has, so that words stay as large as the page's.

import { $, clock, h, number } from "./basic.js";

const LEFT = 46, RIGHT = 10, TOP = 8, HEIGHT = 190, BOTTOM = 34;
const COLOURS = 6;
const GOES_ON = new Set(["COMPLETED", "RUNNING", "COMPLETING", "SUSPENDED", "PENDING", "WAITING"]);

// Numbers 1, 2 or 5 times a power of ten apart, about four of them within the range.
export function ticks(low, high, about = 4) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / about));
  const step = [1, 2, 5, 10].map((one) => one * power).reduce((a, b) => (Math.abs(b - span / about) < Math.abs(a - span / about) ? b : a));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step || 0); // never -0
  return found;
}

export function axisLabels(values) {
  const step = values.length > 1 ? values[1] - values[0] : 0;
  const digits = step ? Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9))) : 3;
  const large = Math.max(...values.map(Math.abs)) >= 1e6 || (step && step < 1e-6);
  return values.map((one) => (large ? one.toExponential(1) : one.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })).replaceAll("-", "−"));
}

// The range of what is drawn with a little room; of shares never beyond 0 and 1.
export function range(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.04 * (high - low || Math.abs(high) || 1);
  const inside = low >= 0 && high <= 1;
  return [inside ? Math.max(0, low - room) : low - room, inside ? Math.min(1, high + room) : high + room];
}

// Lines of one label as one, as far as all of them go: their mean, the least and greatest, and what
// single ones have beyond that. Long curves come thinned, each at steps of its own, so a value
// between two steps is read off the line between them.
export function together(lines) {
  if (lines.length === 1) return { mean: lines[0].points, band: null, beyond: [] };
  const first = Math.max(...lines.map((line) => line.points[0][0]));
  const last = Math.min(...lines.map((line) => line.points.at(-1)[0]));
  const steps = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))].filter((x) => x >= first && x <= last).sort((a, b) => a - b);
  const all = lines.map((line) => valuesAt(line.points, steps));
  const at = (place) => all.map((values) => values[place]);
  return {
    mean: steps.map((x, place) => [x, at(place).reduce((a, b) => a + b, 0) / lines.length]),
    band: steps.map((x, place) => [x, Math.min(...at(place)), Math.max(...at(place))]),
    beyond: lines.map((line) => line.points.filter((point) => point[0] >= last)).filter((points) => points.length > 1),
  };
}

// The values of a line at these steps, which lie within it; both rise.
function valuesAt(points, steps) {
  let place = 0;
  return steps.map((x) => {
    while (place < points.length - 1 && points[place + 1][0] <= x) place += 1;
    const [[from, low], [to, high]] = [points[place], points[place + 1] ?? points[place]];
    return to > from ? low + ((high - low) * (x - from)) / (to - from) : low;
  });
}

// What a panel shows of jobs that are alike. One that died is no part of their mean.
function merged(group) {
  const whole = group.lines.filter((line) => line.points.length && !line.died);
  const lines = whole.length ? whole : group.lines.filter((line) => line.points.length);
  if (!lines.length) return [];
  const { beyond, ...both } = together(lines);
  const dead = group.lines.filter((line) => line.points.length && !lines.includes(line));
  const alone = (points, died) => ({ ...group, mean: points, band: null, thin: true, aside: true, died });
  return [{ ...group, ...both, thin: false, died: !whole.length }, ...beyond.map((points) => alone(points, !whole.length)), ...dead.map((line) => alone(line.points, true))];
}

// Pixels from which two panels stand side by side, by .panels of the style.
export const TWO_PANELS = 870;

// groups: [{label, colour, dash, lines: [{points}]}]; one panel of one metric.
export function curves(groups, { name, detail, width, apart = false }) {
  const drawn = groups.flatMap((group) => {
    if (apart) return group.lines.map((line) => ({ ...group, mean: line.points, band: null, thin: group.lines.length > 1, died: line.died }));
    return merged(group);
  }).filter((one) => one.mean.length);
  const caption = h("figcaption", {}, name, detail ? h("small", {}, detail) : null);
  if (!drawn.length) return h("figure", {}, caption, h("p", { class: "soft" }, "no values yet"));
  const xs = drawn.flatMap((one) => one.mean.map((point) => point[0]));
  const ys = drawn.flatMap((one) => [...one.mean.map((point) => point[1]), ...(one.band ?? []).flatMap((point) => [point[1], point[2]])]);
  const [low, high] = range(ys);
  const last = Math.max(...xs, 1);
  const [w, bottom] = [Math.max(width, 160), HEIGHT - BOTTOM];
  const marks = ticks(low, high);
  const texts = axisLabels(marks);
  const left = Math.max(LEFT, 10 + 7 * Math.max(...texts.map((one) => one.length)));
  const X = (x) => left + ((w - left - RIGHT) * x) / last;
  const Y = (y) => bottom - ((bottom - TOP) * (y - low)) / (high - low);
  const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  const body = [];
  marks.forEach((mark, place) => {
    body.push(h("svg:line", { class: "grid", x1: left, x2: w - RIGHT, y1: Y(mark), y2: Y(mark) }));
    body.push(h("svg:text", { x: left - 7, y: Y(mark) + 4, "text-anchor": "end" }, texts[place]));
  });
  const steps = ticks(0, last, w < 380 ? 3 : 5).filter((one) => Number.isInteger(one));
  axisLabels(steps).forEach((text, place) => {
    body.push(h("svg:text", { x: X(steps[place]), y: bottom + 15, "text-anchor": place ? "middle" : "start" }, text));
  });
  body.push(h("svg:text", { x: (left + w - RIGHT) / 2, y: bottom + 30, "text-anchor": "middle" }, "step"));
  body.push(h("svg:line", { class: "axis", x1: left, x2: w - RIGHT, y1: bottom, y2: bottom }));
  for (const one of drawn) {
    if (one.band) body.push(h("svg:path", { class: `band b${one.colour}`, d: `${path(one.band.map(([x, , y]) => [x, y]))}${path([...one.band].reverse().map(([x, y]) => [x, y])).replace("M", "L")}Z` }));
  }
  for (const one of drawn) {
    if (one.mean.length === 1) body.push(h("svg:circle", { class: `b${one.colour}`, cx: X(one.mean[0][0]), cy: Y(one.mean[0][1]), r: 3 }));
    else body.push(h("svg:path", { class: `line k${one.colour} d${one.dash}${one.thin ? " thin" : ""}`, d: path(one.mean) }));
  }
  for (const one of drawn.filter((each) => each.died)) {
    const [x, y] = one.mean.at(-1);
    body.push(h("svg:path", { class: `line k${one.colour}`, d: `M${X(x) - 3} ${Y(y) - 3}l6 6m-6 0l6 -6` }));
  }
  const cursor = h("svg:line", { class: "axis", y1: TOP, y2: bottom, visibility: "hidden" });
  const label = `${name}${detail ? `, ${detail}` : ""}: ${groups.map((one) => `${one.label || "value"} ${number(lastOf(one.lines))}`).slice(0, 12).join("; ")}`;
  const picture = h("svg:svg", { viewBox: `0 0 ${w} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": label }, body, cursor);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = (((event.clientX - box.left) * w) / box.width - left) / (w - left - RIGHT) * last;
    const step = nearest(xs, x);
    const lines = drawn.filter((one) => !one.aside).slice(0, 10).map((one) => [one.label, one.mean.find((point) => point[0] === step)]).filter(([, point]) => point);
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", X(step));
    cursor.setAttribute("x2", X(step));
    tip(event, [`step ${number(step)}`, ...lines.map(([text, point]) => `${text ? `${text}: ` : ""}${number(point[1])}`)]);
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    tip(null);
  });
  return h("figure", {}, caption, picture);
}

function lastOf(lines) {
  const values = lines.filter((line) => line.points.length).map((line) => line.points.at(-1)[1]);
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

function nearest(values, wanted) {
  return values.reduce((best, one) => (Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best));
}

export function tip(event, lines = []) {
  const box = $("tip");
  box.hidden = !event;
  if (!event) return;
  box.textContent = lines.join("\n");
  const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
  const top = event.clientY + 16 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 10 : event.clientY + 16;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, top)}px`;
}

export function key(groups) {
  return h("ul", { class: "key", "aria-label": "What the lines mean" }, groups.map((one) => h("li", {}, h("svg:svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, h("svg:path", { class: `line k${one.colour} d${one.dash}`, d: "M1 4H21" })), one.label)));
}

// How lines of a panel are to be read.
export const reading = (groups) => `lines are means over like jobs, bands from the least to the greatest${groups.some((one) => one.lines.some((line) => line.died)) ? ", × where jobs ended early" : ""}`;

// Which colour a job has, the same in every panel and table. As the server says it, the axis and the
// places are those of `orch page` and of the reports; a person may choose another axis.
export function looks(rows, by, given) {
  const values = new Map();
  for (const row of rows) {
    for (const [axis, value] of Object.entries(row.axes)) {
      const found = values.get(axis) ?? values.set(axis, new Map()).get(axis);
      const text = shownValue(value);
      if (!found.has(text)) found.set(text, found.size);
    }
  }
  const axes = [...values.keys()].filter((axis) => axis !== "seed" && values.get(axis).size > 1);
  const own = axes.includes(by) && by !== given?.axis;
  const main = own ? by : (given?.axis ?? "");
  const places = own ? values.get(main) : new Map((given?.values ?? []).map(([value, place]) => [shownValue(value), place]));
  return {
    axes,
    main,
    own,
    values: places,
    colour(row) {
      // A job that has no value of the axis has none of its colours either.
      if (main && row.axes[main] === undefined) return "n";
      const place = main ? (places.get(shownValue(row.axes[main])) ?? 0) : 0;
      return place < 2 * COLOURS ? place % COLOURS : "n";
    },
    label(row, inStage) {
      return axes.filter((axis) => row.axes[axis] !== undefined && inStage.get(axis)?.size > 1).map((axis) => `${axis} ${shownValue(row.axes[axis])}`).join(", ");
    },
  };
}

export const shownValue = (value) => (typeof value === "string" ? value : JSON.stringify(value));

// The curves of a stage's jobs by what tells them apart, with their colours and kinds of line.
export function grouped(list, rows, look) {
  const groups = new Map();
  const inStage = new Map();
  const others = new Map();
  if (look.own) {
    for (const curve of list) {
      for (const [axis, value] of Object.entries(rows.get(curve.job)?.axes ?? {})) {
        const found = inStage.get(axis) ?? inStage.set(axis, new Set()).get(axis);
        found.add(shownValue(value));
      }
    }
  }
  for (const curve of list) {
    const row = rows.get(curve.job);
    if (!row) continue;
    const label = look.own ? look.label(row, inStage) : curve.label;
    if (!groups.has(label)) {
      let [colour, dash] = [curve.colour ?? "n", curve.line];
      if (look.own) {
        const rest = look.axes.filter((axis) => axis !== look.main && inStage.get(axis)?.size > 1).map((axis) => row.axes[axis]).join("/");
        if (!others.has(rest)) others.set(rest, others.size);
        [colour, dash] = [look.colour(row), others.get(rest) % 4];
      }
      groups.set(label, { label, colour, dash, lines: [] });
    }
    groups.get(label).lines.push({ ...curve, died: !GOES_ON.has(row.state) });
  }
  return [...groups.values()];
}

// When each job ran: a bar for each start in lanes below each other, or of many the number at once.
export function timeline(rows, starts, now, width, kindOf, open) {
  const bars = [];
  for (const row of rows) {
    if (!row.started || row.reused) continue;
    bars.push({ row, from: row.started, to: row.ended ?? now, kind: kindOf(row.state), wait: row.submitted });
  }
  for (const start of starts) {
    const row = start.row;
    if (start.started !== row.started) bars.push({ row, from: start.started, to: start.ended ?? start.started, kind: start.outcome === "died" ? "fail" : start.outcome === "results" ? "done" : "wait" });
  }
  if (!bars.length) return h("p", { class: "soft" }, "No job has started yet.");
  const first = Math.min(...bars.map((bar) => Math.min(bar.from, bar.wait ?? bar.from)));
  const last = Math.max(...bars.map((bar) => bar.to), first + 1);
  const narrow = width < 560;
  const stages = [...new Set(bars.map((bar) => bar.row.stage))];
  const longest = Math.max(...stages.map((one) => one.length));
  const left = narrow ? 0 : Math.min(210, 16 + 7 * longest);
  const X = (t) => left + ((width - left - 4) * (t - first)) / (last - first);
  const body = [];
  let y = 4;
  const counted = bars.length > 400;
  for (const stage of stages) {
    const own = bars.filter((bar) => bar.row.stage === stage).sort((a, b) => a.from - b.from);
    const lanes = [];
    for (const bar of own) {
      let lane = lanes.findIndex((end) => end <= bar.from + (last - first) * 1e-4);
      if (lane < 0) lane = lanes.push(0) - 1;
      lanes[lane] = bar.to;
      bar.lane = lane;
    }
    if (narrow) {
      body.push(h("svg:text", { class: "ink", x: 0, y: y + 11 }, cutName(stage, Math.floor(width / 7.5))));
      y += 16;
    }
    const many = counted || lanes.length > 8;
    const high = many ? 36 : Math.max(12, lanes.length * 8);
    if (!narrow) body.push(h("svg:text", { class: "ink", x: left - 10, y: y + Math.min(high / 2, 24) + 4, "text-anchor": "end" }, cutName(stage, Math.floor((left - 10) / 6.6))));
    body.push(...(many ? area(own, X, y, high, first, last, width, left) : own.map((bar) => oneBar(bar, X, y, lanes.length === 1 ? 12 : 7, open))));
    y += high + 8;
  }
  const span = last - first;
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].find((one) => span / one <= (narrow ? 3 : 6)) ?? span;
  const lines = [];
  for (let t = 0; t <= span * 1.0001; t += step) {
    const end = X(first + t) > width - 24;
    lines.push(h("svg:line", { class: "grid", x1: X(first + t), x2: X(first + t), y1: 0, y2: y }));
    lines.push(h("svg:text", { x: X(first + t), y: y + 14, "text-anchor": end ? "end" : t ? "middle" : "start" }, t ? clock(t) : "0"));
  }
  const label = `When jobs ran: ${stages.length} stages, ${clock(span)} from the first to the last`;
  return h("svg:svg", { viewBox: `0 0 ${width} ${y + 20}`, height: y + 20, role: "img", "aria-label": label }, lines, body);
}

const cutName = (text, letters) => (text.length > letters ? `${text.slice(0, Math.max(4, letters - 1))}…` : text);

function oneBar(bar, X, y, high, open) {
  const name = `${bar.row.job}: ${clock(bar.to - bar.from)}`;
  const made = h("svg:rect", { class: `f-${bar.kind}`, x: X(bar.from).toFixed(1), y: y + bar.lane * 8, width: Math.max(1.5, X(bar.to) - X(bar.from)).toFixed(1), height: high, rx: 2 });
  made.addEventListener("pointermove", (event) => tip(event, [name]));
  made.addEventListener("pointerleave", () => tip(null));
  made.addEventListener("click", () => open(bar.row.job));
  return made;
}

// How many ran at once, and marks where some died.
function area(bars, X, y, high, first, last, width, left) {
  const parts = Math.max(20, Math.floor((width - left) / 4));
  const size = (last - first) / parts;
  const change = new Array(parts + 1).fill(0);
  const place = (t) => Math.max(0, Math.min(parts - 1, Math.floor((t - first) / size)));
  for (const bar of bars) {
    change[place(bar.from)] += 1;
    change[place(bar.to) + 1] -= 1;
  }
  const counts = [];
  let now = 0;
  for (let part = 0; part < parts; part += 1) counts.push((now += change[part]));
  const most = Math.max(...counts, 1);
  const d = counts.map((count, part) => `L${X(first + part * size).toFixed(1)} ${(y + high - (high * count) / most).toFixed(1)}H${X(first + (part + 1) * size).toFixed(1)}`).join("");
  const kind = bars.some((bar) => bar.kind === "run") ? "run" : "done";
  const died = new Set(bars.filter((bar) => bar.kind === "fail").map((bar) => place(bar.to)));
  const picture = h("svg:path", { class: `f-${kind}`, d: `M${X(first)} ${y + high}${d}V${y + high}Z` });
  picture.addEventListener("pointermove", (event) => tip(event, [`at most ${most} of ${bars.length} at once`]));
  picture.addEventListener("pointerleave", () => tip(null));
  return [picture, ...[...died].map((part) => h("svg:rect", { class: "f-fail", x: X(first + part * size), y, width: 2, height: 8 }))];
}
