// What all instruments share. A module of an instrument is this file and its own, joined.
//
//   const stage = new Stage({ model, el })    colours, keys, and everything that must end with the view
//   stage.root                                the element to build in
//   stage.on("x", redraw)                     called when the trait changes, here or in Python
//   stage.set({ x: 1 })                       sets traits; Python hears of it at most every 40 ms
//   stage.listen(target, event, heard)        an event listener
//   stage.frames(draw)                        draw(milliseconds) until it returns false; returns a function that stops
//   return () => stage.close()                at the end of render
//
//   block(parent, "div", "class", "words")    an element
//   slider(stage, parent, { label, min, max, step, log, value, input })     a slider and a typed number: { set, get }
//   choice(stage, parent, { label, options: [[value, words], ...], value, change })          { set, get }
//   button(stage, parent, { label, press })
//   tick(stage, parent, { label, value, change })                                            a box to tick: { set, get }
//
//   const chart = new Chart(stage, parent, { x: [0, 1], y: [0, 1], height: 400, xLabel, yLabel, label, equal })
//   chart.line("name", xs, ys, { color, width, dash, opacity })        drawn, or moved if there is one of that name
//   chart.bar("name", x0, y0, x1, y1, look)   chart.dot("name", x, y, { color, radius, hollow })
//   chart.dots("name", xs, ys, look)          chart.words("name", x, y, "text", { color, anchor, dx, dy })
//   chart.heat("name", values, rows, columns, [x0, x1], [y0, y1], { low, high, map })        values[row * columns + column], row 0 at y0
//   chart.range({ x, y })                     chart.remove("name")          chart.press((x, y, event) => ...)
//   Colours are CSS colours, or the names of `look`: "tangent", "error", "path-0", "muted", ...
//
//   unpack(value)    the array of Python's `packed`, with .shape      say(number, digits)    a number as people read it

const SVG = "http://www.w3.org/2000/svg";

function unpack(value) {
  const bytes = Uint8Array.from(atob(value.data), (c) => c.charCodeAt(0));
  const found = value.dtype === "float32" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  found.shape = value.shape;
  return found;
}

