// What one column of the view shows: a quantity of a surface, its values, and what is drawn on it.

import { ask } from "./ask.js";
import { Grid, height } from "./grid.js";
import { state } from "./state.js";

// What a column shows: of the first the metric and split that are chosen, of the second the quantity.
export function column(result, k) {
  const { variables, offers } = result.surface;
  const metric = variables.some((one) => one.metric === state.metric) ? state.metric : variables[0].metric;
  const same = variables.filter((one) => one.metric === metric);
  const wanted = k
    ? variables.find((one) => one.name === state.quantity)
    : same.find((one) => one.split === (state.split ?? "train"));
  const shown = wanted ?? (k ? variables : same)[0];
  const chosen = !k && state.on !== undefined ? state.on.split(",") : offers.filter((one) => one.on).map((one) => one.id);
  return {
    ...shown, name: result.name, variable: shown.name, variables,
    on: chosen.filter((id) => offers.some((one) => one.id === id)).join(), at: k ? "" : state.at,
  };
}

export function asked(columns, k) {
  const own = columns[k];
  const other = columns[1 - k];
  const told = { name: own.name, variable: own.variable, log: state.log ?? "auto", on: own.on, at: own.at };
  return other ? { ...told, like: other.name, like_variable: other.variable, like_at: other.at } : told;
}

export async function values(one) {
  one.grids = new Map();
  const same = one.variables.filter((other) => other.metric === one.metric);
  await Promise.all(same.map(async (other) => {
    const told = await ask("grid", { name: one.name, variable: other.name, at: one.at });
    one.grids.set(other.split, new Grid(told));
  }));
  one.grid = one.grids.get(one.split);
}

// Line, cursor and walkers on the surface of a column; walkers know their heights on the first.
export function trail(one, own, cut, cross, places) {
  const lift = 0.012 * (one.range[1] - one.range[0]); // of the line; markers stand higher, above the tube of a path
  const up = (x, y) => height(one.grid.at(x, y), one) + lift;
  const points = places.map((p) => ({ ...p, z: (own && p.z !== null ? p.z : up(p.x, p.y)) + 3 * lift, size: places.length > 1 ? 5 : 13 }));
  if (cross) points.push({ x: cross[0], y: cross[1], z: up(...cross), color: "#16243a", size: 10 });
  const line = cut ? one.grid.along(cut, 201) : { share: [] };
  const [x0, y0, x1, y1] = cut ?? [];
  const finite = (v) => (Number.isFinite(v) ? v : null);
  const all = (key) => (points.length ? points.map((p) => p[key] ?? null) : [null]);
  return {
    line: {
      x: line.share.map((t) => x0 + t * (x1 - x0)).concat(null),
      y: line.share.map((t) => y0 + t * (y1 - y0)).concat(null),
      z: (line.values ?? []).map((v) => finite(height(v, one) + lift)).concat(null),
    },
    points: { x: all("x"), y: all("y"), z: all("z").map(finite), rim: all("color"), size: all("size") },
  };
}
