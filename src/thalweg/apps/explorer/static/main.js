// The page: which result is open, and its controls.

import { ask, startPlotly } from "./ask.js";
import * as put from "./controls.js";
import { Panel, drawn } from "./panels.js";
import { about, current, list } from "./results.js";
import * as address from "./state.js";
import { keep, state } from "./state.js";
import { Surface } from "./surface.js";

const find = (id) => document.getElementById(id);
const nav = find("results");
const seen = { study: null, result: null, against: null, panels: [], turn: 0 };
const surface = new Surface(document, fail);

function fail(error) {
  console.debug(error);
  const notice = find("notice");
  notice.hidden = false;
  notice.className = "";
  notice.textContent = error.message ?? String(error);
}

function mild(text) {
  Object.assign(find("notice"), { hidden: !text, className: "mild", textContent: text });
}

async function openStudy() {
  seen.study = await ask("study");
  find("study").textContent = seen.study.name;
  find("study").title = seen.study.path;
  document.title = `${seen.study.name} · thalweg`;
  list(nav, seen.study);
}

const names = () => seen.study.groups.flatMap((group) => group.results);

async function openResult() {
  const turn = ++seen.turn;
  if (!names().length) return empty();
  const name = state.result ?? (names().find((one) => !one.broken) ?? names()[0]).name;
  current(nav, name);
  find("panels").setAttribute("aria-busy", "true");
  try {
    const [result, against] = await Promise.all([
      ask("result", { name }),
      state.against ? ask("result", { name: state.against }).catch(() => null) : null,
    ]);
    if (turn !== seen.turn) return;
    Object.assign(seen, { result, against: against?.surface ? against : null });
    find("heading").textContent = result.heading;
    find("about").hidden = false;
    about(document, result);
    await redraw();
  } catch (error) {
    if (turn !== seen.turn) return;
    clear();
    seen.result = null;
    find("heading").textContent = name;
    fail(error);
  } finally {
    if (turn === seen.turn) find("panels").removeAttribute("aria-busy");
  }
}

// Draws what is open. What cannot be drawn says why, and the controls stay: another quantity may do.
async function redraw() {
  const { result } = seen;
  mild(result.complete ? "" : "Incomplete: this is what has been computed so far. Reload shows what was added since.");
  try {
    await draw();
  } catch (error) {
    if (result !== seen.result) return;
    undraw();
    fail(error);
  }
}

function empty() {
  clear();
  find("heading").textContent = "Nothing here yet";
  mild(seen.study.message);
}

function undraw() {
  surface.close();
  for (const panel of seen.panels) panel.close();
  seen.panels = [];
  find("facts").textContent = "";
}

function clear() {
  undraw();
  find("controls").hidden = true;
  find("about").hidden = true;
}

async function draw() {
  const { result, against } = seen;
  controls();
  const view = views().includes(state.view) ? state.view : views()[0];
  if (result.surface && ["both", "space", "map"].includes(view)) {
    for (const panel of seen.panels) panel.close();
    seen.panels = [];
    return surface.show(against ? [result, against] : [result]);
  }
  surface.close();
  await plain(view);
}

async function plain(view) {
  const { result } = seen;
  const asked = ask("picture", { name: result.name, view, log: state.log, theme: address.theme() });
  startPlotly();
  const told = await asked;
  if (result !== seen.result) return;
  for (const panel of seen.panels.splice(1)) panel.close();
  const panel = seen.panels[0] ?? new Panel("picture", fail);
  seen.panels = [panel];
  find("panels").append(panel.frame);
  await panel.draw(told, told.words[0] || result.name);
  find("facts").textContent = told.words[1];
  drawn("first-picture");
}

function views() {
  const { result } = seen;
  return result.surface ? ["both", "space", "map", ...result.pictures] : result.pictures;
}

const WORDS = { both: "both", space: "3-D", map: "map", picture: "picture" };

function controls() {
  const { result } = seen;
  const flat = result.surface;
  const view = views().includes(state.view) ? state.view : views()[0];
  const drawn = flat && ["both", "space", "map"].includes(view);
  find("controls").hidden = false;
  put.radios(find("views"), "view", views().map((one) => [one, WORDS[one] ?? one]), view, (value) => change({ view: value }));
  find("views").hidden = views().length < 2;
  for (const id of ["splits", "drags", "comparing", "offers", "depths"]) find(id).hidden = !drawn;
  find("metric").parentElement.hidden = !drawn;
  find("scales").hidden = !drawn && result.kind !== "surface";
  if (!drawn) {
    find("log").disabled = false;
    find("log").checked = state.log === "true";
    return;
  }
  put.quantities(flat.variables);
  put.comparison(seen.study, seen.against);
  put.offers(flat.offers);
  put.depths(flat.depths);
}

async function change(what, again = redraw) {
  keep(what);
  try {
    await again();
  } catch (error) {
    fail(error);
  }
}

function wire() {
  const on = (id, event, act) => find(id).addEventListener(event, act);
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  on("metric", "change", () => change({ metric: find("metric").value, log: null }));
  on("splits", "change", (event) => change({ split: event.target.value }));
  on("log", "change", () => change({ log: find("log").checked }));
  on("drags", "change", (event) => surface.zooming(event.target.value === "zoom"));
  on("against", "change", () => change({ against: find("against").value, quantity: null }, openResult));
  on("quantity", "change", () => change({ quantity: find("quantity").value }));
  on("offers", "change", () => {
    const checked = [...find("offers").querySelectorAll("input:checked")].map((box) => box.value);
    change({ on: checked.join() || "none" });
  });
  on("depths", "change", () => {
    const cuts = [...find("depths").querySelectorAll("input")].map((slide) => `${slide.dataset.depth}:${slide.value}`);
    change({ at: cuts.join() });
  });
  on("reload", "click", () => change({}, async () => {
    await openStudy();
    await openResult();
  }));
  on("theme", "click", () => {
    keep({ theme: address.theme() === "dark" ? "light" : "dark" });
    paint();
  });
  address.onSystemTheme(paint);
  addEventListener("hashchange", () => {
    address.read();
    dress();
    openResult();
  });
}

function dress() {
  const theme = address.theme();
  document.documentElement.dataset.theme = theme;
  find("theme").setAttribute("aria-pressed", theme === "dark");
}

function paint() {
  dress();
  list(nav, seen.study);
  current(nav, seen.result?.name);
  if (seen.result) change({});
}

async function start() {
  address.read();
  dress();
  wire();
  try {
    await openStudy();
    await openResult();
  } catch (error) {
    find("heading").textContent = "The study cannot be read";
    fail(error);
  }
}

start();
