// The controls of a surface, filled with what it offers and set to what the address says.

import { make } from "./results.js";
import { state } from "./state.js";

const find = (id) => document.getElementById(id);

export function quantities(variables) {
  const metrics = [...new Set(variables.map((one) => one.metric))];
  const chosen = metrics.includes(state.metric) ? state.metric : metrics[0];
  options(find("metric"), metrics.map((one) => [one, one.replaceAll("_", " ")]), chosen);
  const splits = variables.filter((one) => one.metric === chosen).map((one) => one.split);
  const split = splits.includes(state.split ?? "train") ? state.split ?? "train" : splits[0];
  for (const radio of find("splits").querySelectorAll("input")) {
    radio.disabled = !splits.includes(radio.value);
    radio.checked = radio.value === split;
  }
  find("splits").hidden = splits.length < 2;
}

export function comparison(study, against) {
  const surfaces = study.groups.find((group) => group.title === "Surfaces")?.results ?? [];
  options(find("against"), [["", "nothing"], ...surfaces.map((one) => [one.name, one.name])], against?.name ?? "");
  find("second").hidden = !against;
  if (!against) return;
  const { variables } = against.surface;
  const chosen = variables.find((one) => one.name === state.quantity)?.name ?? variables[0].name;
  options(find("quantity"), variables.map((one) => [one.name, one.label]), chosen);
}

export function offers(offered) {
  const field = find("offers");
  field.hidden = !offered.length;
  const on = state.on === undefined ? offered.filter((one) => one.on).map((one) => one.id) : state.on.split(",");
  field.replaceChildren(field.querySelector("legend"), ...offered.map((one) => {
    const box = make("input", "", { type: "checkbox", value: one.id });
    box.checked = on.includes(one.id);
    return labelled(box, one.label);
  }));
}

export function depths(cuts) {
  const field = find("depths");
  field.hidden = !cuts.length;
  const at = Object.fromEntries((state.at ?? "").split(",").filter(Boolean).map((part) => part.split(":")));
  field.replaceChildren(field.querySelector("legend"), ...cuts.map(({ name, values }) => {
    const slide = make("input", "", { type: "range", min: 0, max: values.length - 1, "data-depth": name });
    slide.value = at[name] ?? values.length >> 1;
    return labelled(slide, `${name} = ${Number(values[slide.value].toPrecision(4))}`);
  }));
}

function labelled(control, text) {
  const label = make("label");
  label.append(control, make("span", ` ${text}`));
  return label;
}

export function radios(field, name, choices, chosen, act) {
  field.replaceChildren(field.querySelector("legend"), ...choices.map(([value, text]) => {
    const radio = make("input", "", { type: "radio", name, value });
    radio.checked = value === chosen;
    radio.addEventListener("change", () => act(value));
    return labelled(radio, text);
  }));
}

function options(select, choices, chosen) {
  select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
  select.value = chosen;
}
