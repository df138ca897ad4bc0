// A ball on a landscape of two weights. Python makes the steps; here they are drawn.

const BALL_STYLE = `
.tw-ball { display: grid; gap: .8rem; }
.tw-panes { display: grid; gap: .9rem 1.1rem; grid-template-columns: 1fr 1fr 1fr; }
.tw-panes figure { margin: 0; min-width: 0; position: relative; }
.tw-panes figcaption { font-weight: 600; margin: 0 0 .3rem; }
.tw-panes figcaption small { font-weight: 400; color: var(--thalweg-muted); }
.tw-sheet { width: 100%; display: block; border-radius: 6px; touch-action: none; }
.tw-map { cursor: crosshair; } .tw-relief { cursor: grab; } .tw-relief:active { cursor: grabbing; }
.tw-keys { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: 0; padding: 0; font-size: .93em; }
.tw-keys li { display: flex; align-items: center; gap: .4rem; }
.tw-keys i { width: 1.1rem; height: .7rem; border-radius: 3px; border: 1px solid #16243a; display: inline-block; }
.tw-ball [hidden] { display: none !important; }
@container (max-width: 1000px) { .tw-panes { grid-template-columns: 1fr 1fr; } .tw-panes figure:nth-child(3) { grid-column: 1 / -1; } }
@container (max-width: 600px) { .tw-panes { grid-template-columns: 1fr; } }
.tw-says { margin: 0; min-height: 3.1em; }
`;

const HINT = "drag the start";
const LOST = 1e6; // a loss beyond which a path is said to have diverged where it is not finite yet

/** What one descent, or many, looks like: float arrays, how many starts, how many steps. */
function unpackedPath(told) {
  const [starts, kept] = told.theta.shape;
  return { theta: unpack(told.theta), loss: unpack(told.loss), slope: unpack(told.slope), starts, kept, label: told.label };
}

/** One start of a path. */
function runOf(path, start) {
  const from = start * path.kept;
  return {
    theta: path.theta.subarray(2 * from, 2 * (from + path.kept)),
    loss: path.loss.subarray(from, from + path.kept),
    slope: path.slope[start],
    kept: path.kept,
    label: path.label,
  };
}

/** How many iterates are finite. */
function finiteSteps(run) {
  let k = 0;
  while (k < run.kept && Number.isFinite(run.loss[k]) && Math.abs(run.loss[k]) < 1e30) k++;
  return k;
}

/** The descent computed in advance whose start is nearest, at the nearest learning rate. */
function nearestSample(samples, optimizer, rate, start) {
  const near = samples
    .filter((s) => s.optimizer === optimizer)
    .reduce((a, b) => (Math.abs(Math.log(a.learning_rate / rate)) <= Math.abs(Math.log(b.learning_rate / rate)) ? a : b));
  near.path ??= unpackedPath(near);
  let best = 0;
  let least = Infinity;
  for (let k = 0; k < near.path.starts; k++) {
    const at = 2 * k * near.path.kept;
    const far = Math.hypot(near.path.theta[at] - start[0], near.path.theta[at + 1] - start[1]);
    if (far < least) [best, least] = [k, far];
  }
  return { sample: near, start: best };
}

