// A fit by hand, and by descent.

class Landscape {
  constructor(told) {
    Object.assign(this, told);
    for (const name of ["x", "y", "prediction", "loss", "slope", "truth"]) if (told[name]) this[name] = unpack(told[name]);
    this.count = this.prediction.shape.at(-1);
    const [low, high] = this.extent;
    this.inputs = Float64Array.from({ length: this.count }, (_, k) => low + ((high - low) * k) / (this.count - 1));
  }

  // Weights of n evenly spaced nodes for the polynomial through them.
  weights(place, n) {
    return Array.from({ length: n }, (_, j) => {
      let weight = 1;
      for (let k = 0; k < n; k++) if (k !== j) weight *= (place - k) / (j - k);
      return weight;
    });
  }

  // [share, node] of every corner of a table with n nodes along each parameter.
  corners(theta, n) {
    let found = [[1, 0]];
    theta.forEach((value, axis) => {
      const place = ((value - this.low[axis]) / (this.high[axis] - this.low[axis])) * (n - 1);
      found = found.flatMap(([share, node]) => this.weights(place, n).map((w, j) => [share * w, node * n + j]));
    });
    return found;
  }

  // Two neighbouring places of a long table and the share between them; null beyond its ends.
  between(theta, n) {
    const place = ((theta[0] - this.low[0]) / (this.high[0] - this.low[0])) * (n - 1);
    if (!(place >= -1e-9 && place <= n - 1 + 1e-9)) return null;
    const k = clamp(Math.floor(place), 0, n - 2);
    return [k, place - k];
  }

  curve(theta) {
    const found = new Float64Array(this.count);
    const add = (share, row) => { for (let k = 0; k < this.count; k++) found[k] += share * this.prediction[row * this.count + k]; };
    if (!this.slope) for (const [share, row] of this.corners(theta, this.prediction.shape[0])) add(share, row);
    else {
      const near = this.between(theta, this.prediction.shape[0]);
      if (!near) return found.fill(NaN);
      add(1 - near[1], near[0]);
      add(near[1], near[0] + 1);
    }
    return found;
  }

  // The loss and its gradient.
  at(theta) {
    if (!this.slope) return this.parabola(theta);
    const [n, near] = [this.loss.length, this.between(theta, this.loss.length)];
    if (!near) return [NaN, [NaN]];
    const width = (this.high[0] - this.low[0]) / (n - 1);
    const [[k, t], a, b] = [near, this.loss[near[0]], this.loss[near[0] + 1]];
    const [p, q] = [this.slope[k] * width, this.slope[k + 1] * width];
    const [c2, c3] = [3 * (b - a) - 2 * p - q, 2 * (a - b) + p + q];
    return [a + t * (p + t * (c2 + t * c3)), [(p + t * (2 * c2 + 3 * t * c3)) / width]];
  }

  parabola(theta) {
    const value = (at) => this.corners(at, this.loss.shape[0]).reduce((sum, [share, node]) => sum + share * this.loss[node], 0);
    const slope = theta.map((_, axis) => {
      const reach = (this.high[axis] - this.low[axis]) / 2;
      const moved = (sign) => theta.map((v, k) => (k === axis ? v + sign * reach : v));
      return (value(moved(1)) - value(moved(-1))) / (2 * reach); // exact for a parabola
    });
    return [value(theta), slope];
  }

  get room() {
    const [low, high] = [Math.min(...this.y), Math.max(...this.y)];
    return [low - 0.25 * (high - low), high + 0.25 * (high - low)];
  }
}

