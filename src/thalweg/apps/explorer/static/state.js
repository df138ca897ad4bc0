// What is seen, kept in the address, so that a link leads back to it.

const KEYS = ["result", "view", "metric", "split", "log", "on", "at", "against", "quantity", "line", "walker", "step",
  "camera", "theme"];

export const state = {};
let writing = 0;

export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) {
    if (found.has(key)) state[key] = found.get(key);
    else delete state[key];
  }
  return state;
}

// Addresses are written at most every 200 ms: browsers refuse more.
export function keep(changes = {}) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === null || value === "") delete state[key];
    else state[key] = String(value);
  }
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", address(state)), 200);
}

export function address(what) {
  const kept = KEYS.filter((key) => what[key] !== undefined).map((key) => [key, what[key]]);
  return `#${new URLSearchParams(kept)}`;
}

export function numbers(text, count) {
  const found = (text ?? "").split(",").map(Number);
  return found.length === count && found.every(Number.isFinite) ? found : null;
}

export function camera() {
  const n = numbers(state.camera, 9);
  if (!n) return null;
  const at = (k) => ({ x: n[k], y: n[k + 1], z: n[k + 2] });
  return { eye: at(0), center: at(3), up: at(6) };
}

export function keepCamera({ eye, center, up }) {
  const three = (v) => [v.x, v.y, v.z].map((n) => +n.toFixed(4));
  keep({ camera: [...three(eye), ...three(center), ...three(up ?? { x: 0, y: 0, z: 1 })].join() });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
export const theme = () => (["light", "dark"].includes(state.theme) ? state.theme : dark.matches ? "dark" : "light");
export const onSystemTheme = (act) => dark.addEventListener("change", act);
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
