// A folded graph: lays out what is open (the sums of graph_place.py), draws it, and answers pointer and keys.
(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { header: HEADER, pad: PAD, gap: GAP, row: ROW, labelRow: LABEL_ROW } = data.sizes;
const SWEEPS = 11, STRAIGHT = 1000, LOOSE = 0.01, ASIDE = 0.05, NS = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");

// ---- layout ----
const sizeOf = (view, [kind, key], known) => {
  if (kind === "node") return [view.nodes[key].w, view.nodes[key].h];
  if (kind === "call") return known.has(key) ? [known.get(key).width, known.get(key).height] : [view.calls[key].w, view.calls[key].h];
  return kind === "label" ? [key[1], 20] : [10, 0];
};

const offset = (view, [kind, key], size, port, leaving, known) => {
  if (kind === "call") {
    const inside = view.inside[key], ports = leaving ? inside.outs : inside.ins;
    if (!known.has(key)) return ((ports.indexOf(port) + 1) / (ports.length + 1) - 0.5) * size[0];
    const own = known.get(key), wanted = leaving ? "out" : "in";
    return own.x[inside.items.findIndex(([k, name]) => k === wanted && name === port)] - own.width / 2;
  }
  if (kind === "node" && !leaving && port && port.of) return ((port.of[0] + 1) / (port.of[1] + 1) - 0.5) * size[0];
  return 0;
};

const isLeaf = (view, [kind, key]) => kind === "node" && ["parameter", "buffer", "constant"].includes(view.nodes[key].role);

const pooled = (wanted, weights) => {
  const blocks = [];
  wanted.forEach((value, k) => {
    blocks.push([value, weights[k], 1]);
    while (blocks.length > 1 && blocks[blocks.length - 2][0] > blocks[blocks.length - 1][0]) {
      const [v, w, n] = blocks.pop(), b = blocks[blocks.length - 1];
      b[0] = (b[0] * b[1] + v * w) / (b[1] + w); b[1] += w; b[2] += n;
    }
  });
  return blocks.flatMap(([v, , n]) => Array(n).fill(v));
};

const across = (view, call, size, known) => {
  const inside = view.inside[call], x = size.map(() => 0);
  for (const row of inside.layers) {
    let left = -(row.reduce((sum, k) => sum + size[k][0], 0) + GAP * (row.length - 1)) / 2;
    for (const k of row) { x[k] = left + size[k][0] / 2; left += size[k][0] + GAP; }
  }
  const up = size.map(() => []), down = size.map(() => []), seen = new Map();
  for (const { chain, flip } of inside.lines) {
    for (let s = 0; s + 1 < chain.length; s++) {
      const [[a, ap], [b, bp]] = [chain[s], chain[s + 1]];
      const shift = offset(view, inside.items[a], size[a], ap, !flip, known) - offset(view, inside.items[b], size[b], bp, flip, known);
      const thin = [a, b].filter((k) => inside.items[k][0] === "bend" || inside.items[k][0] === "label").length;
      seen.set(`${a},${b},${shift}`, [a, b, shift, isLeaf(view, inside.items[a]) ? ASIDE : [1, 2, STRAIGHT][thin]]);
    }
  }
  for (const [a, b, shift, weight] of seen.values()) { up[b].push([a, shift, weight]); down[a].push([b, -shift, weight]); }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const downwards = sweep % 2 === 0, joined = downwards ? up : down;
    for (const row of downwards ? inside.layers : [...inside.layers].reverse()) {
      const wanted = [], weights = [], room = [];
      let at = 0;
      row.forEach((k, place) => {
        const pulls = joined[k], total = LOOSE + pulls.reduce((sum, p) => sum + p[2], 0);
        const aim = (LOOSE * x[k] + pulls.reduce((sum, [o, s, w]) => sum + w * (x[o] + s), 0)) / total;
        if (place) at += (size[row[place - 1]][0] + size[k][0]) / 2 + GAP;
        room.push(at); wanted.push(aim - at); weights.push(total);
      });
      pooled(wanted, weights).forEach((value, place) => { x[row[place]] = value + room[place]; });
    }
  }
  return x;
};

