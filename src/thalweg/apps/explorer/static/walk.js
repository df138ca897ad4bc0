// A marker that walks a path, a curve or descents: slider, typed step, play.

import { number } from "./grid.js";
import { keep, state } from "./state.js";

export class Walk {
  constructor(room, moved) {
    const [section, choice, slide, place, play, unit, there] = ["walk", "walker", "slide", "place", "play", "unit", "there"]
      .map((id) => room.querySelector(`#${id}`));
    Object.assign(this, { section, choice, slide, place, play, unit, there, moved });
    this.walkers = [];
    choice.addEventListener("change", () => this.choose(choice.value, null));
    slide.addEventListener("input", () => this.go(Number(slide.value)));
    place.addEventListener("change", () => this.type(place.value));
    play.addEventListener("click", () => this.run(!this.timer));
  }

  // What can be walked now; the place stays if the same one is there again.
  offer(walkers, labels) {
    this.walkers = walkers;
    this.section.hidden = !walkers.length;
    if (!walkers.length) {
      this.run(false);
      this.now = null;
      return;
    }
    this.choice.replaceChildren(...walkers.map((one) => new Option(labels[one.id] ?? one.id, one.id)));
    const step = state.step === undefined ? null : Number(state.step);
    this.choose(walkers.some((one) => one.id === state.walker) ? state.walker : walkers[0].id, step);
  }

  choose(id, step) {
    this.now = this.walkers.find((one) => one.id === id);
    this.choice.value = id;
    this.slide.max = this.now.values.length - 1;
    this.unit.textContent = this.now.dim;
    this.go(step === null ? this.now.values.length - 1 : nearest(this.now.values, step), step === null);
  }

  type(text) {
    const wanted = Number(text);
    if (text.trim() === "" || Number.isNaN(wanted)) this.place.value = number(this.now.values[this.index]);
    else this.go(nearest(this.now.values, wanted));
  }

  go(index, quiet = false) {
    this.index = index;
    this.slide.value = index;
    const value = this.now.values[index];
    this.place.value = String(value);
    this.slide.setAttribute("aria-valuetext", `${this.now.dim} ${value}`);
    if (!quiet) keep({ walker: this.now.id, step: value });
    this.there.textContent = this.words();
    this.moved();
  }

  run(on) {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = on ? "Pause" : "Play";
    if (!on) return;
    const hop = Math.max(1, Math.round(this.now.values.length / 120));
    if (this.index >= this.now.values.length - 1) this.go(0);
    this.timer = setInterval(() => {
      this.go(Math.min(this.index + hop, this.now.values.length - 1));
      if (this.index >= this.now.values.length - 1) this.run(false);
    }, 60);
  }

  // Where the marker stands: one place for each start.
  get places() {
    if (!this.now) return [];
    const { x, y, z, color } = this.now;
    return x.map((row, k) => ({ x: row[this.index], y: y[k][this.index], z: z[k][this.index], color }))
      .filter((one) => one.x !== null && one.y !== null);
  }

  words() {
    const { dim, values, x, y, distance } = this.now;
    const told = [`${dim} ${number(values[this.index])}`];
    const many = x.length > 1;
    if (many) told.push(`${this.places.length} of ${x.length} starts`);
    else told.push(`at ${this.at(x[0][this.index], y[0][this.index])}`);
    told.push(...["true", "projected"].flatMap((key) => this.told(key)));
    if (!many && !this.now.projected && this.ground) {
      told.push(`${this.quantity} of the surface there ${number(this.ground(x[0][this.index], y[0][this.index]), 4)}`);
    }
    if (distance?.some((row) => row[this.index])) told.push(`distance from the plane ${span(distance, this.index)}`);
    return told.join(" · ");
  }

  told(key) {
    const rows = this.now[key];
    if (!rows) return [];
    const name = this.quantity ?? "loss";
    return [`${name}${key === "true" ? "" : " at its projection"} ${span(rows, this.index)}`];
  }
}

function span(rows, index) {
  const values = rows.map((row) => row[index]).filter((v) => v !== null);
  if (!values.length) return "not known";
  if (values.length === 1) return number(values[0], 4);
  return `${number(Math.min(...values), 4)} to ${number(Math.max(...values), 4)}`;
}

function nearest(values, wanted) {
  return values.reduce((best, value, k) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? k : best), 0);
}
