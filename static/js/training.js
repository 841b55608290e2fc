// Draws the loss curve of a training, and lets one look through its samples. Both go on as the page changes:
// live-morph.js brings new points and pictures, here they are drawn into what is there.

const HEIGHT = 220;
const GRAIN = 20; // a smoothed point looks back over about this part of the curve
const COLOURS = ["--border-strong", "--accent", "--warn"]; // of a step's loss, the smoothed one, the held-out pair
const dark = matchMedia("(prefers-color-scheme: dark)");

let plot = null;
let library = null;

// The curve --------------------------------------------------------------------------------------------------

async function draw() {
  const figure = document.getElementById("curve");
  const place = figure?.querySelector("[data-morph-skip]");
  if (!place) return;
  library ||= import("../vendor/uplot/uPlot-1.6.32.esm.js");
  const { default: Plot } = await library;
  if (!place.isConnected) return;
  if (place.contains(plot?.root)) return plot.setData(pointsOf(figure));
  plot?.destroy();
  plot = new Plot(optionsFor(place), pointsOf(figure), place);
  resized.disconnect();
  resized.observe(place);
}

const resized = new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width) plot.setSize({ width: contentRect.width, height: HEIGHT });
});

function pointsOf({ dataset }) {
  const losses = new Map(JSON.parse(dataset.losses));
  const heldOut = new Map(JSON.parse(dataset.heldOut));
  const steps = Array.from(new Set([...losses.keys(), ...heldOut.keys()])).sort((a, b) => a - b);
  const of = (curve) => steps.map((step) => curve.get(step) ?? null);
  return [steps, of(losses), of(smoothed(losses)), of(heldOut)];
}

// A running mean that forgets, and that does not lean on where it began.
function smoothed(curve) {
  const keep = Math.max(0, 1 - GRAIN / Math.max(curve.size, GRAIN));
  let [sum, weight] = [0, 0];
  return new Map(
    Array.from(curve, ([step, loss]) => {
      sum = keep * sum + loss;
      weight = keep * weight + 1;
      return [step, sum / weight];
    }),
  );
}

function optionsFor(place) {
  const colour = (name) => () => colourOf(place, name);
  const number = (_, value) => (value == null ? "" : value.toFixed(4));
  const axis = {
    stroke: colour("--text-muted"),
    grid: { stroke: colour("--border"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  const series = (label, name, more) => ({
    label,
    stroke: colour(name),
    value: number,
    spanGaps: true,
    points: { show: false },
    ...more,
  });
  const until = () => Number(document.getElementById("curve")?.dataset.steps) || null;
  return {
    width: place.clientWidth,
    height: HEIGHT,
    scales: {
      x: { time: false, range: (_, least, most) => [Math.min(0, least), Math.max(most, until() || most, 1)] },
    },
    axes: [
      { ...axis, size: 32 },
      { ...axis, size: 48 },
    ],
    legend: { markers: { width: 0, fill: (_, index) => `var(${COLOURS[index - 1]})` } },
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
    series: [
      { label: "Step", value: (_, value) => value ?? "" },
      series("Loss", COLOURS[0], { width: 1, alpha: 0.55 }),
      series("Smoothed", COLOURS[1], { width: 2 }),
      series("Held-out pair", COLOURS[2], {
        width: 2,
        points: { show: true, size: 6, fill: colour(COLOURS[2]) },
      }),
    ],
  };
}

// What the name stands for in this light; a canvas knows nothing of custom properties.
function colourOf(place, name) {
  place.style.color = `var(${name})`;
  return getComputedStyle(place).color;
}

// The samples ------------------------------------------------------------------------------------------------

let atTheEnd = true;

function look() {
  const slider = document.getElementById("sample-step");
  const items = document.querySelectorAll("[data-samples] > li");
  if (!slider || !items.length) return;
  slider.max = items.length - 1;
  if (atTheEnd) slider.value = slider.max;
  const shown = items[slider.value];
  for (const item of items) item.toggleAttribute("data-shown", item === shown);
  slider.setAttribute("aria-valuetext", shown.querySelector("figcaption").textContent);
}

document.addEventListener("input", ({ target }) => {
  if (target.id !== "sample-step") return;
  atTheEnd = target.value === target.max;
  look();
});

// Both -------------------------------------------------------------------------------------------------------

function show() {
  draw();
  look();
}

show();
document.addEventListener("htmx:afterSwap", show);
dark.addEventListener("change", () => plot?.redraw());
