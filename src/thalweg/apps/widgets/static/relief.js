// A surface in space on a canvas: lit, turned by hand, with lines on it that hide behind its hills.

class Relief {
  /** `scene` holds heights on a grid; `look` the colours of the moment. */
  constructor(scene, look) {
    this.azimuth = -0.95;
    this.elevation = 0.62;
    this.show(scene, look);
  }

  show(scene, look) {
    Object.assign(this, { scene, look });
    const { nx, ny } = scene;
    this.step = Math.max(1, Math.ceil(Math.max(nx, ny) / 64));
    this.rows = [...Array(nx).keys()].filter((k) => k % this.step === 0 || k === nx - 1);
    this.columns = [...Array(ny).keys()].filter((k) => k % this.step === 0 || k === ny - 1);
    this.colors = blend(look.colors, 128).map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
    this.lines = scene.lines.map((line) => ({ color: line.color, places: this.lifted(line.xy) }));
    this.base = null;
  }

  turn(across, up) {
    this.azimuth += across;
    this.elevation = Math.max(0.12, Math.min(1.45, this.elevation + up));
    this.base = null;
  }

  /** Height on the drawn surface, from 0 to 1; NaN outside. */
  height(x, y) {
    const { scene } = this;
    const gx = ((x - scene.x.low) / (scene.x.high - scene.x.low)) * (scene.nx - 1);
    const gy = ((y - scene.y.low) / (scene.y.high - scene.y.low)) * (scene.ny - 1);
    const slack = 1e-6;
    if (!(gx >= -slack && gx <= scene.nx - 1 + slack && gy >= -slack && gy <= scene.ny - 1 + slack)) return NaN;
    const h = between(scene.heights, scene.nx, scene.ny, gx, gy);
    return Math.max(0, Math.min(1, (h - scene.low) / (scene.high - scene.low)));
  }

  /** Coordinates `[x, y, ...]` as places `[u, v, h, ...]` in a box of sides 2, 2 and 1; long steps follow the ground. */
  lifted(xy, most = 900) {
    const { scene } = this;
    const wide = scene.x.high - scene.x.low;
    const deep = scene.y.high - scene.y.low;
    const gap = Math.max(1 / 90, xy.length / 2 / most / 40);
    const out = [];
    const add = (x, y) =>
      out.push((2 * (x - scene.x.low)) / wide - 1, (2 * (y - scene.y.low)) / deep - 1, this.height(x, y));
    for (let k = 0; k < xy.length; k += 2) {
      if (k && Number.isFinite(xy[k]) && Number.isFinite(xy[k - 2])) {
        const far = Math.max(Math.abs(xy[k] - xy[k - 2]) / wide, Math.abs(xy[k + 1] - xy[k - 1]) / deep);
        const parts = Math.min(60, Math.ceil(far / gap));
        for (let p = 1; p < parts; p++) {
          const s = p / parts;
          add(xy[k - 2] + s * (xy[k] - xy[k - 2]), xy[k - 1] + s * (xy[k + 1] - xy[k - 1]));
        }
      }
      add(xy[k], xy[k + 1]);
    }
    return out;
  }

  camera(width, height) {
    const [ca, sa] = [Math.cos(this.azimuth), Math.sin(this.azimuth)];
    const [ce, se] = [Math.cos(this.elevation), Math.sin(this.elevation)];
    const tall = this.scene.tall ?? 1.1;
    this.eye = [-sa * ce, ca * ce, se];
    this.tall = tall;
    const flat = (u, v, h) => [u * ca + v * sa, (-u * sa + v * ca) * se - h * tall * ce];
    const corners = [-1, 1].flatMap((u) => [-1, 1].flatMap((v) => [flat(u, v, 0), flat(u, v, 1)]));
    const [lowest, highest] = [Math.min, Math.max].map((f) => [0, 1].map((k) => f(...corners.map((c) => c[k]))));
    const scale = Math.min((width - 24) / 3.1, (height - 44) / (highest[1] - lowest[1]));
    const top = (height - 28 - scale * (highest[1] + lowest[1])) / 2 + 6;
    this.project = (u, v, h) => {
      const [across, down] = flat(u, v, h);
      return [width / 2 + across * scale, top + down * scale];
    };
  }

  /** Whether the ground hides a place from the eye. */
  hidden(u, v, h) {
    const { scene, eye, tall } = this;
    const along = Math.hypot(eye[0], eye[1]);
    const [du, dv, dh] = [eye[0] / along, eye[1] / along, eye[2] / along / tall];
    for (let s = 0.05; s < 2.9; s += 0.045) {
      const [a, b, c] = [u + s * du, v + s * dv, h + s * dh];
      if (c > 1 || Math.abs(a) > 1 || Math.abs(b) > 1) return false;
      const ground = (between(scene.heights, scene.nx, scene.ny, ((a + 1) / 2) * (scene.nx - 1), ((b + 1) / 2) * (scene.ny - 1)) - scene.low) / (scene.high - scene.low);
      if (ground > c + 0.012) return true;
    }
    return false;
  }

