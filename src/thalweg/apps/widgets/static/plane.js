// A rectangle of the plane on a canvas: a picture of values, lines, axes, and what lies on it.

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A number for people: powers of ten only where needed, a real minus sign. */
function said(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "undefined" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits))).replace("-", "−");
  const [mantissa, power] = value.toExponential(Math.max(0, digits - 2)).split("e");
  const raised = [...String(Math.abs(Number(power)))].map((d) => RAISED[Number(d)]).join("");
  return `${Number(mantissa)}×10${Number(power) < 0 ? "⁻" : ""}${raised}`.replace(/^-/, "−");
}

/** Round numbers between low and high, about `count` of them. */
function roundTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 2.5, 5, 10].find((m) => m * unit >= raw * (1 - 1e-9));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

/** A canvas that is as wide as its place, sharp on any screen, and redrawn when asked or resized. */
class Sheet {
  constructor(name, ratio, paint) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "tw-sheet";
    this.canvas.setAttribute("role", "img");
    this.ratio = ratio;
    this.paint = paint;
    this.name(name);
    this.observer = new ResizeObserver(() => this.soon());
    this.observer.observe(this.canvas);
  }
  name(text) {
    this.canvas.setAttribute("aria-label", text);
  }
  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.now());
  }
  now() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    const width = this.canvas.clientWidth;
    if (!width) return;
    const height = Math.round(width * (typeof this.ratio === "function" ? this.ratio(width) : this.ratio));
    const sharp = Math.min(3, window.devicePixelRatio || 1);
    if (this.canvas.width !== Math.round(width * sharp) || this.canvas.height !== Math.round(height * sharp)) {
      this.canvas.style.height = `${height}px`;
      this.canvas.width = Math.round(width * sharp);
      this.canvas.height = Math.round(height * sharp);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.lineJoin = pen.lineCap = "round";
    this.paint(pen, width, height, sharp);
  }
  stop() {
    cancelAnimationFrame(this.waiting);
    this.observer.disconnect();
  }
}