function say(number, digits = 4) {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "undefined" : number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  if (size === 0) return "0";
  const text = size >= 1e5 || size < 1e-4 ? number.toExponential(digits - 1) : String(Number(number.toPrecision(digits)));
  return text.replace("e+", "e").replace(/-/g, "−");
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function block(parent, tag, name = "", words = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (words) made.textContent = words;
  parent.append(made);
  return made;
}

class Stage {
  constructor({ model, el }) {
    Object.assign(this, { model, endings: [], waiting: null, last: 0 });
    this.root = block(el, "div", "thalweg");
    const hush = (event) => event.stopPropagation(); // arrow keys move sliders, not the notebook around them
    for (const kind of ["keydown", "keyup", "keypress"]) this.listen(this.root, kind, hush);
    this.dress();
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.dress());
    const watch = new MutationObserver(() => this.dress());
    for (const page of [document.documentElement, document.body]) watch.observe(page, { attributes: true });
    this.endings.push(() => watch.disconnect(), () => this.root.remove());
    this.on("theme", () => this.dress());
  }

  get dark() {
    const asked = this.model.get("theme");
    if (asked !== "auto") return asked === "dark";
    const { documentElement: page, body } = document;
    if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
    if (page.dataset.theme) return page.dataset.theme === "dark";
    for (const name of ["dark", "light"]) if (body.classList.contains(name)) return name === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  dress() {
    const name = this.dark ? "dark" : "light";
    if (this.root.dataset.look === name) return;
    const look = this.model.get("look");
    this.root.dataset.look = name;
    this.root.style.setProperty("--thalweg-font", look.font);
    for (const [key, color] of Object.entries(look[name])) this.root.style.setProperty(`--thalweg-${key}`, color);
  }

  on(name, heard) {
    this.model.on(`change:${name}`, heard);
    this.endings.push(() => this.model.off(`change:${name}`, heard));
  }

  listen(target, event, heard, options) {
    target.addEventListener(event, heard, options);
    this.endings.push(() => target.removeEventListener(event, heard, options));
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    const since = performance.now() - this.last;
    if (since >= 40) this.save();
    else this.waiting ??= setTimeout(() => this.save(), 40 - since);
  }

  save() {
    clearTimeout(this.waiting);
    Object.assign(this, { waiting: null, last: performance.now() });
    this.model.save_changes();
  }

  frames(draw) {
    let number = null;
    const next = (now) => { number = draw(now) === false ? null : requestAnimationFrame(next); };
    number = requestAnimationFrame(next);
    const stop = () => { if (number !== null) cancelAnimationFrame(number); number = null; };
    this.endings.push(stop);
    return stop;
  }

  close() {
    if (this.waiting !== null) this.save();
    for (const end of this.endings.splice(0)) end();
  }
}

let numbered = 0;

function labelled(parent, words, name) {
  const box = block(parent, "div", `control ${name}`);
  const label = block(box, "label", "", words);
  label.htmlFor = `thalweg-${Date.now().toString(36)}-${numbered++}`;
  return [box, label];
}

function slider(stage, parent, { label, min, max, step = 0.01, log = false, value, input }) {
  const [box, tag] = labelled(parent, label, "slider");
  const rail = block(box, "input");
  const typed = block(box, "input", "typed");
  const digits = Math.max(0, Math.ceil(-Math.log10(step)));
  const [there, back] = log ? [Math.log10, (v) => Number((10 ** v).toPrecision(2))] : [(v) => v, (v) => Number((Math.round(v / step) * step).toFixed(digits))];
  const stride = log ? 0.05 : step;
  Object.assign(rail, { id: tag.htmlFor, type: "range", min: there(min), max: there(max), step: "any" });
  Object.assign(typed, { type: "text", inputMode: "decimal", autocomplete: "off" });
  typed.setAttribute("aria-label", `${label}, typed`);
  let now = value;
  const words = () => say(now, 7);
  const show = () => {
    rail.value = String(there(now));
    rail.setAttribute("aria-valuetext", words());
    typed.value = words();
  };
  const take = (asked) => {
    now = clamp(asked, min, max);
    show();
    input(now);
  };
  stage.listen(rail, "input", () => take(back(Number(rail.value))));
  stage.listen(rail, "keydown", (event) => {
    const strides = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!strides) return;
    event.preventDefault();
    take(back(there(now) + strides * stride * (event.shiftKey ? 10 : 1)));
  });
  const read = () => {
    const text = typed.value.trim();
    const number = Number(text.replace("−", "-").replace(",", "."));
    if (text === "" || !Number.isFinite(number)) show();
    else if (text !== words()) take(number);
  };
  stage.listen(typed, "keydown", (event) => { if (event.key === "Enter") read(); });
  stage.listen(typed, "blur", read);
  stage.listen(typed, "focus", () => typed.select());
  show();
  return { box, get: () => now, set: (number) => { if (number !== now) { now = number; show(); } } };
}

function choice(stage, parent, { label, options, value, change }) {
  const [box, tag] = labelled(parent, label, "choice");
  const list = block(box, "select");
  list.id = tag.htmlFor;
  for (const [key, words] of options) block(list, "option", "", words).value = key;
  list.value = value;
  stage.listen(list, "change", () => change(list.value));
  return { box, get: () => list.value, set: (key) => { list.value = key; } };
}

function button(stage, parent, { label, press }) {
  const made = block(parent, "button", "", label);
  made.type = "button";
  stage.listen(made, "click", press);
  return made;
}

function tick(stage, parent, { label, value, change }) {
  const [box, tag] = labelled(parent, label, "tick");
  const made = block(box, "input");
  Object.assign(made, { id: tag.htmlFor, type: "checkbox", checked: value });
  box.prepend(made);
  stage.listen(made, "change", () => change(made.checked));
  return { box, get: () => made.checked, set: (on) => { made.checked = on; } };
}

function css(color) {
  return /^[a-z]+(-[a-z0-9]+)*$/.test(color) && !CSS.supports("color", color) ? `var(--thalweg-${color})` : color;
}

