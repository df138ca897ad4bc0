// Stochastic descent, sample by sample: three maps that share their colours, and a slider over the updates.

const RISK_STYLE = `
.tw-risk { display: grid; gap: .7rem; }
.tw-risk h2 { min-height: 1.6em; }
.tw-maps { display: grid; gap: .6rem 1rem; grid-template-columns: 1fr 1fr 1fr 5.2rem; }
.tw-maps figure { margin: 0; min-width: 0; }
.tw-maps figcaption { font-weight: 600; margin-bottom: .2rem; }
.tw-sheet { width: 100%; display: block; border-radius: 6px; touch-action: none; }
.tw-movable .tw-sheet { cursor: crosshair; }
.tw-risk [hidden] { display: none !important; }
.tw-risk .tw-says { margin: 0; min-height: 3em; }
@container (max-width: 820px) { .tw-maps { grid-template-columns: 1fr 1fr; } }
@container (max-width: 520px) { .tw-maps { grid-template-columns: 1fr; } }
`;

/** Risks that Python packed in two bytes each. */
function unpackRisks(value) {
  const bytes = Uint8Array.from(atob(value.data), (c) => c.charCodeAt(0));
  const found = Float32Array.from(new Uint16Array(bytes.buffer), (v) => value.low + value.span * (v / value.full) ** 2);
  found.shape = value.shape;
  return found;
}

