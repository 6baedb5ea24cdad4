// What each axis of a stage changes: a dot for each finished job, a bar for the mean over those
// settings alone that every value of the axis has, so that missing jobs do not shift it.

import { compare, groupBy, h, number, words } from "./basic.js";
import { axisLabels, range, shownValue, ticks, tip, TWO_PANELS } from "./draw.js";

const LINE = 24, MOST_VALUES = 12, MOST_AXES = 6, LETTERS = 14;

export function effects(rows, valueOf, metric, look, width, open) {
  const done = rows.filter((row) => row.state === "COMPLETED" && typeof valueOf(row) === "number");
  const axes = [...new Set(done.flatMap((row) => Object.keys(row.axes)))].filter((axis) => {
    const count = new Set(done.map((row) => shownValue(row.axes[axis] ?? ""))).size;
    return axis !== "seed" && count > 1 && count <= MOST_VALUES;
  }).slice(0, MOST_AXES);
  if (!axes.length) return null;
  const [low, high] = range(done.map(valueOf));
  // As wide as its place in the grid of panels, or its words would be scaled with it.
  const wide = width > TWO_PANELS ? (width - 35) / 2 : width;
  return h("section", {},
    h("h2", {}, "What each axis changes", h("small", {}, `${words(metric)} of ${rows[0].stage}: a dot is a job, a bar the mean over the settings that all values share`)),
    h("div", { class: "panels" }, axes.map((axis) => panel(axis, done, valueOf, { low, high, look, width: wide, open }))));
}

function panel(axis, done, valueOf, { low, high, look, width, open }) {
  const byValue = groupBy([...done].sort((a, b) => compare(a.axes[axis], b.axes[axis], false)), (row) => shownValue(row.axes[axis] ?? ""));
  const rest = (row) => JSON.stringify(Object.entries(row.axes).filter(([name]) => name !== axis));
  const settings = [...byValue.values()].map((members) => new Set(members.map(rest)));
  const shared = [...settings[0]].filter((one) => settings.every((own) => own.has(one)));
  const left = 16 + 7 * Math.min(LETTERS, Math.max(...[...byValue.keys()].map((one) => one.length)));
  const X = (value) => left + ((width - left - 12) * (value - low)) / (high - low);
  const bottom = byValue.size * LINE + 4;
  const marks = ticks(low, high, width < 420 ? 3 : 4);
  const texts = axisLabels(marks);
  const body = marks.flatMap((mark, place) => [
    h("svg:line", { class: "grid", x1: X(mark), x2: X(mark), y1: 0, y2: bottom }),
    h("svg:text", { x: X(mark), y: bottom + 15, "text-anchor": "middle" }, texts[place]),
  ]);
  [...byValue].forEach(([value, members], place) => {
    const y = place * LINE + LINE / 2 + 2;
    const colour = axis === look.main ? look.colour(members[0]) : "n";
    body.push(h("svg:text", { class: "ink", x: left - 10, y: y + 4, "text-anchor": "end" }, value.length > LETTERS ? `${value.slice(0, LETTERS - 1)}…` : value));
    for (const row of members) {
      const dot = h("svg:circle", { class: `b${colour} faint`, cx: X(valueOf(row)), cy: y, r: 4 });
      dot.addEventListener("pointermove", (event) => tip(event, [row.job, number(valueOf(row))]));
      dot.addEventListener("pointerleave", () => tip(null));
      dot.addEventListener("click", () => open(row.job));
      body.push(dot);
    }
    const counted = members.filter((row) => shared.includes(rest(row))).map(valueOf);
    if (!counted.length) return;
    const mean = counted.reduce((a, b) => a + b, 0) / counted.length;
    body.push(h("svg:rect", { class: `b${colour}`, x: X(mean) - 1.5, y: y - 9, width: 3, height: 18 }));
  });
  const means = [...byValue].map(([value, members]) => `${value}: ${members.length} jobs`).join(", ");
  return h("figure", {}, h("figcaption", {}, axis, shared.length ? null : h("small", {}, "no setting has all of its values")), h("svg:svg", { viewBox: `0 0 ${width} ${bottom + 20}`, height: bottom + 20, role: "img", "aria-label": `${axis}, ${means}` }, body));
}