function ticks([low, high], count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

class Chart {
  constructor(stage, parent, { x, y, height = 400, xLabel = "", yLabel = "", label = "", equal = false, zero = false }) {
    Object.assign(this, { stage, height, xLabel, yLabel, equal, zero, marks: new Map(), asked: { x, y } });
    this.box = block(parent, "div", "chart");
    this.svg = this.element(this.box, "svg", { role: "img", "aria-label": label });
    this.back = this.element(this.svg, "g", { class: "axes", "aria-hidden": "true" });
    const id = `thalweg-clip-${Date.now().toString(36)}-${numbered++}`;
    this.clip = this.element(this.element(this.svg, "clipPath", { id }), "rect", {});
    this.body = this.element(this.svg, "g", { "clip-path": `url(#${id})` });
    const seen = new ResizeObserver(() => this.resize());
    seen.observe(this.box);
    stage.endings.push(() => seen.disconnect());
    this.resize();
  }

  element(parent, tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  }

  resize() {
    const width = Math.max(240, Math.round(this.box.clientWidth || 640));
    if (width === this.width) return;
    this.width = width;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.layout();
  }

  range({ x = this.asked.x, y = this.asked.y }) {
    const same = [x, y].flat().every((v, k) => v === [this.asked.x, this.asked.y].flat()[k]);
    if (same) return;
    this.asked = { x, y };
    this.layout();
  }

  layout() {
    const [left, right, top, bottom] = [this.yLabel ? 72 : 56, 14, 12, this.xLabel ? 52 : 32];
    const [w, h] = [this.width - left - right, this.height - top - bottom];
    let { x, y } = this.asked;
    if (this.equal) {
      const unit = Math.max((x[1] - x[0]) / w, (y[1] - y[0]) / h);
      const about = ([low, high], pixels) => [(low + high - unit * pixels) / 2, (low + high + unit * pixels) / 2];
      [x, y] = [about(x, w), about(y, h)];
    }
    Object.assign(this, { x, y, left, top, w, h });
    for (const [key, value] of Object.entries({ x: left, y: top, width: w, height: h })) this.clip.setAttribute(key, value);
    this.axes();
    for (const mark of this.marks.values()) mark.draw();
  }

  px(x) { return this.left + ((x - this.x[0]) / (this.x[1] - this.x[0])) * this.w; }

  py(y) { return this.top + this.h - ((y - this.y[0]) / (this.y[1] - this.y[0])) * this.h; }

  axes() {
    this.back.replaceChildren();
    const rule = (x1, y1, x2, y2, name) => this.element(this.back, "line", { x1, y1, x2, y2, class: name });
    const [bottom, right] = [this.top + this.h, this.left + this.w];
    const write = (x, y, words, attributes) => { this.element(this.back, "text", { x, y, ...attributes }).textContent = words; };
    for (const at of ticks(this.x, this.w / 90)) {
      rule(this.px(at), this.top, this.px(at), bottom, this.zero && at === 0 ? "zero" : "grid");
      write(this.px(at), bottom + 20, say(at), { "text-anchor": "middle" });
    }
    for (const at of ticks(this.y, this.h / 45)) {
      rule(this.left, this.py(at), right, this.py(at), this.zero && at === 0 ? "zero" : "grid");
      write(this.left - 8, this.py(at) + 5, say(at), { "text-anchor": "end" });
    }
    if (this.xLabel) write(this.left + this.w / 2, this.height - 8, this.xLabel, { "text-anchor": "middle", class: "name" });
    const turned = `rotate(-90 18 ${this.top + this.h / 2})`;
    if (this.yLabel) write(18, this.top + this.h / 2, this.yLabel, { "text-anchor": "middle", class: "name", transform: turned });
  }

  mark(name, tag, draw, style) {
    let found = this.marks.get(name);
    if (!found) {
      found = { node: this.element(this.body, tag, { "data-name": name }) };
      this.marks.set(name, found);
    }
    for (const [key, value] of Object.entries(style)) found.node.style.setProperty(key, value);
    found.draw = () => draw(found.node);
    found.draw();
    return found.node;
  }

  track(xs, ys) {
    let [d, pen] = ["", "M"];
    const [floor, roof] = [-10 * this.height, 11 * this.height];
    for (let k = 0; k < xs.length; k++) {
      if (!Number.isFinite(xs[k]) || Number.isNaN(ys[k])) { pen = "M"; continue; }
      d += `${pen}${this.px(xs[k]).toFixed(2)} ${clamp(this.py(ys[k]), floor, roof).toFixed(2)}`;
      pen = "L";
    }
    return d;
  }

  line(name, xs, ys, { color = "text", width = 3, dash = "", opacity = 1 } = {}) {
    const style = { fill: "none", stroke: css(color), "stroke-width": width, "stroke-dasharray": dash || "none", opacity };
    return this.mark(name, "path", (node) => node.setAttribute("d", this.track(xs, ys)), style);
  }

  bar(name, x0, y0, x1, y1, look = {}) {
    return this.line(name, [x0, x1], [y0, y1], look);
  }

  dot(name, x, y, { color = "text", radius = 8, hollow = false } = {}) {
    const style = { fill: hollow ? "none" : css(color), stroke: hollow ? css(color) : css("paper"), "stroke-width": 2 };
    return this.mark(name, "circle", (made) => {
      const [cx, cy] = [this.px(x), this.py(y)];
      const seen = Number.isFinite(cx) && Number.isFinite(cy);
      for (const [key, value] of Object.entries({ cx: seen ? cx : 0, cy: seen ? cy : 0, r: radius })) made.setAttribute(key, value);
      made.style.display = seen ? "" : "none";
    }, style);
  }

  dots(name, xs, ys, { color = "text", radius = 4, opacity = 0.8 } = {}) {
    const draw = (node) => {
      let d = "";
      for (let k = 0; k < xs.length; k++) {
        const [x, y] = [this.px(xs[k]), this.py(ys[k])];
        if (Number.isFinite(x) && Number.isFinite(y)) d += `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
      }
      node.setAttribute("d", d);
    };
    const style = { fill: "none", stroke: css(color), "stroke-width": 2 * radius, "stroke-linecap": "round", opacity };
    return this.mark(name, "path", draw, style);
  }

  words(name, x, y, text, { color = "text", anchor = "start", dx = 8, dy = -8, size = 17 } = {}) {
    const style = { fill: css(color), "text-anchor": anchor, "font-size": `${size}px` };
    return this.mark(name, "text", (node) => {
      node.setAttribute("x", this.px(x) + dx);
      node.setAttribute("y", this.py(y) + dy);
      node.textContent = text;
    }, style);
  }

  heat(name, values, rows, columns, [x0, x1], [y0, y1], { low, high, map }) {
    const picture = painted(values, rows, columns, low, high, map ?? this.stage.model.get("look").map);
    const node = this.mark(name, "image", (made) => {
      const [halfX, halfY] = [(x1 - x0) / (columns - 1) / 2, (y1 - y0) / (rows - 1) / 2];
      const [left, right] = [this.px(x0 - halfX), this.px(x1 + halfX)];
      const [top, bottom] = [this.py(y1 + halfY), this.py(y0 - halfY)];
      const place = { x: left, y: top, width: right - left, height: bottom - top };
      for (const [key, value] of Object.entries(place)) made.setAttribute(key, value);
      made.setAttribute("preserveAspectRatio", "none");
    }, {});
    node.setAttribute("href", picture);
    this.body.prepend(node);
    return node;
  }

  remove(name) {
    this.marks.get(name)?.node.remove();
    this.marks.delete(name);
  }

  press(heard) {
    this.svg.style.touchAction = "none";
    this.svg.style.cursor = "crosshair";
    let held = false;
    const tell = (event) => {
      const box = this.svg.getBoundingClientRect();
      const [px, py] = [((event.clientX - box.left) / box.width) * this.width, ((event.clientY - box.top) / box.height) * this.height];
      const x = this.x[0] + ((px - this.left) / this.w) * (this.x[1] - this.x[0]);
      const y = this.y[0] + ((this.top + this.h - py) / this.h) * (this.y[1] - this.y[0]);
      heard(clamp(x, ...this.x), clamp(y, ...this.y), event);
    };
    this.stage.listen(this.svg, "pointerdown", (event) => {
      held = true;
      this.svg.setPointerCapture(event.pointerId);
      tell(event);
    });
    this.stage.listen(this.svg, "pointermove", (event) => { if (held) tell(event); });
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.listen(this.svg, end, (event) => { if (held) tell(event); held = false; });
    }
  }
}

// A picture of values as a data address; values that are not finite are clear.
function painted(values, rows, columns, low, high, colors) {
  const stops = colors.map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column];
      if (!Number.isFinite(value)) continue;
      const place = clamp((value - low) / (high - low || 1), 0, 1) * (stops.length - 1);
      const [k, share] = [Math.min(Math.floor(place), stops.length - 2), place - Math.min(Math.floor(place), stops.length - 2)];
      const at = 4 * ((rows - 1 - row) * columns + column);
      for (let c = 0; c < 3; c++) image.data[at + c] = Math.round(stops[k][c] + share * (stops[k + 1][c] - stops[k][c]));
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}
