// A line across the map: dragged or typed, and the profile of the surface along it.

import { plotly } from "./ask.js";
import { hop, number } from "./grid.js";
import { color } from "./state.js";

const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false };
const SPLITS = [["train", "solid"], ["test", "dash"]];

// Turns drags on a map into lines; `wanted` says whether they should, `drawn(line, done)` hears of them.
export function dragging(plot, wanted, drawn) {
  let from = null;
  plot.addEventListener("pointerdown", (event) => {
    const at = wanted() && event.button === 0 ? place(plot, event) : null;
    if (!at) return;
    from = at;
    plot.setPointerCapture(event.pointerId);
    event.preventDefault();
    plot.focus({ preventScroll: true });
  }, true);
  plot.addEventListener("pointermove", (event) => {
    if (from) drawn([...from, ...place(plot, event, true)], false);
  }, true);
  for (const end of ["pointerup", "pointercancel"]) {
    plot.addEventListener(end, (event) => {
      if (!from) return;
      const line = [...from, ...place(plot, event, true)];
      from = null;
      if (end === "pointerup") drawn(line, true);
    }, true);
  }
}

// Coordinates under the pointer; null beside the map, or its border if `kept` within.
export function place(plot, event, kept = false) {
  const { xaxis, yaxis } = plot._fullLayout ?? {};
  if (!xaxis) return null;
  const box = plot.getBoundingClientRect();
  let [px, py] = [event.clientX - box.left - xaxis._offset, event.clientY - box.top - yaxis._offset];
  if (kept) [px, py] = [Math.min(Math.max(px, 0), xaxis._length), Math.min(Math.max(py, 0), yaxis._length)];
  if (px < 0 || py < 0 || px > xaxis._length || py > yaxis._length) return null;
  return [xaxis.p2d(px), yaxis.p2d(py)];
}

// The line as shapes of a map.
export function shapes(line) {
  if (!line) return [];
  const [x0, y0, x1, y1] = line;
  const between = { type: "line", x0, y0, x1, y1, layer: "above" };
  return [
    { ...between, line: { color: "#16243a", width: 5.5 } },
    { ...between, line: { color: "#ffd34d", width: 3 } },
    dot(x0, y0, 5.5, "#ffd34d"),
    dot(x1, y1, 5.5, "#16243a"),
  ];
}

export function dot(x, y, radius, fill, rim = "#16243a") {
  return {
    type: "circle", xsizemode: "pixel", ysizemode: "pixel", xanchor: x, yanchor: y, x0: -radius, x1: radius,
    y0: -radius, y1: radius, fillcolor: fill, line: { color: rim, width: 2 }, layer: "above",
  };
}

// Both columns of a comparison, training and test data of the metric, along one line.
export async function profile(plot, line, columns, log) {
  const { grid } = columns[0];
  const length = Math.hypot(line[2] - line[0], line[3] - line[1]);
  const data = columns.flatMap((column, k) => curves(line, column, k, grid.commensurate ? length : 1, columns.length > 1));
  const across = grid.commensurate
    ? `distance along the line, from (${at(grid, line, 0)}) to (${at(grid, line, 2)})`
    : `share of the line, from (${at(grid, line, 0)}) to (${at(grid, line, 2)})`;
  const axis = {
    gridcolor: color("grid"), linecolor: color("muted"), showline: true, ticks: "outside", zeroline: false, automargin: true,
  };
  const layout = {
    font: { family: color("font"), size: 14, color: color("text") },
    paper_bgcolor: color("paper"), plot_bgcolor: color("paper"), autosize: true, hovermode: "x unified",
    hoverlabel: { bgcolor: color("paper"), bordercolor: color("muted"), font: { color: color("text") } },
    margin: { l: 76, r: 30, t: 34, b: 56 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, title: { text: across }, range: [0, grid.commensurate ? length || 1 : 1] },
    yaxis: { ...axis, title: { text: quantity(columns[0]) }, type: log ? "log" : "linear" },
  };
  await (await plotly).react(plot, data, layout, CONFIG);
}

function curves(line, column, k, length, compared) {
  const found = SPLITS.map(([split, dash]) => [split, dash, column.grids.get(split)]).filter(([, , grid]) => grid);
  return found.map(([split, dash, grid]) => {
    const { share, values } = grid.along(line);
    const metric = column.metric === "loss" ? "loss" : "other";
    const hue = compared ? color(`path-${[0, 3][k]}`) : color(`${metric}-${split}`);
    return {
      type: "scatter", mode: "lines", name: compared ? `${"AB"[k]}: ${grid.title}` : grid.title,
      x: share.map((s) => s * length), y: values.map((v) => (Number.isFinite(v) ? v : null)),
      connectgaps: false, line: { color: hue, width: 3, dash: compared ? dash : split === "test" ? "dash" : "solid" },
      hovertemplate: "%{y:.5~g}<extra>%{fullData.name}</extra>",
    };
  });
}

// The metric with its unit, whatever the data.
function quantity({ metric, grid }) {
  const name = metric.replaceAll("_", " ");
  const unit = grid.title.match(/ \[.*\]$/)?.[0] ?? "";
  return name[0].toUpperCase() + name.slice(1) + unit;
}

function at(grid, line, k) {
  return `${grid.x.symbol} ${number(line[k], 3)}, ${grid.y.symbol} ${number(line[k + 1], 3)}`;
}

// A keyboard's cursor: the next grid point in the direction of an arrow.
export function moved(grid, [x, y], key, fast) {
  const by = fast ? 5 : 1;
  const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] }[key];
  return [dx ? hop(grid.x.values, x, dx) : x, dy ? hop(grid.y.values, y, dy) : y];
}

export function cross(x, y) {
  const path = "M-12,0L-4,0M4,0L12,0M0,-12L0,-4M0,4L0,12";
  const at = { type: "path", path, xsizemode: "pixel", ysizemode: "pixel", xanchor: x, yanchor: y, layer: "above" };
  return [{ ...at, line: { color: "#16243a", width: 5 } }, { ...at, line: { color: "#fff", width: 2 } }];
}
