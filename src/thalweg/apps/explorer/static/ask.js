// Questions to the server. An error comes back in words and is thrown with them.

export class Told extends Error {}

export async function ask(what, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== null && value !== "");
  let reply;
  try {
    reply = await fetch(`/api/${what}?${new URLSearchParams(given)}`);
  } catch {
    throw new Told("The server does not answer any more. Start it again with `thalweg open`, then reload this page.");
  }
  const told = await reply.json().catch(() => ({ error: `The server answered with status ${reply.status}.` }));
  if (!reply.ok) throw new Told(told.error);
  return told;
}

export async function page(figure) {
  const reply = await fetch("/api/page", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(figure),
  });
  if (!reply.ok) throw new Told((await reply.json()).error);
  return reply.blob();
}

// The plotting library is large, and nothing else happens while it starts: so the first questions are sent before.
let start;
const started = new Promise((resolve) => (start = resolve));

export const plotly = started.then(() => new Promise((ready, lost) => {
  const script = document.createElement("script");
  script.src = "/plotly.min.js";
  script.onload = () => ready(window.Plotly);
  script.onerror = () => lost(new Told("The plotting library could not be read from the server."));
  document.head.append(script);
}));

export const startPlotly = () => start();