const geometry = (view, call, known) => {
  const inside = view.inside[call], size = inside.items.map((item) => sizeOf(view, item, known));
  const rowOf = size.map(() => 0);
  inside.layers.forEach((row, number) => row.forEach((k) => { rowOf[k] = number; }));
  const x = across(view, call, size, known);
  const low = x.length ? Math.min(...x.map((v, k) => v - size[k][0] / 2)) : 0;
  const high = x.length ? Math.max(...x.map((v, k) => v + size[k][0] / 2)) : 0;
  let width = high - low + 2 * PAD, shift = PAD - low;
  const least = call >= 0 ? view.calls[call].header + 2 * PAD : 0;
  if (least > width) { shift += (least - width) / 2; width = least; }
  const words = (row) => Boolean(row) && row.some((k) => inside.items[k][0] === "label");
  const tops = [], heights = [];
  let y = (call >= 0 ? HEADER : 0) + (inside.ins.length ? 0 : PAD);
  inside.layers.forEach((row, number) => {
    const ports = row.every((k) => inside.items[k][0] === "in" || inside.items[k][0] === "out");
    tops.push(y); heights.push(row.reduce((most, k) => Math.max(most, size[k][1]), 0));
    y += heights[number] + (words(row) || words(inside.layers[number + 1]) ? LABEL_ROW : ROW) * (ports ? 0.6 : 1);
  });
  const bottom = tops.length ? tops[tops.length - 1] + heights[heights.length - 1] : y;
  return { x: x.map((v) => v + shift), size, rowOf, tops, heights, width, height: bottom + (inside.outs.length ? 0 : PAD) };
};

const scene = (view, opened) => {
  const known = new Map();
  for (const call of Object.keys(view.inside).map(Number).sort((a, b) => b - a)) {
    if (call < 0 || opened.has(call)) known.set(call, geometry(view, call, known));
  }
  const drawn = { width: 0, height: 0, nodes: [], calls: [], lines: [], labels: [] };
  if (known.has(-1)) {
    drawn.width = known.get(-1).width; drawn.height = known.get(-1).height;
    gather(view, -1, 0, 0, known, drawn);
  }
  return drawn;
};

const topOf = (own, k) => own.tops[own.rowOf[k]] + (own.heights[own.rowOf[k]] - own.size[k][1]) / 2;

const gather = (view, call, left, top, known, drawn) => {
  const inside = view.inside[call], own = known.get(call);
  inside.items.forEach(([kind, key], k) => {
    const [w, h] = own.size[k], x = left + own.x[k] - w / 2, y = top + topOf(own, k);
    if (kind === "node") drawn.nodes.push([key, x, y]);
    if (kind === "call") {
      drawn.calls.push([key, x, y, w, h, known.has(key)]);
      if (known.has(key)) gather(view, key, x, y, known, drawn);
    }
  });
  for (const { chain, links, flip } of inside.lines) {
    let path = "", first, last;
    for (let s = 0; s + 1 < chain.length; s++) {
      const [[a, ap], [b, bp]] = [chain[s], chain[s + 1]];
      const x0 = left + own.x[a] + offset(view, inside.items[a], own.size[a], ap, !flip, known);
      const x1 = left + own.x[b] + offset(view, inside.items[b], own.size[b], bp, flip, known);
      let start = top + topOf(own, a) + own.size[a][1];
      const y0 = top + own.tops[own.rowOf[a]] + own.heights[own.rowOf[a]], y1 = top + own.tops[own.rowOf[b]];
      const end = top + topOf(own, b), middle = (y0 + y1) / 2;
      if (inside.items[a][0] === "in" && call >= 0) start = top + HEADER;
      if (s === 0) { path = `M${x0} ${start}`; first = [x0, start]; }
      path += `L${x0} ${y0}C${x0} ${middle} ${x1} ${middle} ${x1} ${y1}L${x1} ${end}`;
      last = [x1, end];
      if (inside.items[b][0] === "label") drawn.labels.push([inside.items[b][1][0], x1, end + own.size[b][1] / 2]);
    }
    const up = view.upwards !== flip, kind = inside.items[chain[up ? 0 : chain.length - 1][0]][0];
    drawn.lines.push({ path, links, up, tip: kind === "node" || kind === "call" ? (up ? first : last) : null });
  }
};

