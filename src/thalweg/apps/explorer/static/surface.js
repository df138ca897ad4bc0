// A surface over two coordinates: in space and as a map, alone or beside another, with cursor, line and walker.

import { ask, startPlotly } from "./ask.js";
import * as cutting from "./cut.js";
import { asked, column, trail, values } from "./columns.js";
import { coordinate, number } from "./grid.js";
import { Panel, STRIP, drawn } from "./panels.js";
import { make } from "./results.js";
import { keep, keepCamera, numbers, state, theme } from "./state.js";
import { Walk } from "./walk.js";

const VIEWS = { both: ["space", "map"], space: ["space"], map: ["map"] };
const NAMES = { space: "3-D", map: "map" };

export class Surface {
  constructor(room, fail) {
    this.room = room;
    this.fail = fail;
    this.panels = new Map();
    this.columns = [];
    this.walk = new Walk(room, () => this.soon());
    this.turn = 0;
    this.find = (id) => room.querySelector(`#${id}`);
    this.ends();
  }

  // Draws everything that the state asks for; later calls overtake earlier ones.
  async show(results) {
    const turn = ++this.turn;
    const views = VIEWS[state.view] ?? VIEWS.both;
    const columns = results.map(column);
    const wanted = views.flatMap((view) => columns.map((one, k) => ({ view, k, key: `${k}-${view}` })));
    this.keepOnly(wanted);
    if (columns.length > 1) this.set(1);
    this.find("reading").textContent = "";
    const told = new Map(wanted.map(({ view, k, key }) => [key, ask("picture", { ...asked(columns, k), view, theme: theme() })]));
    for (const one of told.values()) one.catch(() => {}); // each is awaited below, in its turn
    startPlotly();
    const order = wanted.toSorted((a, b) => (a.view === "space") - (b.view === "space")); // maps are drawn in no time
    try {
      for (const { view, k, key } of order) {
        const found = await told.get(key);
        if (turn !== this.turn) return;
        if (view === "map" && columns.length === 1) this.set(Panel.sides(found.layout));
        await this.draw(this.panels.get(key), found, view, columns, k);
      }
    } finally {
      for (const panel of this.panels.values()) panel.plot.classList.remove("waiting");
    }
    drawn("all-pictures");
    const [walks] = await Promise.all([
      ask("walk", asked(columns, 0)),
      ...columns.map((one) => values(one)),
    ]);
    if (turn !== this.turn) return;
    this.columns = columns;
    this.cursor = this.cursor && this.columns[0].grid.inside(...this.cursor) ? this.cursor : null;
    this.walk.quantity = columns[0].label;
    const { x: across, y: up } = columns[0].grid;
    this.walk.at = (x, y) => (x === null || y === null ? "no place" : `${coordinate(x, across)}, ${coordinate(y, up)}`);
    this.walk.ground = (x, y) => columns[0].grid.at(x, y);
    const labels = Object.fromEntries(results[0].surface.offers.map((one) => [one.id, one.label]));
    this.line = numbers(state.line, 4);
    this.walk.offer(walks.walkers, labels);
    this.marked();
    this.profiled();
    this.told();
  }

