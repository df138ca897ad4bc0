// The list of results, and a result in words. All of it is put in as text, never as markup.

import { address, state } from "./state.js";

export function make(tag, text = "", attrs = {}) {
  const node = document.createElement(tag);
  node.textContent = text;
  for (const [key, value] of Object.entries(attrs)) node.setAttribute(key, value);
  return node;
}

export function list(nav, study) {
  nav.replaceChildren();
  for (const group of study.groups) {
    const section = make("section");
    const items = make("ul");
    for (const one of group.results) items.append(item(one));
    section.append(make("h2", group.title), items);
    nav.append(section);
  }
}

function item(one) {
  const link = make("a", one.name, { href: address({ result: one.name, theme: state.theme }), "data-result": one.name });
  if (!one.complete && !one.broken) link.append(make("small", "incomplete", { class: "state" }));
  if (one.broken) link.append(make("small", "damaged or foreign", { class: "state" }));
  link.append(make("small", one.words));
  const entry = make("li");
  entry.append(link);
  return entry;
}

export function current(nav, name) {
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.result === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

export function about(room, result) {
  room.querySelector("#sentences").replaceChildren(...result.sentences.map((text) => make("p", text)));
  const links = result.grounds.map((one) => {
    const link = make("a", one.name, { href: address({ result: one.name, on: one.on, theme: state.theme }) });
    const line = make("p", "On its surface, to be walked: ");
    line.append(link);
    return line;
  });
  room.querySelector("#sentences").append(...links);
  room.querySelector("#provenance").replaceChildren(
    ...result.provenance.map(([key, value]) => {
      const row = make("tr");
      row.append(make("th", key, { scope: "row" }), make("td", value));
      return row;
    }),
  );
}
