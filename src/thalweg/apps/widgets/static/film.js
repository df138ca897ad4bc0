function render({ model, el }) {
  const stage = new Stage({ model, el });
  const { Plotly } = globalThis;
  const { data, layout, frames } = JSON.parse(model.get("film"));
  const steps = model.get("steps");
  const last = steps.length - 1;
  const near = (step) => steps.reduce((best, s, k) => (Math.abs(s - step) < Math.abs(steps[best] - step) ? k : best), 0);
  const controls = block(stage.root, "div", "row");
  const box = block(stage.root, "div", "film");
  const now = { mode: "immediate", transition: { duration: 0 }, frame: { duration: 0, redraw: true } };

  const draw = () => {
    const place = clamp(model.get("place"), 0, last);
    rail.set(steps[place]);
    box.dataset.place = String(place);
    if (box._fullLayout) Plotly.animate(box, [frames[place].name], now).catch(() => {}); // broken off by the next one
  };
  const go = (place) => stage.set({ place: clamp(place, 0, last) });

  const gap = steps[1] - steps[0];
  const unit = model.get("unit");
  const rail = slider(stage, controls, {
    label: unit.length > 1 ? unit.charAt(0).toUpperCase() + unit.slice(1) : unit,
    min: steps[0],
    max: steps[last],
    step: gap,
    value: steps[clamp(model.get("place"), 0, last)],
    input: (step) => { halt(); go(near(step)); },
  });

  let stop = null;
  const play = button(stage, controls, { label: "Play", press: () => (stop ? halt() : start()) });
  const halt = () => { stop?.(); stop = null; play.textContent = "Play"; };
  const start = () => {
    if (model.get("place") >= last) go(0);
    const [from, since] = [model.get("place"), performance.now()];
    play.textContent = "Pause";
    stop = stage.frames((at) => {
      const place = Math.min(last, from + Math.floor(((at - since) / 1000) * model.get("fps")));
      if (place !== model.get("place")) go(place);
      if (place < last) return true;
      halt();
      return false;
    });
  };

  stage.on("place", draw);
  const wide = layout.width ? layout : { ...layout, autosize: true };
  Plotly.newPlot(box, data, wide, { displayModeBar: false, responsive: true })
    .then(() => Plotly.addFrames(box, frames))
    .then(draw);
  return () => { halt(); Plotly.purge(box); stage.close(); };
}
export default { render };