function render({ model, el }) {
  const stage = new Stage({ model, el });
  block(stage.root, "style").textContent = RISK_STYLE;
  const root = block(stage.root, "div", "tw-risk");
  let maps;
  let path;
  let step = model.get("step");
  let start = [...model.get("start")];
  let timer = null;
  let began = 0;
  let waiting = false;
  let again = false;
  let sheets = [];
  const pictures = new Map();

  const look = () => ({ ...dressed(stage.root), ...maps.pens });
  const heading = block(root, "h2");
  const panes = block(root, "div", "tw-maps");
  const row = block(root, "div", "row");
  const slide = dial(stage, row, { label: "Step", min: 0, max: 1, value: 0, input: (k) => { stop(); show(k); } });
  const play = button(stage, row, { label: "Play", press: () => (timer === null ? begin() : stop()) });
  const pace = choice(stage, row, {
    label: "Updates in a second", options: [["2", "2"], ["5", "5"], ["10", "10"], ["30", "30"]], value: "5", change: () => { if (timer !== null) begin(); },
  });
  const placeRow = block(root, "div", "row");
  const typed = [0, 1].map((k) => field(stage, placeRow, { label: "", value: start[k], input: (v) => moveTo(k ? start[0] : v, k ? v : start[1]) }));
  const says = block(root, "p", "tw-says");
  says.setAttribute("aria-live", "off");
  const note = block(root, "p", "note");

  const rectangle = (width, height) => new Rectangle(maps.x, maps.y, 52, 6, width - 62, height - 54);

  /** The picture of one map; those of examples are few at a time, so that memory stays small. */
  function bandPicture(key, values, at, sharp) {
    const whole = [key, at.width, at.height, sharp].join();
    let made = pictures.get(whole);
    if (!made) {
      if (pictures.size > 40) pictures.delete(pictures.keys().next().value);
      const shades = pixels(maps.colors);
      const edge = shades.map((c) => {
        const mix = (byte) => Math.round(0.72 * ((c >> byte) & 255) + 0.28 * 40);
        return (0xff000000 | (mix(16) << 16) | (mix(8) << 8) | mix(0)) >>> 0;
      });
      const [w, h] = [Math.round(at.width * sharp), Math.round(at.height * sharp)];
      made = picture(values, ...values.shape, w, h, (v) => shades[bandOf(v)]);
      outline(made, values, edge);
      pictures.set(whole, made);
    }
    return made;
  }

  /** Thin lines where one band meets the next. */
  function outline(made, values, edge) {
    const { width, height } = made;
    const pen = made.getContext("2d");
    const image = pen.getImageData(0, 0, width, height);
    const seen = new Uint32Array(image.data.buffer);
    const was = seen.slice();
    const shades = pixels(maps.colors);
    const number = new Map([...shades].map((c, k) => [c, k]));
    for (let row = 0; row < height - 1; row++) {
      for (let column = 0; column < width - 1; column++) {
        const k = row * width + column;
        if (was[k] !== was[k + 1] || was[k] !== was[k + width]) seen[k] = edge[number.get(was[k])];
      }
    }
    pen.putImageData(image, 0, 0);
  }

  const examplesOf = (k) => {
    const wide = path.example.shape[1] ?? 1;
    for (let at = Math.min(k, path.kept - 1); at >= 0; at--) {
      const found = [...path.example.subarray(at * wide, (at + 1) * wide)].filter((v) => v >= 0);
      if (found.length) return found;
    }
    return [0];
  };

  /** The risk of the examples of one update; of a batch the mean. */
  function pointwise(chosen) {
    const shape = maps.pointwise.shape.slice(1);
    const size = shape[0] * shape[1];
    const parts = chosen.map((e) => maps.pointwise.subarray(e * size, (e + 1) * size));
    const mean = (k) => parts.reduce((sum, p) => sum + p[k], 0) / parts.length;
    return Object.assign(Float32Array.from({ length: size }, (_, k) => mean(k)), { shape });
  }

  /** The number of the band that a risk lies in. */
  function bandOf(risk) {
    let [low, high] = [0, maps.levels.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (risk >= maps.levels[middle]) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function drawPanel(panel, pen, width, height, sharp) {
    const shown = look();
    const at = rectangle(width, height);
    const chosen = examplesOf(step);
    const own = panel.name === "pointwise_risk";
    const values = own ? pointwise(chosen) : maps[panel.name];
    pen.drawImage(bandPicture(own ? `example ${chosen}` : panel.name, values, at, sharp), at.left, at.top, at.width, at.height);
    const [x, y] = [path.theta[2 * step], path.theta[2 * step + 1]];
    at.clip(pen, () => {
      if (panel.name === "empirical_risk") {
        const points = [];
        for (let k = 0; k <= step; k++) points.push(at.px(path.theta[2 * k]), at.py(path.theta[2 * k + 1]));
        stroke(pen, points, shown.ink, 2.2, shown.casing);
        disc(pen, points[0], points[1], 4.5, shown.casing, shown.ink, 1.8);
      }
      const [dx, dy] = [path.arrow[2 * step], path.arrow[2 * step + 1]];
      if (own && Number.isFinite(dx) && (dx || dy)) arrow(pen, at.px(x), at.py(y), at.px(x + dx), at.py(y + dy), shown);
      ballAt(pen, at.px(x), at.py(y), 8, shown);
    });
    axes(pen, at, shown, { x: maps.x.symbol, y: maps.y.symbol });
  }

  function arrow(pen, x0, y0, x1, y1, shown) {
    const long = Math.hypot(x1 - x0, y1 - y0);
    if (long < 0.5) return;
    const [ux, uy] = [(x1 - x0) / long, (y1 - y0) / long];
    const head = Math.min(14, 0.7 * long + 4);
    const neck = [x1 - head * ux, y1 - head * uy];
    stroke(pen, [x0, y0, ...neck], shown.casing, 3, shown.ink);
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(neck[0] - 0.5 * head * uy, neck[1] + 0.5 * head * ux);
    pen.lineTo(neck[0] + 0.5 * head * uy, neck[1] - 0.5 * head * ux);
    pen.closePath();
    pen.fillStyle = shown.casing;
    pen.fill();
    pen.strokeStyle = shown.ink;
    pen.lineWidth = 1.4;
    pen.stroke();
  }

  /** The bands, equally high whatever they span. */
  function drawBar(pen, width, height) {
    const shown = look();
    const [top, bottom] = [6, height - 48];
    const count = maps.colors.length;
    const each = (bottom - top) / count;
    maps.colors.forEach((color, k) => {
      pen.fillStyle = color;
      pen.fillRect(4, bottom - (k + 1) * each, 18, each + 0.5);
    });
    pen.fillStyle = shown.text;
    pen.font = `13px ${shown.font}`;
    pen.textBaseline = "middle";
    for (const [k, words] of maps.ticks) pen.fillText(words, 27, bottom - k * each);
    pen.font = `600 14px ${shown.font}`;
    pen.fillText("risk", 4, bottom + 16);
  }

  function redraw() {
    for (const { sheet } of sheets) sheet.now();
  }

  function show(k) {
    step = clamp(k, 0, path.kept - 1);
    slide.set(step);
    redraw();
    tell();
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
    if (began) root.dataset.latency = (performance.now() - began).toFixed(1);
  }

  function tell() {
    const over = step === path.kept - 1;
    const chosen = examplesOf(step);
    const known = maps.examples.x && chosen.length === 1;
    const where = known ? ` (x = ${said(maps.examples.x[chosen[0]])}, y = ${said(maps.examples.y[chosen[0]])})` : "";
    const which = chosen.length === 1 ? `example ${chosen[0]}${where}` : `a batch of ${chosen.length} examples`;
    heading.textContent = over ? `Step ${path.steps[step]}, the end; the last update used ${which}` : `Step ${path.steps[step]}, ${which}`;
    const here = `Iterate (${said(path.theta[2 * step], 4)}, ${said(path.theta[2 * step + 1], 4)})`;
    const own = Number.isFinite(path.batch_loss[step]) ? ` Risk of the example ${said(path.batch_loss[step], 4)}, gradient (${said(-10 * path.arrow[2 * step])}, ${said(-10 * path.arrow[2 * step + 1])}).` : "";
    says.textContent = `${here}, empirical risk ${said(path.loss[step], 5)}.${own} ${path.label}.`;
    for (const { sheet, panel } of sheets) if (panel) sheet.name(`${panel.title} over ${maps.x.symbol} and ${maps.y.symbol}. ${heading.textContent}. ${here}.`);
  }

  // --- playing ---

  function begin() {
    stop();
    if (step >= path.kept - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      if (step >= path.kept - 1) return stop();
      show(step + 1);
    }, 1000 / Number(pace.get()));
  }

  function stop() {
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  stage.endings.push(stop);

  // --- another start ---

  function moveTo(x, y) {
    if (!model.get("movable")) return;
    const rounded = (v, axis) => Number(clamp(v, axis.low, axis.high).toFixed(3));
    start = [rounded(x, maps.x), rounded(y, maps.y)];
    typed.forEach((f, k) => f.set(start[k]));
    if (waiting && performance.now() - began < 4000) {
      again = true;
      return;
    }
    if (start.every((v, k) => v === model.get("start")[k])) return;
    waiting = true;
    began = performance.now();
    model.set("start", [...start]);
    stage.save();
  }

  function handle(sheet) {
    const { canvas } = sheet;
    canvas.tabIndex = 0;
    let held = false;
    const pointed = (event) => {
      const box = canvas.getBoundingClientRect();
      return rectangle(box.width, box.height).at(event.clientX - box.left, event.clientY - box.top);
    };
    stage.listen(canvas, "pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      held = true;
      moveTo(...pointed(event));
    });
    stage.listen(canvas, "pointermove", (event) => { if (held) moveTo(...pointed(event)); });
    for (const end of ["pointerup", "pointercancel"]) stage.listen(canvas, end, () => { held = false; });
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    stage.listen(canvas, "keydown", (event) => {
      const way = arrows[event.key];
      if (!way) return;
      event.preventDefault();
      const part = event.shiftKey ? 400 : 40;
      if (model.get("movable")) moveTo(start[0] + (way[0] * (maps.x.high - maps.x.low)) / part, start[1] + (way[1] * (maps.y.high - maps.y.low)) / part);
      else { stop(); show(step + way[0] + way[1]); }
    });
  }

  // --- what Python tells ---

  function newMaps() {
    const told = model.get("maps");
    maps = { ...told, pointwise: unpackRisks(told.pointwise) };
    for (const panel of told.panels.slice(1)) maps[panel.name] = unpackRisks(told[panel.name]);
    maps.examples = told.examples.x ? { x: unpack(told.examples.x), y: unpack(told.examples.y) } : {};
    pictures.clear();
    for (const { sheet } of sheets) sheet.stop();
    panes.replaceChildren();
    sheets = told.panels.map((panel) => {
      const sheet = new Sheet(panel.title, 0.98, (...rest) => drawPanel(panel, ...rest));
      const figure = block(panes, "figure");
      block(figure, "figcaption", "", panel.title);
      figure.append(sheet.canvas);
      handle(sheet);
      return { sheet, panel };
    });
    const bar = new Sheet("Colours: from low risk, blue, to high risk, brown", () => sheets[0].sheet.canvas.clientHeight / 83 || 4, drawBar);
    const figure = block(panes, "figure");
    block(figure, "figcaption", "", "\u00a0");
    figure.append(bar.canvas);
    bar.canvas.style.width = "83px";
    sheets.push({ sheet: bar, panel: null });
    typed.forEach((f, k) => f.name(k ? maps.y.symbol : `Start ${maps.x.symbol}`));
    note.textContent = `${maps.notes.join(". ")}. The arrow is −0.1 times the gradient of this update.`;
  }

  function newPath() {
    const told = model.get("path");
    path = { steps: told.steps, label: told.label, kept: told.steps.length };
    for (const name of ["theta", "arrow", "loss", "batch_loss", "example"]) path[name] = unpack(told[name]);
    slide.limit(path.kept - 1);
    waiting = false;
    if (again) {
      again = false;
      moveTo(...start);
    }
  }

  function movable() {
    placeRow.hidden = !model.get("movable");
    root.classList.toggle("tw-movable", model.get("movable"));
  }

  newMaps();
  newPath();
  movable();
  show(step);
  let soon = 0; // maps and path of one message are drawn together
  const later = () => { cancelAnimationFrame(soon); soon = requestAnimationFrame(() => show(step)); };
  stage.on("maps", () => { newMaps(); later(); });
  stage.on("path", () => { newPath(); later(); });
  stage.on("movable", movable);
  stage.on("step", () => { if (timer === null && model.get("step") !== step) show(model.get("step")); });
  stage.on("start", () => { if (!waiting) { start = [...model.get("start")]; typed.forEach((f, k) => f.set(start[k])); } });
  onDress(stage, redraw);
  return () => {
    cancelAnimationFrame(soon);
    for (const { sheet } of sheets) sheet.stop();
    stage.close();
  };
}

export default { render };