  async draw(panel, told, view, columns, k) {
    Object.assign(columns[k], { log: told.log, switch: told.switch, range: told.range, words: told.words });
    if (k === 0) this.scale(columns[k]);
    const which = columns.length > 1 ? `${"AB"[k]}: ` : "";
    await panel.draw(told, `${which}${columns[k].name}, ${columns[k].label}, ${NAMES[view]}`);
    panel.plot.classList.remove("waiting");
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame); // it is on the screen
    drawn("first-picture");
  }

  // A strip of a map goes below its surface and not beside it.
  set(sides) {
    this.find("panels").classList.toggle("stacked", sides < STRIP);
  }

  scale(one) {
    const box = this.find("log");
    box.checked = one.log;
    box.disabled = !one.switch;
    this.find("facts").textContent = one.words[1];
  }

  keepOnly(wanted) {
    const keys = new Set(wanted.map((one) => one.key));
    for (const [key, panel] of this.panels) {
      if (!keys.has(key)) {
        panel.close();
        this.panels.delete(key);
      }
    }
    for (const { view, k, key } of wanted) {
      if (!this.panels.has(key)) this.panels.set(key, this.panel(view, k));
      this.find("panels").append(this.panels.get(key).frame);
      this.panels.get(key).plot.classList.add("waiting");
    }
  }

  panel(view, k) {
    const panel = new Panel(view, this.fail);
    panel.heard = (plot) => (view === "space" ? this.hearSpace(panel, plot) : this.hearMap(plot));
    if (view === "map") {
      panel.plot.tabIndex = 0;
      panel.plot.setAttribute("role", "application");
      panel.plot.setAttribute("aria-label", `Map ${"AB"[k]}: arrow keys move the cursor, with Shift by five points`);
    }
    return panel;
  }

  // All scenes are seen from the same side.
  hearSpace(panel, plot) {
    const follow = (event) => {
      if (panel.led || !Object.keys(event ?? {}).some((key) => key.startsWith("scene.camera"))) return;
      this.lead = { panel, from: structuredClone(plot._fullLayout.scene._scene.getCamera()) };
      keepCamera(this.lead.from);
      this.turn3d();
    };
    plot.on("plotly_relayouting", follow);
    plot.on("plotly_relayout", follow);
    plot.on("plotly_hover", ({ points }) => {
      const at = points[0];
      if (at?.data.type === "surface") this.point([at.x, at.y], false);
    });
  }

  // The latest view is the one that counts; those in between may be left out.
  async turn3d() {
    if (this.turning) return;
    this.turning = true;
    while (this.lead) {
      const { panel, from } = this.lead;
      this.lead = null;
      for (const other of [...this.panels.values()].filter((one) => one !== panel && one.space)) {
        other.led = true;
        await other.look(from).catch(this.fail);
        other.led = false;
      }
    }
    this.turning = false;
  }

  hearMap(plot) {
    const cuts = () => this.room.querySelector("[name=drag]:checked").value === "cut";
    cutting.dragging(plot, cuts, (line, done) => this.cut(line, done));
    plot.addEventListener("pointermove", (event) => {
      const at = cutting.place(plot, event);
      if (at) this.point(at, false);
    });
    plot.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow") || !this.columns.length) return;
      event.preventDefault();
      event.stopPropagation();
      const { grid } = this.columns[0];
      const middle = [grid.x, grid.y].map(({ values: v }) => v[v.length >> 1]);
      this.point(this.cursor ? cutting.moved(grid, this.cursor, event.key, event.shiftKey) : middle, true);
    });
  }

  // The place that is read off; the keyboard's is marked too, the pointer marks its own.
  point(at, mark) {
    if (!this.columns.length) return;
    this.cursor = at;
    this.cross = mark ? at : null;
    this.told();
    if (mark || this.crossed) this.marked();
    this.crossed = mark;
  }

  told() {
    const reading = this.find("reading");
    const [first, second] = this.columns;
    if (!this.cursor || !first) {
      reading.replaceChildren(make("span", "Point at the map, or give it the focus and use the arrow keys, to read values.", { class: "soft" }));
      return;
    }
    const { x, y } = first.grid;
    const found = this.columns.map(({ grid }) => grid.at(...this.cursor));
    const parts = [make("span", `${x.symbol} = ${coordinate(this.cursor[0], x)}, ${y.symbol} = ${coordinate(this.cursor[1], y)}   `)];
    this.columns.forEach((one, k) => {
      parts.push(make("b", `${second ? `${"AB"[k]}: ` : ""}${one.grid.title} = ${number(found[k])}   `));
    });
    if (second && found.every(Number.isFinite)) parts.push(make("span", `B − A = ${number(found[1] - found[0])}`));
    else if (!second) parts.push(make("span", "(linear between grid points)", { class: "soft" }));
    reading.replaceChildren(...parts);
  }

  cut(line, done) {
    const [x0, y0, x1, y1] = line;
    if (x0 === x1 && y0 === y1) return;
    this.line = line;
    if (done) keep({ line: line.map((v) => Number(v.toPrecision(7))).join() });
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.marked(done);
      this.profiled();
    });
  }

  profiled() {
    this.find("cut").hidden = !this.line;
    if (!this.line || !this.columns.length) return;
    this.find("ends").querySelectorAll("input").forEach((input, k) => {
      if (input !== document.activeElement) input.value = String(Number(this.line[k].toPrecision(5)));
    });
    cutting.profile(this.find("profile"), this.line, this.columns, this.columns[0].log).catch(this.fail);
  }

  // Once for each picture on the screen, however fast a slider moves.
  soon() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.marked());
  }

  // Cursor, line and walker, on maps and in space.
  marked(all = true) {
    const places = this.walk.places;
    for (const [key, panel] of this.panels) {
      if (!panel.space) {
        const walkers = places.map((one) => cutting.dot(one.x, one.y, places.length > 1 ? 4 : 8, one.color, "#fff"));
        panel.mark([...cutting.shapes(this.line), ...walkers, ...(this.cross ? cutting.cross(...this.cross) : [])]);
      } else if (all && this.columns.length) {
        const one = this.columns[Number(key.split("-")[0])];
        panel.follow(trail(one, one === this.columns[0], this.line, this.cross, places));
      }
    }
  }

  // The ends of the line as typed numbers.
  ends() {
    const form = this.find("ends");
    form.querySelectorAll(".pair").forEach((pair, k) => {
      for (const axis of ["first coordinate", "second coordinate"]) {
        const name = `${k ? "End" : "Start"}: ${axis}`;
        pair.append(make("input", "", { type: "text", inputmode: "decimal", "aria-label": name }), " ");
      }
    });
    const typed = () => {
      const line = [...form.querySelectorAll("input")].map((input) => (input.value.trim() === "" ? NaN : Number(input.value)));
      if (line.every(Number.isFinite)) this.cut(line, true);
      else this.profiled();
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", typed);
    this.find("clear").addEventListener("click", () => {
      this.line = null;
      keep({ line: null });
      this.marked();
      this.profiled();
    });
  }

  zooming(on) {
    for (const panel of this.panels.values()) {
      if (!panel.space && panel.plot._fullLayout) window.Plotly.relayout(panel.plot, { dragmode: on ? "zoom" : false });
    }
  }

  close() {
    this.turn++;
    this.walk.offer([], {});
    this.columns = [];
    this.line = this.cross = this.cursor = null;
    this.find("cut").hidden = true;
    this.find("reading").textContent = "";
    for (const panel of this.panels.values()) panel.close();
    this.panels.clear();
  }
}
