// Draws the loss curve of a job, and goes on as live-morph.js patches new points into the page.

const HEIGHT = 220;
const SMOOTHING = 20; // a smoothed point averages about one part in so many of the curve
// loss of a step, smoothed loss, held-out pair, held-out pair weighted by noise level
const COLOURS = ["--border-strong", "--accent", "--warn", "--good"];

const chart = { plot: null, library: null };

async function draw() {
  const figure = document.getElementById("curve");
  const container = figure?.querySelector("[data-morph-skip]");
  if (!container) return;
  chart.library ||= import("../vendor/uplot/uPlot-1.6.32.esm.js");
  const { default: Plot } = await chart.library;
  if (!container.isConnected) return;
  const points = pointsOf(figure);
  const isSame = container.contains(chart.plot?.root) && chart.plot.series.length === points.length;
  if (isSame) return chart.plot.setData(points);
  chart.plot?.destroy();
  chart.plot = new Plot(optionsFor(container, points), points, container);
  observer.disconnect();
  observer.observe(container);
}

const observer = new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width) chart.plot.setSize({ width: contentRect.width, height: HEIGHT });
});

function pointsOf({ dataset }) {
  const losses = new Map(JSON.parse(dataset.losses));
  const heldOut = new Map(JSON.parse(dataset.heldOut));
  const weighted = new Map(JSON.parse(dataset.heldOutWeighted));
  const steps = Array.from(new Set([...losses.keys(), ...heldOut.keys()])).sort((a, b) => a - b);
  const valuesOf = (curve) => steps.map((step) => curve.get(step) ?? null);
  const curves = [losses, smoothed(losses), heldOut, ...(weighted.size ? [weighted] : [])];
  return [steps, ...curves.map(valuesOf)];
}

// An exponential moving average, corrected for its start.
function smoothed(curve) {
  const decay = Math.max(0, 1 - SMOOTHING / Math.max(curve.size, SMOOTHING));
  let [sum, weight] = [0, 0];
  return new Map(
    Array.from(curve, ([step, loss]) => {
      sum = decay * sum + loss;
      weight = decay * weight + 1;
      return [step, sum / weight];
    }),
  );
}

function optionsFor(container, points) {
  const colour = (name) => () => colourOf(container, name);
  const number = (_, value) => (value == null ? "" : value.toFixed(4));
  const axis = {
    stroke: colour("--text-muted"),
    grid: { stroke: colour("--border"), width: 1 },
    ticks: { show: false },
    font: "12px Inter, system-ui",
  };
  const series = (label, name, more) => ({
    label,
    stroke: colour(name),
    value: number,
    spanGaps: true,
    points: { show: false },
    ...more,
  });
  const heldOut = (label, name, more) =>
    series(label, name, { width: 2, points: { show: true, size: 6, fill: colour(name) }, ...more });
  const lastStep = () => Number(document.getElementById("curve")?.dataset.steps) || null;
  return {
    width: container.clientWidth,
    height: HEIGHT,
    scales: {
      x: {
        time: false,
        range: (_, least, most) => [Math.min(0, least), Math.max(most, lastStep() || most, 1)],
      },
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
      heldOut("Held-out pair", COLOURS[2]),
      heldOut("Held-out pair, weighted", COLOURS[3], { dash: [6, 4] }),
    ].slice(0, points.length), // not every provider reports the last curve
  };
}

// Resolves a custom property in the current colour scheme, because a canvas knows none.
function colourOf(container, name) {
  container.style.color = `var(${name})`;
  return getComputedStyle(container).color;
}

draw();
document.addEventListener("htmx:afterSwap", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.plot?.redraw());