// ---- drawing ----
const el = (name, attributes = {}, ...children) => {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const opened = new Set(data.open);
let pass = data.first.replace("+", ""), parameters = data.first.endsWith("+");
let at = { x: 0, y: 0, scale: 1 }, drawn, chosen = "", lit = new Set();
const whole = el("g");
canvas.append(whole);
const viewName = () => (parameters && data.views[pass + "+"] ? pass + "+" : pass);
const view = () => data.views[viewName()];

const box = (item, key, x, y, role) => {
  const { w, h } = item, round = ["input", "parameter", "buffer", "constant"].includes(role) ? Math.min(h / 2, 22) : 7;
  const made = el("g", { class: role + (item.end ? " end" : ""), transform: `translate(${x} ${y})`, tabindex: 0, "data-key": key, role: "button", "aria-label": item.lines.join(", ") });
  if (role === "call") { made.append(el("rect", { class: "behind", x: 5, y: view().upwards ? -5 : 5, width: w, height: h, rx: 7 })); made.setAttribute("aria-expanded", "false"); }
  made.append(el("rect", { width: w, height: h, rx: round }));
  item.lines.forEach((words, k) => made.append(el("text", { class: k ? "more" : "name", x: w / 2, y: 25 + 19 * k }, words)));
  if (role === "call") made.append(el("text", { class: "sign", x: w - 13, y: 20, "aria-hidden": "true" }, "+"));
  return made;
};

const openBox = (item, key, x, y, w, h) => el("g", { class: "open", transform: `translate(${x} ${y})`, tabindex: 0, "data-key": key, role: "button", "aria-expanded": "true", "aria-label": item.title },
  el("rect", { width: w, height: h, rx: 9 }), el("rect", { class: "head", width: w, height: HEADER, rx: 9 }),
  el("text", { class: "title", x: 14, y: 20 }, item.title), el("text", { class: "sign", x: w - 15, y: 20, "aria-hidden": "true" }, "−"));

const draw = () => {
  const now = view(), focused = document.activeElement && document.activeElement.getAttribute("data-key");
  drawn = scene(now, opened);
  const parts = [];
  for (const [c, x, y, w, h, isOpen] of drawn.calls) if (isOpen) parts.push(openBox(now.calls[c], `c${c}`, x, y, w, h));
  for (const line of drawn.lines) {
    const told = line.links.map((n) => now.links[n]).join("\n");
    const made = el("g", { class: "line-of", "data-links": line.links.join(" ") }, el("path", { class: "wide", d: line.path }), el("path", { class: "line", d: line.path }), el("title", {}, told));
    if (line.tip) made.append(el("path", { class: "arrow", d: `M${line.tip[0]} ${line.tip[1]}l-5 ${line.up ? 8 : -8}h10z` }));
    parts.push(made);
  }
  const boxes = [];
  for (const [c, x, y, , , isOpen] of drawn.calls) if (!isOpen) boxes.push([y, x, box(now.calls[c], `c${c}`, x, y, "call")]);
  for (const [n, x, y] of drawn.nodes) boxes.push([y, x, box(now.nodes[n], `n${n}`, x, y, now.nodes[n].role)]);
  boxes.sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  parts.push(...boxes.map((b) => b[2]));
  for (const [words, x, y] of drawn.labels) parts.push(el("text", { class: "label", x, y: y + 5 }, words));
  whole.replaceChildren(...parts);
  canvas.classList.toggle("upwards", now.upwards);
  light();
  if (focused) { const again = whole.querySelector(`[data-key="${focused}"]`); if (again) again.focus({ preventScroll: true }); }
  mark();
};

const move = () => whole.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.scale})`);
const fit = (least = 0) => {
  const { width, height } = canvas.getBoundingClientRect();
  at.scale = Math.min(1.7, Math.max(least, Math.min((width - 30) / drawn.width, (height - 30) / drawn.height)));
  at.x = (width - drawn.width * at.scale) / 2;
  at.y = Math.max(15, (height - drawn.height * at.scale) / 2);
  move();
};
const zoom = (factor, x, y) => {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = Math.min(4, Math.max(0.02, at.scale * factor)), px = x ?? width / 2, py = y ?? height / 2;
  at.x = px - ((px - at.x) * scale) / at.scale; at.y = py - ((py - at.y) * scale) / at.scale; at.scale = scale;
  move();
};
const boxOf = (key) => {
  const number = Number(key.slice(1));
  if (key[0] === "n") { const f = drawn.nodes.find((n) => n[0] === number); return f && [f[1], f[2], view().nodes[number].w, view().nodes[number].h]; }
  const f = drawn.calls.find((c) => c[0] === number);
  return f && [f[1], f[2], f[3], f[4]];
};
// What was clicked stays under the pointer: its upper edge, and its middle from left to right.
const toggle = (call) => {
  const key = `c${call}`, before = boxOf(key);
  if (opened.has(call)) opened.delete(call); else opened.add(call);
  draw();
  const after = boxOf(key);
  if (before && after) {
    at.x += (before[0] + before[2] / 2 - after[0] - after[2] / 2) * at.scale; at.y += (before[1] - after[1]) * at.scale;
    move();
  }
};

// ---- what is said of a box ----
const itemOf = (key) => (key[0] === "n" ? view().nodes : view().calls)[Number(key.slice(1))];
const tell = (key) => {
  const item = itemOf(key);
  if (!item) return;
  byId("what").textContent = item.name;
  byId("detail").replaceChildren(...item.detail.flatMap(([name, words]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = words;
    return [dt, dd];
  }));
};
const mark = () => { for (const g of whole.querySelectorAll("[data-key]")) g.classList.toggle("chosen", g.dataset.key === chosen); };
const light = () => {
  for (const g of whole.querySelectorAll("[data-links]")) g.classList.toggle("lit", g.dataset.links.split(" ").some((n) => lit.has(Number(n))));
};

// ---- pointer ----
let held = null;
const keyAt = (target) => { const g = target.closest ? target.closest("[data-key]") : null; return g ? g.dataset.key : ""; };
canvas.addEventListener("pointerdown", (e) => { if (e.button === 0) held = { x: e.clientX, y: e.clientY, from: { ...at }, moved: false, key: keyAt(e.target) }; });
window.addEventListener("pointermove", (e) => {
  if (!held) return;
  const [dx, dy] = [e.clientX - held.x, e.clientY - held.y];
  if (Math.hypot(dx, dy) > 4) held.moved = true;
  if (held.moved) { at.x = held.from.x + dx; at.y = held.from.y + dy; canvas.classList.add("held"); move(); }
});
window.addEventListener("pointerup", () => {
  canvas.classList.remove("held");
  if (held && !held.moved && held.key) choose(held.key);
  held = null;
});
window.addEventListener("pointercancel", () => { held = null; canvas.classList.remove("held"); });
const choose = (key) => {
  if (key[0] === "c") { chosen = ""; toggle(Number(key.slice(1))); } else { chosen = chosen === key ? "" : key; mark(); }
  tell(key);
};
canvas.addEventListener("pointerover", (e) => { const key = keyAt(e.target); if (key && !held) tell(key); });
canvas.addEventListener("pointerout", (e) => { if (chosen && keyAt(e.target)) tell(chosen); });
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const { left, top } = canvas.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), e.clientX - left, e.clientY - top);
}, { passive: false });

// ---- keys ----
canvas.addEventListener("focusin", (e) => {
  const key = keyAt(e.target), place = key && boxOf(key);
  if (!place || held) return;
  tell(key);
  const { width, height } = canvas.getBoundingClientRect();
  const [x, y] = [at.x + place[0] * at.scale, at.y + place[1] * at.scale], [w, h] = [place[2] * at.scale, Math.min(place[3] * at.scale, 60)];
  if (x < 0 || x + w > width) at.x += width / 2 - x - w / 2;
  if (y < 0 || y + h > height) at.y += height / 2 - y - h / 2;
  move();
});
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const goTo = (from, [dx, dy]) => {
  const here = boxOf(from), middle = (b) => [b[0] + b[2] / 2, b[1] + Math.min(b[3], 60) / 2];
  if (!here) return;
  const [x, y] = middle(here);
  let best = null, least = Infinity;
  for (const g of whole.querySelectorAll("[data-key]")) {
    if (g.dataset.key === from) continue;
    const [a, b] = middle(boxOf(g.dataset.key)), along = (a - x) * dx + (b - y) * dy, aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    if (along > 1 && along + 2.5 * aside < least) { least = along + 2.5 * aside; best = g; }
  }
  if (best) best.focus({ preventScroll: true });
};
const parentOf = (key) => {
  const item = itemOf(key);
  return item && item.module >= 0 ? item.module : -1;
};
document.addEventListener("keydown", (e) => {
  const key = keyAt(e.target);
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const done = () => { e.preventDefault(); e.stopPropagation(); };
  if (e.key === "+" || e.key === "=") { zoom(1.25); done(); }
  else if (e.key === "-" || e.key === "−") { zoom(0.8); done(); }
  else if (e.key === "0") { fit(); done(); }
  else if (key && (e.key === "Enter" || e.key === " ")) { choose(key); done(); }
  else if (key && ARROWS[e.key]) { goTo(key, ARROWS[e.key]); done(); }
  else if (key && e.key === "Escape") {
    const around = key[0] === "c" && opened.has(Number(key.slice(1))) ? Number(key.slice(1)) : parentOf(key);
    if (around >= 0) { toggle(around); const g = whole.querySelector(`[data-key="c${around}"]`); if (g) g.focus({ preventScroll: true }); }
    done();
  }
});

// ---- buttons ----
const press = () => {
  for (const b of byId("passes").children) b.setAttribute("aria-pressed", String(b.dataset.pass === pass));
  byId("parameters").setAttribute("aria-pressed", String(parameters));
  byId("parameters").hidden = !data.views[pass + "+"];
};
const change = () => { chosen = ""; press(); draw(); fit(0.9); };
for (const b of byId("passes").children) b.addEventListener("click", () => { pass = b.dataset.pass; change(); });
byId("passes").hidden = !data.views.backward;
byId("parameters").addEventListener("click", () => { parameters = !parameters; change(); });
byId("folds").hidden = !view().calls.length;
byId("open-all").addEventListener("click", () => { view().calls.forEach((_, c) => opened.add(c)); draw(); fit(0.9); });
byId("close-all").addEventListener("click", () => { opened.clear(); draw(); fit(0.9); });
byId("smaller").addEventListener("click", () => zoom(0.8));
byId("larger").addEventListener("click", () => zoom(1.25));
byId("fit").addEventListener("click", () => fit());
const system = window.matchMedia("(prefers-color-scheme: dark)");
if (data.theme) document.documentElement.dataset.theme = data.theme;
byId("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || (system.matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});

// ---- paths ----
for (const { leaf, gradient, count, paths } of data.paths) {
  const head = document.createElement("h3");
  head.textContent = `${leaf}: gradient ${gradient}, ${count} ${count === "1" ? "path" : "paths"}`;
  byId("route-list").append(head);
  for (const { route, product, edges } of paths) {
    const button = document.createElement("button"), name = document.createElement("b");
    button.type = "button"; name.textContent = route;
    button.append(name, product);
    const on = () => { lit = new Set(edges); light(); }, off = () => { lit = new Set(); light(); };
    button.addEventListener("pointerenter", on); button.addEventListener("focus", on);
    button.addEventListener("pointerleave", off); button.addEventListener("blur", off);
    byId("route-list").append(button);
  }
}
byId("routes").hidden = !data.paths.length;

press(); draw(); fit(0.9);
window.addEventListener("resize", () => fit(0.9));
})();