/** Colours `#rrggbb` as little-endian pixels. */
function pixels(colors) {
  return Uint32Array.from(colors, (c) => {
    const n = parseInt(c.slice(1), 16);
    return (0xff000000 | ((n & 0xff) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
  });
}

/** A smooth run of `count` colours through the given ones. */
function blend(colors, count) {
  const parts = colors.map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
  return Array.from({ length: count }, (_, k) => {
    const place = (k / (count - 1)) * (parts.length - 1);
    const i = Math.min(parts.length - 2, Math.floor(place));
    const mix = parts[i].map((v, c) => Math.round(v + (place - i) * (parts[i + 1][c] - v)));
    return `#${mix.map((v) => v.toString(16).padStart(2, "0")).join("")}`;
  });
}

/** The value between four grid points; rows run along x, as in Python. */
function between(values, nx, ny, gx, gy) {
  const i = Math.max(0, Math.min(nx - 2, Math.floor(gx)));
  const j = Math.max(0, Math.min(ny - 2, Math.floor(gy)));
  const s = gx - i;
  const t = gy - j;
  const k = i * ny + j;
  const low = values[k] * (1 - t) + values[k + 1] * t;
  const high = values[k + ny] * (1 - t) + values[k + ny + 1] * t;
  return low * (1 - s) + high * s;
}

/** Values on a grid as a picture of w × h pixels; `shade` maps a value to a pixel. */
function picture(values, nx, ny, w, h, shade) {
  const made = document.createElement("canvas");
  made.width = Math.max(1, w);
  made.height = Math.max(1, h);
  const image = new ImageData(made.width, made.height);
  const out = new Uint32Array(image.data.buffer);
  for (let row = 0; row < made.height; row++) {
    const gy = (1 - (row + 0.5) / made.height) * (ny - 1);
    for (let column = 0; column < made.width; column++) {
      const gx = ((column + 0.5) / made.width) * (nx - 1);
      out[row * made.width + column] = shade(between(values, nx, ny, gx, gy));
    }
  }
  made.getContext("2d").putImageData(image, 0, 0);
  return made;
}

/** From coordinates to pixels of a rectangle, and back. */
class Rectangle {
  constructor(x, y, left, top, width, height) {
    Object.assign(this, { x, y, left, top, width, height });
  }
  px(v) {
    return this.left + ((v - this.x.low) / (this.x.high - this.x.low)) * this.width;
  }
  py(v) {
    return this.top + (1 - (v - this.y.low) / (this.y.high - this.y.low)) * this.height;
  }
  at(px, py) {
    const across = (px - this.left) / this.width;
    const up = 1 - (py - this.top) / this.height;
    return [this.x.low + across * (this.x.high - this.x.low), this.y.low + up * (this.y.high - this.y.low)];
  }
  clip(pen, inside) {
    pen.save();
    pen.beginPath();
    pen.rect(this.left, this.top, this.width, this.height);
    pen.clip();
    inside();
    pen.restore();
  }
}

/** Frame, ticks and names of the axes of a rectangle. */
function axes(pen, at, look, { x, y, xticks, yticks, numbersLeft = true }) {
  pen.strokeStyle = look.muted;
  pen.fillStyle = look.text;
  pen.lineWidth = 1;
  pen.font = `13px ${look.font}`;
  pen.strokeRect(at.left + 0.5, at.top + 0.5, at.width - 1, at.height - 1);
  pen.textAlign = "center";
  pen.textBaseline = "top";
  const bottom = at.top + at.height;
  for (const [value, text] of xticks ?? roundTicks(at.x.low, at.x.high, Math.max(2, at.width / 70)).map((v) => [v, said(v)])) {
    const px = at.px(value);
    pen.beginPath();
    pen.moveTo(px, bottom);
    pen.lineTo(px, bottom + 4);
    pen.stroke();
    pen.fillText(text, px, bottom + 7);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const [value, text] of yticks ?? roundTicks(at.y.low, at.y.high, Math.max(2, at.height / 55)).map((v) => [v, said(v)])) {
    const py = at.py(value);
    pen.beginPath();
    pen.moveTo(at.left - 4, py);
    pen.lineTo(at.left, py);
    pen.stroke();
    if (numbersLeft) pen.fillText(text, at.left - 7, py);
  }
  pen.font = `600 14px ${look.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  pen.fillText(x, at.left + at.width / 2, bottom + 42);
  if (y) {
    pen.save();
    pen.translate(14, at.top + at.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textBaseline = "middle";
    pen.fillText(y, 0, 0);
    pen.restore();
  }
}

/** A line through pixels `[x, y, x, y, ...]`, drawn in one or two strokes; NaN lifts the pen. */
function stroke(pen, points, color, width, casing) {
  pen.beginPath();
  let down = false;
  for (let k = 0; k < points.length; k += 2) {
    if (Number.isFinite(points[k]) && Number.isFinite(points[k + 1])) {
      const x = Math.max(-1e5, Math.min(1e5, points[k]));
      const y = Math.max(-1e5, Math.min(1e5, points[k + 1]));
      if (down) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      down = true;
    } else down = false;
  }
  if (casing) {
    pen.strokeStyle = casing;
    pen.lineWidth = width + 2.4;
    pen.stroke();
  }
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.stroke();
}

/** A round mark with a rim. */
function disc(pen, x, y, radius, fill, rim, width = 2) {
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  if (fill) {
    pen.fillStyle = fill;
    pen.fill();
  }
  pen.strokeStyle = rim;
  pen.lineWidth = width;
  pen.stroke();
}

/** The ball: lit from the upper left. */
function ballAt(pen, x, y, radius, look) {
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  disc(pen, x, y, radius + 1, look.casing, look.ink, 1);
  const light = pen.createRadialGradient(x - radius * 0.35, y - radius * 0.4, radius * 0.1, x, y, radius);
  light.addColorStop(0, "#fff6d6");
  light.addColorStop(0.45, look.model);
  light.addColorStop(1, "#a86f00");
  disc(pen, x, y, radius, light, look.ink, 1.4);
}

/** The colours of the moment, read from the element that wears them. */
function dressed(root) {
  const worn = getComputedStyle(root);
  const of = (name) => worn.getPropertyValue(`--thalweg-${name}`).trim();
  const paths = [0, 1, 2, 3].map((k) => of(`path-${k}`));
  return { paper: of("paper"), text: of("text"), muted: of("muted"), grid: of("grid"), font: of("font"), paths };
}

/** Call `heard` when the room gets light or dark. */
function onDress(stage, heard) {
  const watch = new MutationObserver(heard);
  watch.observe(stage.root, { attributes: true, attributeFilter: ["data-look"] });
  stage.endings.push(() => watch.disconnect());
}

function labelId(box, words) {
  const label = block(box, "label", "", words);
  label.htmlFor = `thalweg-${Math.random().toString(36).slice(2)}`;
  return label.htmlFor;
}

/** A number to type; it takes effect on Enter or when the field is left. */
function field(stage, parent, { label, value, input }) {
  const box = block(parent, "div", "control");
  const id = labelId(box, label);
  const typed = block(box, "input", "typed");
  Object.assign(typed, { id, type: "text", inputMode: "decimal", autocomplete: "off" });
  let now = value;
  const show = () => { typed.value = said(now, 6); };
  const read = () => {
    const text = typed.value.trim().replace("−", "-").replace(",", ".").replace(/×10/, "e");
    const number = Number(text);
    if (text === "" || !Number.isFinite(number)) show();
    else if (typed.value !== said(now, 6)) { now = number; show(); input(now); }
  };
  stage.listen(typed, "keydown", (event) => { if (event.key === "Enter") read(); });
  stage.listen(typed, "blur", read);
  stage.listen(typed, "focus", () => typed.select());
  show();
  const name = (words) => { box.querySelector("label").textContent = words; };
  return { box, typed, name, get: () => now, set: (number) => { now = number; show(); } };
}

/** A slider with a typed number whose end can move, and which may be logarithmic; a typed number may lie beyond it. */
function dial(stage, parent, { label, min, max, step = 1, log = false, least = min, most = Infinity, value, input }) {
  const box = block(parent, "div", "control slider");
  const id = labelId(box, label);
  const rail = block(box, "input");
  const to = log ? Math.log10 : (v) => v;
  const from = log ? (v) => Number((10 ** v).toPrecision(2)) : (v) => Number((Math.round(v / step) * step).toPrecision(12));
  Object.assign(rail, { id, type: "range", step: "any", min: to(min), max: to(max) });
  const typed = block(box, "input", "typed");
  Object.assign(typed, { type: "text", inputMode: "decimal", autocomplete: "off" });
  typed.setAttribute("aria-label", `${label}, typed`);
  let now = value;
  const show = () => {
    rail.value = String(to(now));
    rail.setAttribute("aria-valuetext", said(now, 6));
    typed.value = said(now, 6);
  };
  const take = (asked) => {
    const next = clamp(asked, least, most);
    if (next === now) return show();
    now = next;
    show();
    input(now);
  };
  stage.listen(rail, "input", () => take(from(Number(rail.value))));
  stage.listen(rail, "keydown", (event) => {
    const far = { PageUp: 10, PageDown: -10 }[event.key] ?? 0;
    const near = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key] ?? 0;
    if (!far && !near) return;
    event.preventDefault();
    const by = far || near * (event.shiftKey ? 10 : 1);
    take(clamp(log ? from(to(now) + by / 20) : from(now + by * step), Math.min(min, now), Math.max(max, now)));
  });
  const read = () => {
    const text = typed.value.trim().replace("−", "-").replace(",", ".").replace(/×10/, "e");
    const number = Number(text);
    if (text === "" || !Number.isFinite(number)) show();
    else if (typed.value !== said(now, 6)) take(step === 1 && !log ? Math.round(number) : number);
  };
  stage.listen(typed, "keydown", (event) => { if (event.key === "Enter") read(); });
  stage.listen(typed, "blur", read);
  stage.listen(typed, "focus", () => typed.select());
  show();
  return {
    box,
    get: () => now,
    set: (number) => { if (number !== now) { now = number; show(); } },
    limit: (highest) => { rail.max = to(highest); max = most = highest; now = Math.min(now, highest); show(); },
  };
}
