// Values on a rectangular grid, and between its points.

export class Grid {
  constructor(told) {
    Object.assign(this, told);
    const bytes = Uint8Array.from(atob(told.values), (c) => c.charCodeAt(0));
    this.values = new Float64Array(bytes.buffer);
  }

  // Bilinear between the four points around; nan outside of the grid and beside what is not finite.
  at(x, y) {
    const [i, s] = cell(this.x.values, x);
    const [j, t] = cell(this.y.values, y);
    if (i < 0 || j < 0) return NaN;
    const v = (k, l) => (k * l === 0 ? 0 : k * l);
    let sum = 0;
    for (const [di, wi] of [[0, 1 - s], [1, s]]) {
      for (const [dj, wj] of [[0, 1 - t], [1, t]]) {
        const weight = v(wi, wj);
        if (weight !== 0) sum += weight * this.values[(i + di) * this.y.values.length + j + dj];
      }
    }
    return Number.isFinite(sum) ? sum : NaN;
  }

  inside(x, y) {
    return cell(this.x.values, x)[0] >= 0 && cell(this.y.values, y)[0] >= 0;
  }

  // Places along a line, from 0 to 1, with the values there.
  along([x0, y0, x1, y1], count = 301) {
    const share = Array.from({ length: count }, (_, k) => k / (count - 1));
    return { share, values: share.map((t) => this.at(x0 + t * (x1 - x0), y0 + t * (y1 - y0))) };
  }
}

// The interval of `axis` in which `at` lies, and how far in it; -1 outside.
export function cell(axis, at) {
  const last = axis.length - 1;
  if (!(at >= axis[0] && at <= axis[last])) return [-1, 0];
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (axis[middle] <= at) low = middle;
    else high = middle;
  }
  return [low, last ? (at - axis[low]) / (axis[high] - axis[low]) : 0];
}

// The point of `axis` that is `hops` away from the one nearest to `at`.
export function hop(axis, at, hops) {
  const [k, share] = cell(axis, Math.min(Math.max(at, axis[0]), axis[axis.length - 1]));
  return axis[Math.min(Math.max(k + Math.round(share) + hops, 0), axis.length - 1)];
}

const UP = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function number(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "not known";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 8 });
  const [mantissa, power] = value.toExponential(Math.min(digits, 3) - 1).split("e");
  return `${Number(mantissa)}×10${[...String(Number(power))].map((c) => UP[c]).join("")}`;
}

// A coordinate, to a ten-thousandth of its axis.
export function coordinate(value, { values }) {
  const unit = 10 ** Math.floor(Math.log10((values[values.length - 1] - values[0]) * 1e-4 || 1));
  return number(Math.round(value / unit) * unit);
}

// Heights as the surface is drawn: logarithms, and nothing outside of its range.
export function height(value, { log, range }) {
  if (!Number.isFinite(value)) return NaN;
  const h = log ? (value > 0 ? Math.log10(value) : range[0]) : value;
  return Math.min(Math.max(h, range[0]), range[1]);
}