/** Losses over the steps, on a linear or a logarithmic scale. */
function drawLosses(pen, width, height, look, { runs, many, step, log }) {
  const all = [...runs.map((r) => r.run), ...many];
  const longest = Math.max(...all.map((r) => r.kept - 1), 1);
  let [low, high] = [Infinity, -Infinity];
  const seen = runs.map((r) => r.run).concat(many);
  const begins = Math.max(...seen.map((r) => r.loss[0]).filter(Number.isFinite), 1e-12);
  for (const run of seen) {
    for (const value of run.loss) {
      if (!Number.isFinite(value) || value > 20 * begins) continue;
      if (log && value <= 0) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (!(high > -Infinity)) return;
  const scale = log ? (v) => Math.log10(Math.max(v, 1e-300)) : (v) => v;
  if (log) low = Math.max(low, high * 1e-16);
  [low, high] = [scale(low), scale(high)];
  const room = 0.05 * (high - low) || 0.5;
  const at = new Rectangle({ low: 0, high: longest }, { low: low - room, high: high + room }, 62, 8, width - 76, height - 58);
  let yticks;
  if (log) {
    const by = Math.max(1, Math.ceil((high - low) / 6));
    const whole = Array.from({ length: 40 }, (_, k) => by * (Math.ceil(low / by) + k)).filter((v) => v <= high + room);
    yticks = (whole.length > 1 ? whole : roundTicks(low, high, 4)).map((v) => [v, said(10 ** v, 2)]);
  }
  const line = (run, color, thick, casing, alpha = 1) => {
    const points = [];
    for (let k = 0; k < run.kept; k++) {
      const value = Number.isFinite(run.loss[k]) ? run.loss[k] : Infinity;
      points.push(at.px(k), value === Infinity ? -50 : at.py(scale(value)));
      if (value === Infinity || value > 20 * begins) break;
    }
    pen.globalAlpha = alpha;
    stroke(pen, points, color, thick, casing);
    pen.globalAlpha = 1;
  };
  at.clip(pen, () => {
    for (const run of many) line(run, look.paths[0], 1.1, null, 0.4);
    for (const { run, color } of [...runs].reverse()) line(run, color, 2.6, look.paper);
    pen.strokeStyle = look.muted;
    pen.lineWidth = 1;
    pen.setLineDash([4, 4]);
    pen.beginPath();
    pen.moveTo(at.px(step), at.top);
    pen.lineTo(at.px(step), at.top + at.height);
    pen.stroke();
    pen.setLineDash([]);
  });
  axes(pen, at, look, { x: "step", y: "loss", yticks });
  const own = runs[0].run;
  const value = own.loss[Math.min(step, own.kept - 1)];
  if (Number.isFinite(value)) ballAt(pen, at.px(step), Math.max(at.top, at.py(scale(value))), 6, look);
}

function render({ model, el }) {
  const stage = new Stage({ model, el });
  block(stage.root, "style").textContent = BALL_STYLE;
  const root = block(stage.root, "div", "tw-ball");
  const controls = {};

  let scene;
  let relief;
  let image = null;
  let path = null; // what Python sent last
  let run = null; // the ball's own descent
  let kept = []; // descents that stay for comparison
  let step = 0;
  let rolling = 0;
  let began = 0; // when the last request left
  let waiting = false;
  let again = false;
  let log = false;
  let start = [...model.get("start")];
  let took = null; // the descents computed in advance that are shown
  let held = false; // while the ball is in the hand
  let rollSoon = false;
  let pointing = null;
  const sampled = () => model.get("samples").length > 0;

  const look = () => ({ ...dressed(stage.root), ...scene.pens, colors: model.get("look").map });

  // --- the three pictures ---

  const mapRectangle = (width, height) => new Rectangle(scene.x, scene.y, 58, 8, width - 72, height - 58);

  function onMap(pen, at, xy, color, thick, casing) {
    const points = new Float32Array(xy.length);
    for (let k = 0; k < xy.length; k += 2) {
      points[k] = at.px(xy[k]);
      points[k + 1] = at.py(xy[k + 1]);
    }
    stroke(pen, points, color, thick, casing);
  }

  function drawMap(pen, width, height, sharp) {
    const shown = look();
    const at = mapRectangle(width, height);
    const key = [at.width, at.height, sharp].join();
    if (!image || image.key !== key) {
      const shades = pixels(blend(shown.colors, 256));
      const hole = pixels([shown.hole])[0];
      const shade = (v) => {
        if (!Number.isFinite(v)) return v === Infinity ? shades[255] : hole;
        return shades[Math.round(255 * Math.sqrt(clamp((v - scene.low) / (scene.high - scene.low), 0, 1)))];
      };
      const [w, h] = [Math.round(at.width * sharp), Math.round(at.height * sharp)];
      image = { key, canvas: picture(scene.heights, scene.nx, scene.ny, w, h, shade) };
    }
    pen.drawImage(image.canvas, at.left, at.top, at.width, at.height);
    at.clip(pen, () => {
      for (const line of scene.lines) onMap(pen, at, line.xy, line.color, 0.8);
      for (const mark of scene.marks) if (mark.sort === "curve") onMap(pen, at, mark.xy, mark.color, 2.2, shown.ink);
      drawPaths((xy, color, thick, casing) => onMap(pen, at, xy, color, thick, casing), shown, pen);
      for (const mark of scene.marks) if (mark.sort === "critical") drawCritical(pen, mark, shown, (x, y) => [at.px(x), at.py(y)]);
      if (!run) return;
      disc(pen, at.px(start[0]), at.py(start[1]), 5, shown.casing, shown.ink, 1.6);
      const [x, y] = held ? start : place(run, step);
      ballAt(pen, at.px(x), at.py(y), 10, shown);
    });
    axes(pen, at, shown, { x: scene.x.symbol, y: scene.y.symbol });
  }

  /** All paths by one way of drawing a line `[x, y, ...]`: the others, those kept, the ball's own. */
  function drawPaths(line, shown, pen) {
    if (!run) return;
    pen.globalAlpha = 0.55;
    for (let k = 1; k < path.starts; k++) line(walked(runOf(path, k), run.kept), shown.paths[0], 1.2, null);
    pen.globalAlpha = 1;
    kept.forEach((other) => line(walked(other.run, other.run.kept), other.color, 2.2, shown.casing));
    line(walked(run, run.kept), shown.paths[0], 2.4, shown.casing);
  }

  function walked(one, steps) {
    return one.theta.subarray(0, 2 * Math.min(steps, Math.max(1, finiteSteps(one))));
  }

  function place(one, k) {
    const last = Math.max(0, Math.min(k, finiteSteps(one) - 1));
    return [one.theta[2 * last], one.theta[2 * last + 1]];
  }

  const hasCurves = () => scene.marks.some((mark) => mark.sort === "curve");

  /** Critical points; degenerate ones are samples of a curve, and left out where the curve itself is drawn. */
  function drawCritical(pen, mark, shown, to) {
    if (mark.open && hasCurves()) return;
    for (let k = 0; k < mark.xy.length; k += 2) {
      const [px, py] = to(mark.xy[k], mark.xy[k + 1]);
      if (!Number.isFinite(px)) continue;
      pen.save();
      pen.translate(px, py);
      pen.beginPath();
      if (mark.name.endsWith("saddle")) {
        pen.rotate(Math.PI / 4);
        pen.rect(-5, -5, 10, 10);
      } else if (mark.name.endsWith("maximum")) {
        pen.moveTo(0, -6.5);
        pen.lineTo(6, 5);
        pen.lineTo(-6, 5);
        pen.closePath();
      } else pen.arc(0, 0, 5.5, 0, 2 * Math.PI);
      pen.fillStyle = mark.color;
      if (!mark.open) pen.fill();
      pen.strokeStyle = mark.open ? mark.color : shown.ink;
      pen.lineWidth = 1.8;
      pen.stroke();
      pen.restore();
    }
  }

  function drawRelief(pen, width, height, sharp) {
    const shown = look();
    relief.paint(pen, width, height, sharp);
    for (const mark of scene.marks) {
      if (mark.sort === "curve") relief.line(pen, (mark.places ??= relief.lifted(mark.xy)), mark.color, 2, shown.ink);
    }
    const most = path ? Math.max(60, 4000 / path.starts) : 900;
    drawPaths((xy, color, thick, casing) => relief.line(pen, relief.lifted(xy, most), color, thick, casing), shown, pen);
    for (const mark of scene.marks) {
      if (mark.sort !== "critical") continue;
      drawCritical(pen, mark, shown, (x, y) => {
        const spot = relief.spot(x, y);
        return spot && !spot.hidden ? [spot.px, spot.py] : [NaN, NaN];
      });
    }
    const spot = run && relief.spot(...place(run, step));
    if (spot) {
      pen.globalAlpha = spot.hidden ? 0.45 : 1;
      ballAt(pen, spot.px, spot.py - 6, 9, shown);
      pen.globalAlpha = 1;
    }
  }

  function drawChart(pen, width, height) {
    if (!run) return;
    const shown = look();
    const many = Array.from({ length: path.starts - 1 }, (_, k) => runOf(path, k + 1));
    const runs = [{ run, color: shown.paths[0] }, ...kept];
    drawLosses(pen, width, height, shown, { runs, many, step, log });
  }

  const map = new Sheet("", 0.96, drawMap);
  const space = new Sheet("", 0.96, drawRelief);
  const chart = new Sheet("", (width) => (width > 560 ? 0.45 : 0.96), drawChart);
  map.canvas.classList.add("tw-map");
  space.canvas.classList.add("tw-relief");

  function redraw() {
    for (const sheet of [map, space, chart]) sheet.now();
  }

  // --- asking Python, or what was computed in advance ---

  function settings(changed) {
    for (const [name, value] of Object.entries(changed)) model.set(name, value);
    ask();
  }

  function ask() {
    stopRolling();
    if (sampled()) return fromSamples();
    if (waiting && performance.now() - began < 4000) {
      again = true;
      return;
    }
    waiting = true;
    began = performance.now();
    model.set("start", [...start]);
    model.set("asked", model.get("asked") + 1);
    stage.save();
  }

  function fromSamples() {
    const rate = model.get("learning_rate");
    const found = nearestSample(model.get("samples"), model.get("optimizer"), rate, start);
    const one = runOf(found.sample.path, found.start);
    path = { ...one, starts: 1 };
    controls.rate.set(String(found.sample.learning_rate));
    took = found.sample;
    take(one);
  }

  function answered() {
    const told = model.get("path");
    if (told.asked >= model.get("asked")) {
      waiting = false;
    }
    if (told.refused) {
      run = path = null;
      says.textContent = told.refused;
    } else {
      path = unpackedPath(told);
      take(runOf(path, 0));
    }
    if (again) {
      again = false;
      ask();
    }
  }

  function take(one) {
    run = one;
    step = held ? 0 : Math.max(0, finiteSteps(run) - 1);
    controls.step.limit(run.kept - 1);
    controls.step.set(step);
    redraw();
    tell();
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
    if (began) root.dataset.latency = (performance.now() - began).toFixed(1);
    if (rollSoon && !again) roll();
  }

  function show(k) {
    stopRolling();
    step = k;
    controls.step.set(k);
    redraw();
    tell();
  }

  // --- words ---

  function tell() {
    if (!run) return;
    const number = (v) => said(v, 4);
    const [x, y] = place(run, step);
    const whole = finiteSteps(run);
    const from = `(${said(run.theta[0])}, ${said(run.theta[1])})`;
    let text = `${run.label}: from ${from}, loss ${number(run.loss[0])}; after step ${Math.min(step, whole - 1)} at (${number(x)}, ${number(y)}), loss ${number(run.loss[Math.min(step, whole - 1)])}.`;
    if (whole < run.kept) text += ` It diverged: no finite loss from step ${whole}.`;
    else if (run.loss[run.kept - 1] > 2 * run.loss[0] && run.loss[run.kept - 1] > LOST) text += " It diverges.";
    else text += ` Length of the gradient at the end: ${said(run.slope, 2)}.`;
    if (path.starts > 1) text += ` With it, ${path.starts - 1} others.`;
    if (sampled()) {
      const grid = Math.round(Math.sqrt(took.path.starts));
      text += ` This page has no Python: of the descents computed in advance, from ${grid} × ${grid} starts, it shows the nearest.`;
    }
    says.textContent = text;
    map.name(`Map of the loss. ${text} Arrow keys move the start.`);
    space.name("The loss as a surface. Arrow keys turn it.");
    chart.name(`Loss by step: ${number(run.loss[0])} at first, ${number(run.loss[Math.min(step, whole - 1)])} at step ${Math.min(step, whole - 1)}.`);
  }

  // --- hands ---

  function moveTo(x, y) {
    const inside = (v, axis) => Math.max(axis.low, Math.min(axis.high, v));
    const round = (v, axis) => Number(v.toPrecision(12)) && Math.round((v / (axis.high - axis.low)) * 1e4) * (axis.high - axis.low) / 1e4;
    start = [round(inside(x, scene.x), scene.x) || 0, round(inside(y, scene.y), scene.y) || 0];
    controls.x.set(start[0]);
    controls.y.set(start[1]);
    if (held) map.soon(); // the ball stays in the hand while Python makes the steps
    ask();
  }

  function pointed(event) {
    const box = map.canvas.getBoundingClientRect();
    const at = mapRectangle(box.width, box.height);
    return at.at(event.clientX - box.left, event.clientY - box.top);
  }

  map.canvas.tabIndex = 0;
  stage.listen(map.canvas, "pointerdown", (event) => {
    map.canvas.setPointerCapture(event.pointerId);
    map.canvas.focus({ preventScroll: true });
    held = true;
    moveTo(...pointed(event));
  });
  stage.listen(map.canvas, "pointermove", (event) => {
    const [x, y] = pointed(event);
    if (held) return moveTo(x, y);
    const across = ((x - scene.x.low) / (scene.x.high - scene.x.low)) * (scene.nx - 1);
    const up = ((y - scene.y.low) / (scene.y.high - scene.y.low)) * (scene.ny - 1);
    const inside = across >= 0 && up >= 0 && across <= scene.nx - 1 && up <= scene.ny - 1;
    const height = inside ? between(scene.heights, scene.nx, scene.ny, across, up) : NaN;
    const loss = scene.log ? 10 ** height : height;
    const top = height >= scene.high - 1e-9 && scene.ceiling !== null ? "at least " : "";
    pointing.textContent = inside ? `at (${said(x)}, ${said(y)}): ${top}${said(loss)}` : HINT;
  });
  stage.listen(map.canvas, "pointerleave", () => { pointing.textContent = HINT; });
  stage.listen(map.canvas, "pointerup", () => {
    if (!held) return;
    held = false;
    if (waiting || again) rollSoon = true;
    else roll();
  });
  stage.listen(map.canvas, "pointercancel", () => { held = false; });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  stage.listen(map.canvas, "keydown", (event) => {
    const [across, up] = ARROWS[event.key] ?? [];
    if (across === undefined) return;
    event.preventDefault();
    const part = event.shiftKey ? 400 : 40;
    moveTo(start[0] + (across * (scene.x.high - scene.x.low)) / part, start[1] + (up * (scene.y.high - scene.y.low)) / part);
  });

  space.canvas.tabIndex = 0;
  stage.listen(space.canvas, "pointerdown", (event) => {
    space.canvas.setPointerCapture(event.pointerId);
    space.canvas.focus({ preventScroll: true });
  });
  stage.listen(space.canvas, "pointermove", (event) => {
    if (!space.canvas.hasPointerCapture(event.pointerId)) return;
    relief.turn(-event.movementX / 120, event.movementY / 160);
    space.soon();
  });
  stage.listen(space.canvas, "keydown", (event) => {
    const [across, up] = ARROWS[event.key] ?? [];
    if (across === undefined) return;
    event.preventDefault();
    relief.turn(across * 0.12, up * 0.08);
    space.soon();
  });

  function stopRolling() {
    cancelAnimationFrame(rolling);
    rolling = 0;
  }

  /** Let the ball go down its path again, in about two seconds. */
  function roll() {
    stopRolling();
    rollSoon = false;
    if (!run) return;
    const last = Math.max(0, finiteSteps(run) - 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return show(last);
    const from = performance.now();
    const lasts = Math.min(2400, 500 + 18 * last);
    const frame = (now) => {
      const part = Math.min(1, Math.max(0, now - from) / lasts);
      step = Math.round(part * last);
      controls.step.set(step);
      for (const sheet of [map, space, chart]) sheet.now();
      if (part < 1) rolling = requestAnimationFrame(frame);
      else {
        rolling = 0;
        tell();
      }
    };
    rolling = requestAnimationFrame(frame);
  }

  // --- what is on the page ---

  const settingsRow = block(root, "div", "row");
  const has = (name) => model.get("optimizer") === "momentum" || model.get("optimizer") === "Nesterov" || name !== "momentum";
  controls.optimizer = choice(stage, settingsRow, {
    label: "Optimiser",
    options: ["gradient descent", "momentum", "Nesterov", "Adam"].map((name) => [name, name]),
    value: model.get("optimizer"),
    change: (name) => { settings({ optimizer: name }); rate(); },
  });
  const rates = [...new Set(model.get("samples").map((s) => s.learning_rate))];
  controls.rate = sampled()
    ? choice(stage, settingsRow, {
        label: "Learning rate", options: rates.map((v) => [String(v), said(v)]), value: String(rates[0]),
        change: (value) => settings({ learning_rate: Number(value) }),
      })
    : dial(stage, settingsRow, {
        label: "Learning rate", min: 1e-4, max: 2, least: 1e-9, log: true, value: model.get("learning_rate"),
        input: (value) => settings({ learning_rate: value }),
      });
  controls.momentum = dial(stage, settingsRow, {
    label: "Momentum", min: 0, max: 0.99, most: 0.9999, step: 0.01, value: model.get("momentum"),
    input: (value) => settings({ momentum: value }),
  });
  controls.steps = dial(stage, settingsRow, {
    label: "Steps", min: 1, max: 300, most: 5000, value: model.get("steps"), input: (value) => settings({ steps: value }),
  });
  controls.noise = dial(stage, settingsRow, {
    label: "Noise in the gradient", min: 0, max: 3, most: 100, step: 0.05, value: model.get("noise"),
    input: (value) => settings({ noise: value }),
  });
  const placeRow = block(root, "div", "row");
  controls.x = field(stage, placeRow, { label: "t1", value: start[0], input: (v) => moveTo(v, start[1]) });
  controls.y = field(stage, placeRow, { label: "t2", value: start[1], input: (v) => moveTo(start[0], v) });
  controls.many = choice(stage, placeRow, {
    label: "From", options: [["one", "this start"], ["circle", "a circle of starts"], ["grid", "a grid of starts"]],
    value: model.get("many"), change: (name) => settings({ many: name }),
  });
  button(stage, placeRow, { label: "Roll", press: roll });
  const keep = button(stage, placeRow, { label: "Keep this path", press: () => {
    if (!run) return;
    const shown = dressed(stage.root);
    const copy = { ...run, theta: run.theta.slice(), loss: run.loss.slice() };
    kept = [...kept, { run: copy, place: kept.length }].slice(-3);
    kept.forEach((other, k) => { other.color = shown.paths[1 + (other.place % 3)]; other.k = k; });
    keys();
    redraw();
  } });
  const forget = button(stage, placeRow, { label: "Forget kept paths", press: () => { kept = []; keys(); redraw(); } });

  const panes = block(root, "div", "tw-panes");
  const pane = (words, small, sheet) => {
    const figure = block(panes, "figure");
    const caption = block(figure, "figcaption", "", words);
    block(caption, "small", "", small);
    figure.append(sheet.canvas);
    return caption;
  };
  const mapWords = pane("", "", map);
  pane("The same in space ", "drag to turn", space);
  pane("Loss by step", "", chart);
  const list = block(root, "ul", "tw-keys");
  const stepRow = block(root, "div", "row");
  controls.step = dial(stage, stepRow, { label: "Ball at step", min: 0, max: model.get("steps"), value: 0, input: show });
  controls.log = tick(stage, stepRow, { label: "logarithmic loss", value: false, change: (on) => { log = on; chart.now(); } });
  const says = block(root, "p", "tw-says");
  says.setAttribute("aria-live", "polite");

  function rate() {
    controls.momentum.box.hidden = !has("momentum") || sampled();
    for (const name of ["steps", "noise", "many"]) controls[name].box.hidden = sampled();
  }

  function keys() {
    list.replaceChildren();
    const entry = (words, color, round) => {
      const item = block(list, "li");
      const sign = block(item, "i");
      sign.style.background = color;
      if (round) Object.assign(sign.style, { width: ".8rem", height: ".8rem", borderRadius: "50%" });
      item.append(words);
    };
    const shown = dressed(stage.root);
    entry(run ? run.label : "descent", shown.paths[0]);
    for (const other of kept) entry(`kept: ${other.run.label}`, other.color);
    for (const mark of scene.marks) if (!(mark.open && hasCurves())) entry(mark.label, mark.color, mark.sort === "critical");
    forget.hidden = kept.length === 0;
    keep.disabled = !run;
  }

  function newScene() {
    const told = model.get("scene");
    const decoded = (part) => ({ ...part, xy: unpack(part.xy) });
    scene = { ...told, heights: unpack(told.heights), nx: told.x.count, ny: told.y.count };
    scene.lines = told.lines.map(decoded);
    scene.marks = told.marks.map(decoded);
    image = null;
    kept = [];
    const shown = look();
    if (relief) relief.show(scene, shown);
    else relief = new Relief(scene, shown);
    controls.x.name(`Start ${scene.x.symbol}`);
    controls.y.name(scene.y.symbol);
    mapWords.replaceChildren(`Loss ${scene.formula} `);
    pointing = block(mapWords, "small", "", HINT);
  }

  function fresh() {
    start = [...model.get("start")];
    controls.x.set(start[0]);
    controls.y.set(start[1]);
  }

  newScene();
  rate();
  if (sampled()) fromSamples();
  else answered();
  keys();
  stage.on("scene", () => { newScene(); keys(); });
  stage.on("path", () => { answered(); keys(); });
  stage.on("start", () => { if (!held && !waiting) fresh(); });
  for (const [trait, name] of [["optimizer", "optimizer"], ["learning_rate", "rate"], ["momentum", "momentum"], ["steps", "steps"], ["noise", "noise"], ["many", "many"]]) {
    stage.on(trait, () => { controls[name].set(model.get(trait)); rate(); });
  }
  onDress(stage, () => { relief.show(scene, look()); image = null; keys(); redraw(); });
  return () => {
    stopRolling();
    for (const sheet of [map, space, chart]) sheet.stop();
    stage.close();
  };
}

export default { render };