function render({ model, el }) {
  const stage = new Stage({ model, el });
  const known = new Map();
  const task = () => {
    const name = model.get("task");
    if (!known.has(name)) known.set(name, new Landscape(model.get("tasks")[name]));
    return known.get(name);
  };
  let [playing, resting, quiet] = [null, null, false];

  const top = block(stage.root, "div", "row");
  const names = Object.entries(model.get("tasks"));
  const list = choice(stage, top, {
    label: "Model", value: model.get("task"), options: names.map(([key, told]) => [key, `${key}: ${told.formula}`]),
    change: (name) => change(name),
  });
  const told = block(top, "p", "numbers");
  told.setAttribute("aria-live", "polite");
  const both = block(stage.root, "div", "columns");
  const main = new Chart(stage, both, { x: [-10, 10], y: [-1, 1], height: 480, zero: true, xLabel: "x", yLabel: "y", label: "Data and model" });
  const side = block(both, "div");
  const small = { x: [0, 1], y: [0, 1], height: 235 };
  const over = block(side, "div");
  const errors = new Chart(stage, side, { ...small, xLabel: "change", yLabel: "MSE", label: "The error over the changes" });
  const rails = block(stage.root, "div", "row");
  const bottom = block(stage.root, "div", "row");
  const rate = slider(stage, bottom, { label: "Learning rate", min: 0.0001, max: 10, log: true, value: model.get("lr"), input: (lr) => stage.set({ lr }) });
  const pace = slider(stage, bottom, { label: "Steps", min: 1, max: 200, step: 1, value: model.get("steps"), input: (steps) => stage.set({ steps }) });
  const buttons = block(stage.root, "div", "row");
  button(stage, buttons, { label: "Descend from here", press: () => ask() });
  button(stage, buttons, { label: "Back to the start", press: () => { stop(); move(task().start); settle(); } });
  button(stage, buttons, { label: "Clear the record", press: () => clear() });
  const shown = { truth: false, loss: false };
  tick(stage, buttons, { label: "Show the truth", value: false, change: (on) => { shown.truth = on; draw(); } });
  tick(stage, buttons, { label: "Show the loss over the parameters", value: false, change: (on) => { shown.loss = on; landscape(); draw(); } });
  const note = block(stage.root, "p", "note");
  note.setAttribute("aria-live", "polite");
  let [sliders, plane] = [[], null];

  const clear = () => {
    if (model.get("alive")) stage.set({ cleared: model.get("cleared") + 1 });
    else stage.set({ history: [] });
  };

  const move = (theta) => { stage.set({ theta: [...theta] }); };

  // A value is recorded when the hand has rested on it for a moment.
  const settle = (wait = 0) => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const theta = [...model.get("theta")];
      if (model.get("alive")) stage.set({ settled: { task: model.get("task"), theta } });
      else record([theta], "hand");
    }, wait);
  };
  stage.endings.push(() => clearTimeout(resting));

  const record = (thetas, by) => {
    const history = [...model.get("history")];
    for (const theta of thetas) history.push({ change: history.length, task: model.get("task"), by, theta, mse: task().at(theta)[0] });
    stage.set({ history });
  };

  const change = (name) => {
    stop();
    const { start, lr, steps } = model.get("tasks")[name];
    stage.set({ task: name, theta: [...start], lr, steps });
  };

  const stop = () => {
    playing?.();
    playing = null;
  };

  const ask = () => {
    stop();
    clearTimeout(resting);
    if (model.get("alive")) {
      stage.set({ asked: model.get("asked") + 1 });
      stage.save();
    } else play(followed());
  };

  // Without Python: steps along the sampled gradient, as far as it is known.
  const followed = () => {
    const thetas = [[...model.get("theta")]];
    for (let k = 0; k < model.get("steps"); k++) {
      const [, slope] = task().at(thetas.at(-1));
      const next = thetas.at(-1).map((v, axis) => v - model.get("lr") * slope[axis]);
      if (!Number.isFinite(task().at(next)[0])) break;
      thetas.push(next);
    }
    record(thetas, "descent");
    return thetas;
  };

  const play = (thetas) => {
    const began = performance.now();
    quiet = true;
    playing = stage.frames((now) => {
      const k = Math.min(Math.floor((now - began) / 100), thetas.length - 1);
      draw(thetas[k], `Step ${k} of ${thetas.length - 1}`);
      if (k < thetas.length - 1) return true;
      quiet = false;
      playing = null;
      move(thetas[k]);
      return false;
    });
  };

  const build = () => {
    known.get(model.get("task"));
    rails.replaceChildren();
    sliders = task().names.map((name, axis) => slider(stage, rails, {
      label: name, min: task().low[axis], max: task().high[axis], value: model.get("theta")[axis],
      input: (value) => {
        stop();
        quiet = false;
        move(model.get("theta").map((v, k) => (k === axis ? value : v)));
        settle(250);
      },
    }));
    const f = task();
    main.range({ x: f.extent, y: f.room });
    main.dots("data", f.x, f.y, { color: "muted", radius: f.x.length > 100 ? 3 : 5, opacity: 0.75 });
    main.remove("truth");
    landscape();
  };

  // The loss over the parameter, or as a map over two of them.
  const landscape = () => {
    over.replaceChildren();
    plane = null;
    const f = task();
    if (!shown.loss || f.names.length > 2) return;
    if (f.names.length === 1) {
      const at = Float64Array.from(f.loss, (_, k) => f.low[0] + ((f.high[0] - f.low[0]) * k) / (f.loss.length - 1));
      const room = [Math.min(...f.loss), Math.max(...f.loss)];
      const spare = 0.08 * (room[1] - room[0]);
      plane = new Chart(stage, over, { ...small, x: [f.low[0], f.high[0]], y: [room[0] - spare, room[1] + spare], xLabel: f.names[0], yLabel: "MSE", label: "The loss over the parameter" });
      plane.line("loss", at, f.loss, { color: "loss" });
      return;
    }
    plane = new Chart(stage, over, { ...small, height: 300, x: [f.low[0], f.high[0]], y: [f.low[1], f.high[1]], xLabel: f.names[0], yLabel: f.names[1], label: "The loss over both parameters" });
    const n = 64;
    const along = (axis, k) => f.low[axis] + ((f.high[axis] - f.low[axis]) * k) / (n - 1);
    const values = Float64Array.from({ length: n * n }, (_, k) => Math.log(f.at([along(0, k % n), along(1, Math.floor(k / n))])[0]));
    plane.heat("map", values, n, n, [f.low[0], f.high[0]], [f.low[1], f.high[1]], { low: Math.min(...values), high: Math.max(...values) });
  };

  const draw = (theta = model.get("theta"), words = "") => {
    const f = task();
    const [mse, slope] = f.at(theta);
    if (shown.truth && f.truth) main.line("truth", f.inputs, f.truth, { color: "other", width: 2.5, dash: "9 6" });
    else main.remove("truth");
    main.line("model", f.inputs, f.curve(theta), { color: "loss", width: 4.5 });
    sliders.forEach((one, axis) => one.set(theta[axis]));
    told.replaceChildren();
    const fact = (name, value) => { block(told, "span", "", `${name} = `).append(Object.assign(block(told, "b", "", value))); };
    f.names.forEach((name, axis) => fact(name, say(theta[axis])));
    fact("MSE", say(mse));
    told.lastChild.lastChild.dataset.value = "MSE";
    if (plane && f.names.length === 1) {
      plane.dot("here", theta[0], mse, { color: "path-0" });
      const reach = (f.high[0] - f.low[0]) / 12;
      plane.bar("slope", theta[0] - reach, mse - slope[0] * reach, theta[0] + reach, mse + slope[0] * reach, { color: "tangent" });
    } else if (plane) plane.dot("here", theta[0], theta[1], { color: "path-0" });
    const lost = theta.some((v, axis) => v < f.low[axis] - 1e-9 || v > f.high[axis] + 1e-9) || !Number.isFinite(mse);
    note.textContent = lost ? `${words ? `${words}. ` : ""}The parameters have left the range of the sliders.` : words;
    trail();
  };

  const trail = () => {
    const rows = model.get("history").filter((entry) => entry.task === model.get("task"));
    const finite = rows.map((entry) => entry.mse).filter(Number.isFinite);
    const last = Math.max(1, ...rows.map((entry) => entry.change));
    const first = Math.min(last - 1, ...rows.map((entry) => entry.change));
    const lowest = Math.min(...finite);
    const highest = Math.min(Math.max(...finite), Math.max(20 * lowest, 4 * [...finite].sort((a, b) => a - b)[Math.floor(finite.length / 2)]));
    const spare = 0.1 * (highest - lowest || 1);
    errors.range({ x: [first - 0.5, last + 0.5], y: finite.length ? [Math.max(0, lowest - spare), highest + spare] : [0, 1] });
    errors.line("all", rows.map((e) => e.change), rows.map((e) => e.mse), { color: "muted", width: 2 });
    for (const [by, color] of [["hand", "path-0"], ["descent", "loss"]]) {
      const own = rows.filter((entry) => entry.by === by);
      errors.dots(by, own.map((e) => e.change), own.map((e) => e.mse), { color, radius: 5, opacity: 1 });
    }
    if (!plane || task().names.length !== 2) return;
    plane.line("way", rows.map((e) => e.theta[0]), rows.map((e) => e.theta[1]), { color: "#ffffff", width: 2.5 });
  };

  stage.on("theta", () => { if (!quiet) draw(); });
  stage.on("history", () => { if (!quiet) draw(); });
  stage.on("task", () => { stop(); quiet = false; list.set(model.get("task")); build(); draw(); });
  stage.on("lr", () => rate.set(model.get("lr")));
  stage.on("steps", () => pace.set(model.get("steps")));
  stage.on("path", () => {
    const { theta, number } = model.get("path");
    if (number !== model.get("asked")) return;
    const rows = unpack(theta);
    const width = rows.shape[1];
    play(Array.from({ length: rows.shape[0] }, (_, k) => Array.from(rows.slice(k * width, (k + 1) * width))));
  });
  const legend = block(errors.box, "p", "numbers note");
  for (const [words, color] of [["by hand", "path-0"], ["by descent", "loss"]]) block(legend, "span", "key", words).style.setProperty("--key", `var(--thalweg-${color})`);
  build();
  draw();
  return () => stage.close();
}

export default { render };
