// One picture in its frame: drawn, marked, saved.

import { page, plotly } from "./ask.js";
import { camera } from "./state.js";

const CONFIG = { displaylogo: false, showSendToCloud: false, responsive: true, modeBarButtonsToRemove: ["toImage", "lasso2d", "select2d"] };
const WIDE = 1.6; // width over height from which a scene needs no more room
export const STRIP = 0.5; // height over width of a map that is not set beside its surface
const SMALL = 700; // pixels of a scene that is too narrow for large words
const NOTHING = { x: [null], y: [null], z: [null] };

export class Panel {
  constructor(view, onError) {
    this.view = view;
    this.onError = onError;
    this.frame = document.createElement("figure");
    this.frame.innerHTML = '<figcaption><b></b><span>Save:</span></figcaption><div class="plot"></div>';
    this.plot = this.frame.querySelector(".plot");
    this.name = this.frame.querySelector("b");
    for (const kind of ["PNG", "SVG", "HTML"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = kind;
      button.dataset.save = kind.toLowerCase();
      button.addEventListener("click", () => this.save(kind.toLowerCase()).catch(this.onError));
      this.frame.querySelector("figcaption").append(button);
    }
  }

  get space() {
    return this.view === "space";
  }

  // Draws what the server tells. The frame has a size of its own unless the figure brings one.
  async draw(told, words) {
    const Plotly = await plotly;
    this.told = told;
    this.name.textContent = words;
    for (const button of this.frame.querySelectorAll("button")) {
      button.setAttribute("aria-label", `Save ${words} as ${button.textContent}`);
    }
    this.frame.classList.toggle("free", told.layout.height !== undefined);
    const { data, layout } = structuredClone({ data: told.data, layout: told.layout });
    this.first = data.length;
    this.shapes = layout.shapes ?? [];
    if (this.space) {
      data.push(...trails(this.trail));
      layout.scene.camera = camera() ?? this.away(layout);
      this.words(layout.scene);
    } else {
      layout.shapes = [...this.shapes, ...(this.marks ?? [])];
    }
    this.plot.style.height = this.view === "map" ? this.height(layout) : "";
    const fresh = !this.plot._fullLayout;
    await Plotly.react(this.plot, data, layout, CONFIG);
    if (this.view === "map") await this.fitBar();
    if (fresh) this.heard?.(this.plot);
  }

  words(scene) {
    const size = this.plot.clientWidth < SMALL ? 12 : 14;
    for (const axis of ["xaxis", "yaxis", "zaxis"]) scene[axis].title.font = { size };
  }

  // Height over width of a map that keeps its proportions; 1 where it need not.
  static sides({ xaxis, yaxis }) {
    return yaxis.scaleanchor ? (yaxis.range[1] - yaxis.range[0]) / (xaxis.range[1] - xaxis.range[0]) : 1;
  }

  // A map that is wide and low needs no more height than it has.
  height(layout) {
    const { l, r, t, b } = layout.margin;
    const needed = (this.plot.clientWidth - l - r) * Panel.sides(layout) + t + b;
    return Panel.sides(layout) < STRIP ? `${Math.max(260, Math.round(needed))}px` : "";
  }

  // Steps back where the frame is too narrow for the whole scene.
  away({ scene, margin }) {
    const room = (this.plot.clientWidth - margin.l - margin.r) / (this.plot.clientHeight - margin.t - margin.b);
    const { eye } = scene.camera;
    const back = Math.max(1, WIDE / room);
    return { ...scene.camera, eye: { x: eye.x * back, y: eye.y * back, z: eye.z * back } };
  }

  // The colour bar as high as the map, which keeps its proportions in whatever frame.
  async fitBar() {
    const { xaxis, yaxis } = this.plot._fullLayout;
    const [low, high] = yaxis.domain;
    const bar = { "colorbar.len": high - low, "colorbar.y": (low + high) / 2, "colorbar.x": xaxis.domain[1] + 0.01 };
    const title = this.plot.layout.annotations?.findIndex((one) => one.name === "bar") ?? -1;
    const moved = title < 0 ? {} : {
      [`annotations[${title}].x`]: xaxis.domain[1], [`annotations[${title}].y`]: (low + high) / 2,
    };
    await window.Plotly.update(this.plot, bar, moved, [0]);
  }

  // Lines and points on a map, which come and go without drawing the map again.
  async mark(shapes) {
    this.marks = shapes;
    if (this.plot._fullLayout && !this.space) {
      await (await plotly).relayout(this.plot, { shapes: [...this.shapes, ...shapes] });
    }
  }

  // The same in space.
  async follow(trail) {
    this.trail = trail;
    const scene = this.plot._fullLayout?.scene?._scene;
    if (!scene) return;
    trails(trail).forEach((trace, k) => {
      const full = this.plot._fullData[this.first + k];
      Object.assign(full, { x: trace.x, y: trace.y, z: trace.z, _length: trace.x.length });
      if (trace.marker) Object.assign(full.marker, trace.marker);
      scene.traces[full.uid]?.update(full); // `restyle` would build the surface again, which takes a second
    });
  }

  async look(from) {
    if (this.plot._fullLayout?.scene) await (await plotly).relayout(this.plot, { "scene.camera": from });
  }

  // What is seen, as a figure of plotly with its title again.
  seen() {
    const { data, layout, head } = structuredClone(this.told);
    const now = this.plot.layout;
    if (this.space) {
      layout.scene.camera = structuredClone(this.plot._fullLayout.scene._scene.getCamera());
      this.words(layout.scene);
      data.push(...trails(this.trail));
    } else {
      for (const key of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
        if (now[key]?.range) layout[key].range = [...now[key].range];
      }
      layout.shapes = [...this.shapes, ...(this.marks ?? [])];
      if (this.view === "map") {
        const { len, x, y } = this.plot.data[0].colorbar;
        Object.assign(data[0].colorbar, { len, x, y });
        layout.annotations?.forEach((one, k) => Object.assign(one, { x: now.annotations[k].x, y: now.annotations[k].y }));
      }
    }
    if (head?.title?.text) {
      layout.title = head.title;
      layout.margin.t = Math.max(layout.margin.t, this.space || this.view === "map" ? 96 : head.top);
    }
    layout.width = Math.max(this.plot.clientWidth, 640);
    layout.height = this.plot.clientHeight + (layout.margin.t - (this.told.layout.margin.t ?? 0));
    return { data, layout };
  }

  async save(kind) {
    const figure = this.seen();
    const filename = this.name.textContent.replace(/[^\w.-]+/g, "-").replace(/^-|-$/g, "") || "figure";
    if (kind === "html") {
      delete figure.layout.width;
      give(await page(figure), `${filename}.html`);
      return;
    }
    const { width, height } = figure.layout;
    const size = { format: kind, filename, width, height, scale: kind === "png" ? 2 : 1 };
    await (await plotly).downloadImage(figure, size);
  }

  close() {
    window.Plotly?.purge(this.plot);
    this.frame.remove();
  }
}

// When something was first seen, for those who measure it.
export function drawn(what) {
  if (!performance.getEntriesByName(what).length) performance.mark(what);
}

// The line and the points of a trail as traces.
function trails(trail) {
  const { line, points } = trail ?? { line: NOTHING, points: { ...NOTHING, rim: ["#fff"], size: [8] } };
  const quiet = { type: "scatter3d", showlegend: false, hoverinfo: "skip" };
  const at = ({ x, y, z }) => ({ x, y, z });
  const look = { color: "#ffffff", size: points.size, symbol: "circle", opacity: 1, line: { color: points.rim, width: 5 } };
  return [
    { ...quiet, name: "line", mode: "lines", ...at(line), line: { color: "#ffd34d", width: 7 } },
    { ...quiet, name: "places", mode: "markers", ...at(points), marker: look },
  ];
}

function give(blob, filename) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
