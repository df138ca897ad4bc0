// The tangent and its error.

class Sampled {
  constructor(told, low, high) {
    Object.assign(this, told, { low, high });
    for (const name of ["value", "slope", "smooth"]) this[name] = unpack(told[name]);
    this.count = this.value.length;
    this.places = Float64Array.from(this.value, (_, k) => low + ((high - low) * k) / (this.count - 1));
  }

  // Value and slope at x: cubic where the sampling found cubics right, else linear.
  at(x) {
    const width = (this.high - this.low) / (this.count - 1);
    const place = clamp((x - this.low) / width, 0, this.count - 1);
    const node = Math.round(place);
    if (Math.abs(place - node) < 1e-9) return [this.value[node], this.slope[node]];
    const k = Math.min(Math.floor(place), this.count - 2);
    const [t, a, b] = [place - k, this.value[k], this.value[k + 1]];
    if (!this.smooth[k]) return [a + t * (b - a), (b - a) / width];
    const [p, q] = [this.slope[k] * width, this.slope[k + 1] * width];
    const [c2, c3] = [3 * (b - a) - 2 * p - q, 2 * (a - b) + p + q];
    return [a + t * (p + t * (c2 + t * c3)), (p + t * (2 * c2 + 3 * t * c3)) / width];
  }

  // Room for the function; one that runs off is cut.
  get room() {
    const sorted = this.value.filter(Number.isFinite).sort();
    const [low, high] = [sorted[0] ?? -1, sorted[sorted.length - 1] ?? 1];
    const middle = [0.05, 0.95].map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
    const most = 3 * (middle[1] - middle[0]) || 1;
    const [bottom, top] = [Math.max(low, middle[0] - most), Math.min(high, middle[1] + most)];
    const margin = 0.3 * (top - bottom || 1);
    return [bottom - margin, top + margin];
  }
}

const KEYS = [["function", "function"], ["tangent", "tangent"], ["epsilon", "ε"], ["error", "error"]];

function render({ model, el }) {
  const stage = new Stage({ model, el });
  const [low, high] = [model.get("low"), model.get("high")];
  const known = new Map();
  const sampled = () => {
    const name = model.get("function");
    if (!known.has(name)) known.set(name, new Sampled(model.get("functions")[name], low, high));
    return known.get(name);
  };
  const top = block(stage.root, "div", "row");
  const names = Object.entries(model.get("functions"));
  const list = choice(stage, top, {
    label: "Function", value: model.get("function"), options: names.map(([key, told]) => [key, told.formula]),
    change: (name) => stage.set({ function: name }),
  });
  const legend = block(top, "div", "numbers");
  for (const [key, words] of KEYS) block(legend, "span", "key", words).style.setProperty("--key", `var(--thalweg-${key})`);
  const both = block(stage.root, "div", "columns");
  const main = new Chart(stage, both, {
    x: [low, high], y: sampled().room, height: 460, zero: true, xLabel: "x", yLabel: "f(x)", label: "The function and its tangent",
  });
  const side = block(both, "div");
  const reach = (high - low) / 2;
  const small = { x: [-reach, reach], y: [-1, 1], height: 225, zero: true, xLabel: "ε" };
  const errors = new Chart(stage, side, { ...small, yLabel: "error", label: "The error over epsilon" });
  const ratios = new Chart(stage, side, { ...small, yLabel: "error ÷ ε", label: "The error divided by epsilon, over epsilon" });
  const rails = block(stage.root, "div", "row");
  const controls = {
    x: slider(stage, rails, { label: "x", min: low, max: high, value: model.get("x"), input: (x) => stage.set({ x }) }),
    moved: slider(stage, rails, { label: "x + ε", min: low, max: high, value: model.get("moved"), input: (moved) => stage.set({ moved }) }),
  };
  const told = block(stage.root, "p", "numbers");
  told.setAttribute("aria-live", "polite");
  const note = block(stage.root, "p", "note");

  const draw = () => {
    const f = sampled();
    const [x, moved] = [model.get("x"), model.get("moved")];
    const [value, slope] = f.at(x);
    const [true_] = f.at(moved);
    const epsilon = moved - x;
    const near = value + slope * epsilon;
    const clean = (number) => (Math.abs(number) < 1e-10 * (1 + Math.abs(true_)) ? 0 : number); // what the sampling leaves of nought
    const error = clean(near - true_);
    main.range({ y: f.room });
    main.line("function", f.places, f.value, { color: "function", width: 3.5 });
    main.line("tangent", [low, high], [value + slope * (low - x), value + slope * (high - x)], { color: "tangent", width: 4 });
    main.bar("epsilon", x, value, moved, value, { color: "epsilon", width: 6 });
    main.bar("error", moved, near, moved, true_, { color: "error", width: 6 });
    main.dot("point", x, value, { color: "point", radius: 10 });
    main.dot("moved", moved, true_, { color: "moved", radius: 10 });
    besides(f, x, value, slope, epsilon, error);
    for (const [name, control] of Object.entries(controls)) control.set(model.get(name));
    list.set(model.get("function"));
    tell(told, [["f(x)", clean(value)], ["slope f′(x)", clean(slope)], ["ε", epsilon, "epsilon"], ["tangent f(x) + f′(x)·ε", clean(near), "tangent"],
      ["f(x + ε)", clean(true_), "moved"], ["error", error, "error"], ["error ÷ ε", epsilon === 0 ? NaN : error / epsilon]]);
    note.textContent = f.kinks.includes(x) ? `No derivative at x = ${say(x)}: the slope ${say(slope)} is a convention of automatic differentiation.` : "";
  };

  // Both curves keep their axes while epsilon moves, and change with x.
  const besides = (f, x, value, slope, epsilon, error) => {
    const count = 400;
    const [es, rs, at] = [new Float64Array(count + 1), new Float64Array(count + 1), new Float64Array(count + 1)];
    for (let k = 0; k <= count; k++) {
      at[k] = -reach + (2 * reach * k) / count;
      const inside = x + at[k] >= low - 1e-12 && x + at[k] <= high + 1e-12;
      es[k] = inside ? value + slope * at[k] - f.at(x + at[k])[0] : NaN;
      rs[k] = Math.abs(at[k]) < 1e-9 ? NaN : es[k] / at[k];
    }
    const room = (values) => {
      const most = Math.max(0.1, ...values.filter(Number.isFinite).map(Math.abs)) * 1.1;
      return [-most, most];
    };
    errors.range({ y: room(es) });
    ratios.range({ y: room(rs) });
    errors.line("error", at, es, { color: "error" });
    errors.dot("here", epsilon, error, { color: "moved" });
    ratios.line("ratio", at, rs, { color: "error" });
    ratios.dot("here", epsilon, epsilon === 0 ? 0 : error / epsilon, { color: "moved", hollow: epsilon === 0 });
  };

  let nearer = "moved";
  main.press((at, _, event) => {
    if (event.type === "pointerdown") nearer = Math.abs(at - model.get("x")) < Math.abs(at - model.get("moved")) ? "x" : "moved";
    stage.set({ [nearer]: Number(at.toFixed(2)) });
  });
  for (const name of ["function", "x", "moved", "functions"]) stage.on(name, draw);
  draw();
  return () => stage.close();
}

function tell(parent, rows) {
  parent.replaceChildren();
  for (const [words, number, color] of rows) {
    const one = block(parent, "span", color ? "key" : "");
    if (color) one.style.setProperty("--key", `var(--thalweg-${color})`);
    one.append(`${words} = `);
    block(one, "b", "", say(number)).dataset.value = words;
  }
}

export default { render };