  paint(pen, width, height, sharp) {
    const key = [width, height, sharp, this.azimuth, this.elevation].join();
    if (!this.base || this.key !== key) {
      this.camera(width, height);
      this.base = document.createElement("canvas");
      this.base.width = Math.round(width * sharp);
      this.base.height = Math.round(height * sharp);
      const ground = this.base.getContext("2d");
      ground.setTransform(sharp, 0, 0, sharp, 0, 0);
      ground.lineJoin = ground.lineCap = "round";
      this.floor(ground);
      this.ground(ground);
      for (const line of this.lines) this.line(ground, line.places, line.color, 0.8, null, 0);
      this.key = key;
    }
    pen.drawImage(this.base, 0, 0, width, height);
  }

  /** The edges of the box behind and below the surface, and the names of its axes. */
  floor(pen) {
    const { look, scene } = this;
    const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
    pen.lineWidth = 1;
    pen.strokeStyle = look.muted;
    corners.forEach(([u, v], k) => {
      const next = corners[(k + 1) % 4];
      pen.beginPath();
      pen.moveTo(...this.project(u, v, 0));
      pen.lineTo(...this.project(...next, 0));
      pen.stroke();
    });
    pen.fillStyle = look.text;
    pen.font = `600 14px ${look.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const front = (side) => side.reduce((a, b) => (this.project(...a, 0)[1] > this.project(...b, 0)[1] ? a : b));
    pen.fillText(scene.x.symbol, ...this.project(...front([[0, -1.18], [0, 1.18]]), 0));
    pen.fillText(scene.y.symbol, ...this.project(...front([[-1.18, 0], [1.18, 0]]), 0));
  }

  ground(pen) {
    const { rows, columns, scene } = this;
    const forth = (list, flip) => (flip ? [...list].reverse() : list);
    const cells = (list) => list.slice(0, -1).map((from, k) => [from, list[k + 1]]);
    const u = (i) => (2 * i) / (scene.nx - 1) - 1;
    const v = (j) => (2 * j) / (scene.ny - 1) - 1;
    const h = (i, j) => Math.max(0, Math.min(1, (scene.heights[i * scene.ny + j] - scene.low) / (scene.high - scene.low)));
    const light = [-0.45, -0.5, 0.74];
    for (const [i, i2] of forth(cells(rows), this.eye[0] < 0)) {
      for (const [j, j2] of forth(cells(columns), this.eye[1] < 0)) {
        const [a, b, c, d] = [h(i, j), h(i2, j), h(i2, j2), h(i, j2)];
        if (![a, b, c, d].every(Number.isFinite)) continue;
        const su = ((b + c - a - d) / 2 / (u(i2) - u(i))) * this.tall;
        const sv = ((c + d - a - b) / 2 / (v(j2) - v(j))) * this.tall;
        const size = Math.hypot(su, sv, 1);
        const lit = Math.max(0, (-su * light[0] - sv * light[1] + light[2]) / size);
        const shade = 0.66 + 0.46 * lit;
        const color = this.colors[Math.round(Math.sqrt((a + b + c + d) / 4) * 127)].map((p) => Math.min(255, Math.round(p * shade)));
        pen.beginPath();
        pen.moveTo(...this.project(u(i), v(j), a));
        pen.lineTo(...this.project(u(i2), v(j), b));
        pen.lineTo(...this.project(u(i2), v(j2), c));
        pen.lineTo(...this.project(u(i), v(j2), d));
        pen.closePath();
        pen.fillStyle = pen.strokeStyle = `rgb(${color})`;
        pen.lineWidth = 1.1;
        pen.fill();
        pen.stroke();
      }
    }
  }

  /** A line on the surface; where hills hide it, it is faint. */
  line(pen, places, color, width, casing, faint = 0.28) {
    const seen = [];
    const lost = [];
    let before = null;
    for (let k = 0; k < places.length; k += 3) {
      const [u, v, h] = [places[k], places[k + 1], places[k + 2]];
      const there = Number.isFinite(h);
      const point = there ? this.project(u, v, h) : [NaN, NaN];
      const hides = there && this.hidden(u, v, h);
      (hides ? lost : seen).push(...point);
      (hides ? seen : lost).push(NaN, NaN);
      if (before !== null && before !== hides && there) (hides ? seen : lost).splice(-2, 2, ...point, NaN, NaN);
      before = there ? hides : null;
    }
    if (faint) {
      pen.globalAlpha = faint;
      stroke(pen, lost, color, width, null);
      pen.globalAlpha = 1;
    }
    stroke(pen, seen, color, width, casing);
  }

  /** Where a place on the surface is on the screen, and whether it is hidden. */
  spot(x, y) {
    const { scene } = this;
    const u = (2 * (x - scene.x.low)) / (scene.x.high - scene.x.low) - 1;
    const v = (2 * (y - scene.y.low)) / (scene.y.high - scene.y.low) - 1;
    const h = this.height(x, y);
    if (!Number.isFinite(h)) return null;
    const [px, py] = this.project(u, v, h);
    return { px, py, hidden: this.hidden(u, v, h) };
  }
}
