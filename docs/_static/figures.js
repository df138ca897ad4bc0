// Interactive figures are drawn when they are scrolled to, in the colours of the page, and again when these change.
// Plotly is loaded from beside this file, at the first of them.
(() => {
  const here = document.currentScript.src;
  let library;
  const plotly = () => library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", here).href;
    script.onload = () => done(window.Plotly);
    script.onerror = () => failed(new Error(`no ${script.src}`));
    document.head.append(script);
  });
  const look = () => document.documentElement.dataset.theme === "dark" ? "dark" : "light";

  async function draw(figure) {
    const wanted = figure.querySelector(`script[data-look="${look()}"]`) ?? figure.querySelector("script[data-look]");
    if (figure.drawn === wanted) return;
    figure.drawn = wanted;
    const { data, layout, frames } = JSON.parse(wanted.textContent);
    const config = { responsive: true, displaylogo: false, showSendToCloud: false };
    const place = figure.querySelector(".place");
    const Plotly = await plotly();
    await Plotly.newPlot(place, { data, layout: { ...layout, autosize: true }, frames, config });
    figure.dataset.ready = look();
  }

  function clear(figure) { // a page may hold few scenes at once
    if (!figure.drawn) return;
    figure.drawn = undefined;
    delete figure.dataset.ready;
    if (window.Plotly) window.Plotly.purge(figure.querySelector(".place"));
  }

  addEventListener("DOMContentLoaded", () => {
    const figures = [...document.querySelectorAll(".interactive-figure")];
    if (!figures.length) return;
    const seen = new IntersectionObserver(
      (entries) => entries.forEach((e) => e.isIntersecting ? draw(e.target) : clear(e.target)),
      { rootMargin: "600px" });
    figures.forEach((figure) => seen.observe(figure));
    new MutationObserver(() => figures.filter((f) => f.drawn).forEach(draw))
      .observe(document.documentElement, { attributeFilter: ["data-theme"] });
  });
})();
