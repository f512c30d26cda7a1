// Pictures in the page: SVG made by hand, labelled, in the page's colours.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return dressed(made, attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return dressed(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

// Texts go in as text nodes, so that a label with markup in it is shown as it is written.
function dressed(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// 395,200: as many digits as a spread of this size leaves, two of its own.
function number(value, spread) {
  if (value === null || !Number.isFinite(value)) return "none";
  const size = spread > 0 && Number.isFinite(spread) ? spread : Math.abs(value) / 100 || 1;
  const digits = 1 - Math.floor(Math.log10(size));
  const factor = 10 ** Math.max(-digits, 0);
  const rounded = digits < 0 ? Math.round(value / factor) * factor : value;
  const text = rounded.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(Math.max(digits, 0), 12), maximumFractionDigits: Math.min(Math.max(digits, 0), 12),
  });
  // No −0.
  return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", "");
}

// A predictor's value: four digits without a comma, since they may be a year.
function yearly(value, text) {
  return Math.abs(value) < 1e4 ? text.replaceAll(",", "") : text;
}

function plainly(value, spread) {
  return yearly(value, number(value, spread));
}

// A number as it was written: a threshold, a bound.
function exact(value) {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 12 }).replace("-", "−");
}

function percent(p) {
  if (p > 0 && p < 0.001) return "< 0.1 %";
  if (p < 1 && p > 0.999) return "> 99.9 %";
  return `${(100 * p).toFixed(1)} %`;
}

function withUnit(text, unit) {
  return unit ? `${text}\u00a0${unit}` : text;
}

// Round ticks, about five.
function ticks(low, high, count = BOX.width > 400 ? 5 : 3) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const off = (one) => Math.abs(Math.log(one / rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).reduce((best, one) => (off(one) < off(best) ? one : best));
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high * (1 + 1e-12); at++) found.push(at * step);
  return [found, step];
}

// A tick with the decimals that its step needs.
function atTick(mark, step) {
  let decimals = 0;
  while (decimals < 12 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals++;
  const text = mark.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", "");
}

// Narrow windows get a narrow picture, whose texts are as large as others.
const BOX = { width: innerWidth < 700 ? 340 : 520, height: 280, left: 92, right: 16, top: 14, bottom: 46 };

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

function axisBelow(x, low, high, title, told = atTick) {
  const base = BOX.height - BOX.bottom, [marks, step] = ticks(low, high);
  return [
    svg("line", { class: "axis", x1: BOX.left, x2: BOX.width - BOX.right, y1: base, y2: base }),
    marks.map((mark) => svg("text", { x: x(mark), y: base + 18, "text-anchor": "middle" }, told(mark, step))),
    svg("text", { class: "ink", x: (BOX.left + BOX.width - BOX.right) / 2, y: BOX.height - 6, "text-anchor": "middle" }, title),
  ].flat();
}

function axisLeft(y, low, high, title) {
  const [marks, step] = ticks(low, high);
  return [
    marks.map((mark) => svg("line", { class: "axis", x1: BOX.left, x2: BOX.width - BOX.right, y1: y(mark), y2: y(mark) })),
    marks.map((mark) => svg("text", { x: BOX.left - 8, y: y(mark) + 4, "text-anchor": "end" }, atTick(mark, step))),
    svg("text", { class: "ink", transform: `translate(13 ${(BOX.top + BOX.height - BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, title),
  ].flat();
}

function pathOf(points) {
  return points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function chart(kind, label, ...children) {
  return svg("svg", { class: `chart ${kind}`, viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img", "aria-label": label }, ...children);
}

// The density of an outcome, what lies below the threshold shaded.
function densityChart(mixture, quantiles, threshold, title, label) {
  // Of heavy tails what lies within four times the distance of the quartiles.
  const reach = 4 * (quantiles[3] - quantiles[1]);
  const low = Math.min(Math.max(mixture.quantile(0.002), quantiles[1] - reach), quantiles[0]);
  const high = Math.max(Math.min(mixture.quantile(0.998), quantiles[3] + reach), quantiles[4]);
  if (!(high > low)) return element("p", { class: "soft" }, "There is no spread to show.");
  const grid = Array.from({ length: 181 }, (_, at) => low + ((high - low) * at) / 180);
  const heights = grid.map((value) => mixture.density(value));
  const x = scale(low, high, BOX.left - 66, BOX.width - BOX.right), base = BOX.height - BOX.bottom;
  const y = scale(0, Math.max(...heights), base, BOX.top + 20);
  const points = grid.map((value, at) => [x(value), y(heights[at])]);
  const cut = points.filter(([at]) => at <= x(threshold));
  const vertical = (value, dash) => svg("line", {
    x1: x(value), x2: x(value), y1: base, y2: y(mixture.density(value)), stroke: "var(--accent)", "stroke-width": 1.5, "stroke-dasharray": dash,
  });
  const within = threshold > low && threshold < high;
  return chart("large", label,
    cut.length > 1 && svg("path", { d: `${pathOf(cut)}L${cut[cut.length - 1][0].toFixed(1)} ${base}L${cut[0][0].toFixed(1)} ${base}Z`, fill: "var(--band)" }),
    svg("path", { d: pathOf(points), fill: "none", stroke: "var(--accent)", "stroke-width": 2.5 }),
    vertical(quantiles[2], null), vertical(quantiles[0], "3 4"), vertical(quantiles[4], "3 4"),
    within && svg("line", { x1: x(threshold), x2: x(threshold), y1: base, y2: BOX.top + 14, stroke: "var(--look)", "stroke-width": 1.5 }),
    within && svg("text", { x: x(threshold), y: BOX.top + 8, "text-anchor": x(threshold) > BOX.width / 2 ? "end" : "start", style: "fill: var(--look)" }, "threshold"),
    axisBelow(x, low, high, title),
  );
}

// A place's line with its band, and the average place's dashed.
function lineChart(xs, place, average, titles, label) {
  const every = [...place.low, ...place.high, ...average.middle];
  const [low, high] = [Math.min(...every), Math.max(...every)], room = 0.04 * (high - low);
  const x = scale(xs[0], xs[xs.length - 1], BOX.left, BOX.width - BOX.right);
  const y = scale(low - room, high + room, BOX.height - BOX.bottom, BOX.top);
  const line = (values) => pathOf(values.map((value, at) => [x(xs[at]), y(value)]));
  const back = [...place.low].reverse().map((value, at) => `L${x(xs[xs.length - 1 - at]).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return chart("", label,
    axisLeft(y, low - room, high + room, titles[1]), axisBelow(x, xs[0], xs[xs.length - 1], titles[0], (mark, step) => yearly(mark, atTick(mark, step))),
    svg("path", { d: `${line(place.high)}${back}Z`, fill: "var(--band)" }),
    svg("path", { d: line(average.middle), fill: "none", stroke: "var(--soft)", "stroke-width": 2, "stroke-dasharray": "6 5" }),
    svg("path", { d: line(place.middle), fill: "none", stroke: "var(--accent)", "stroke-width": 2.5 }),
  );
}
