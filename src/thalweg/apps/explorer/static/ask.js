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

// The plotting library is large: pictures wait for it, questions do not.
export const plotly = new Promise((ready) => {
  const check = () => (window.Plotly ? ready(window.Plotly) : setTimeout(check, 10));
  check();
});
