// The page: sections drawn from the data, in the order of reading. Every label is a text node, never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const CALCULATOR = new Calculator(DATA.home);
const OUTCOME = DATA.outcome;
const PLACES = DATA.places;
// Viridis: even steps of lightness, told apart by all kinds of colour vision.
const SHADES = ["#fde725", "#8fd744", "#35b779", "#21908d", "#31688e", "#443a83", "#440154"];
const MOST_ROWS = 300;

function body(id) {
  return document.querySelector(`#${id} .body`);
}

function titled(name, unit) {
  return unit ? `${name} (${unit})` : name;
}

// "35,000 €", or "1.32" where no unit is known.
function money(value, spread) {
  return withUnit(number(value, spread), OUTCOME.unit);
}

// -- head, fitted, trust, made ---------------------------------------------------------------------------

function drawHead() {
  document.getElementById("title").textContent = DATA.title;
  document.getElementById("summary").append(...DATA.summary.map((text) => element("p", {}, text)));
}

function drawTable(headings, rows, kind = "") {
  return element("table", { class: kind },
    headings.length ? element("thead", {}, element("tr", {}, headings.map((text) => element("th", { scope: "col" }, text)))) : null,
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => (
      cell instanceof Node ? cell : element("td", {}, cell)))))));
}

function drawFitted() {
  const { formula, equations, priors, rows, dropped } = DATA.fitted;
  const code = (text) => element("td", { class: "code" }, text);
  const count = (value) => element("td", { class: "n" }, value.toLocaleString("en-US"));
  body("fitted").append(
    element("p", { class: "formula" }, formula),
    element("div", { class: "card equations", role: "group", "aria-label": "Equations" }, equations.map((line) => element("div", {}, line))),
    element("div", { class: "grid two", style: "margin-top: 1.25rem" },
      element("div", { class: "card" }, element("h3", {}, "Priors"),
        drawTable(["parameter", "on the model's scale", "in the data's units"], priors.map((row) => row.map(code)), "stack")),
      element("div", { class: "card" }, element("h3", {}, "Rows"),
        drawTable([], [
          ...rows.map(([what, value]) => [what, count(value)]),
          ...(dropped.length ? dropped.map(([why, value]) => [`dropped: ${why}`, count(value)]) : [["dropped", count(0)]]),
        ]))));
}

function light(good) {
  const shape = good
    ? [svg("circle", { cx: 10, cy: 10, r: 9, fill: "var(--good)" }), svg("path", { d: "M5.5 10.5l3 3 6-7", fill: "none", stroke: "var(--card)", "stroke-width": 2.4 })]
    : [svg("path", { d: "M10 1L19.5 18.5H.5Z", fill: "var(--look)" }), svg("path", { d: "M10 7v5.5M10 14.5v2", stroke: "var(--card)", "stroke-width": 2.4 })];
  return svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, shape);
}

function drawTrust() {
  const { verdicts, notes } = DATA.trust, bad = verdicts.filter((one) => !one.good);
  body("trust").append(
    element("p", { class: "lead" }, bad.length
      ? `${bad.length} of ${verdicts.length} checks ask for a second look; they come first.`
      : `All ${verdicts.length} checks are good.`),
    element("ul", { class: "lights" }, [...bad, ...verdicts.filter((one) => one.good)].map((one) => element("li", {},
      light(one.good),
      element("span", { class: one.good ? "good" : "look" }, one.good ? "good" : "look again"),
      element("span", {}, one.text)))),
    ...(notes.length ? [element("h3", { style: "margin-top: 1.5rem" }, "Notes of the fit"), element("ul", {}, notes.map((note) => element("li", {}, note)))] : []));
}

function drawMade() {
  body("made").append(element("div", { class: "card" }, drawTable([], DATA.made.map(([what, value]) => [what, element("td", { class: "code" }, value)]))));
}

// -- found: map, table, profile ---------------------------------------------------------------------------

const MEASURES = () => [
  { key: "mean", name: `expected ${OUTCOME.name}`, told: (row) => money(row.mean, row.sd) },
  { key: "below", name: `probability below ${money(PLACES.threshold, 0)}`, told: (row) => percent(row.below) },
  { key: "sd", name: `uncertainty: sd of the expected ${OUTCOME.name}`, told: (row) => `± ${money(row.sd, row.sd)}` },
  { key: "rows", name: "rows", told: (row) => `${row.rows.toLocaleString("en-US")} rows` },
];

const state = { place: null, sort: "label", descending: false, search: "", everything: false, measure: "mean" };

// The bounds between classes of as many places each, as far as their values differ.
function classBounds(values) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const found = [];
  for (let at = 1; at < SHADES.length; at++) {
    const bound = atShare(sorted, at / SHADES.length);
    if (bound > (found.length ? found[found.length - 1] : sorted[0])) found.push(bound);
  }
  return found;
}

function shadeOf(value, bounds) {
  const at = bounds.filter((bound) => value >= bound).length;
  return SHADES[SHADES.length - 1 - Math.round((at * (SHADES.length - 1)) / Math.max(bounds.length, 1))];
}

function tellPlace(row, x, y) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(element("strong", {}, row.label),
    ...MEASURES().map((one) => element("div", {}, one.key === "below" ? `${one.name}: ${one.told(row)}` : one.told(row))));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

// One stop of the keyboard: arrows go from place to place in the table's order, Enter opens the profile.
function mapKeys(event, shapes) {
  const rows = PLACES.rows.filter((row) => shapes.has(row.label));
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") hideTip();
  if (event.key === "Enter" && state.hovered) choosePlace(state.hovered);
  if (!step || !rows.length) return;
  event.preventDefault();
  const at = rows.indexOf(state.hovered || state.place);
  state.hovered = rows[(at + step + rows.length) % rows.length];
  shapes.forEach((shape, label) => shape.classList.toggle("on", label === state.hovered.label));
  const box = shapes.get(state.hovered.label).getBoundingClientRect();
  tellPlace(state.hovered, box.right, box.bottom);
}

function drawMap() {
  const byLabel = new Map(PLACES.rows.map((row) => [row.label, row]));
  const shapes = new Map();
  const picture = svg("svg", {
    class: "map", viewBox: DATA.map.box.join(" "), tabindex: 0, role: "application", id: "map",
    "aria-label": `Map of ${PLACES.rows.length} places. Arrow keys go from place to place, Enter opens a profile. The table has the same numbers.`,
    onkeydown: (event) => mapKeys(event, shapes), onblur: hideTip,
  }, DATA.map.others ? svg("path", { d: DATA.map.others, "fill-rule": "evenodd" }) : null);
  for (const [label, d] of Object.entries(DATA.map.paths)) {
    const row = byLabel.get(label);
    const shape = svg("path", {
      d, class: "place", "fill-rule": "evenodd",
      onpointermove: (event) => tellPlace(row, event.clientX, event.clientY), onpointerleave: hideTip, onclick: () => choosePlace(row),
    });
    shapes.set(label, shape);
    picture.append(shape);
  }
  const legend = element("div", { class: "legend", "aria-hidden": "true" });
  const chosen = element("select", { id: "measure", onchange: () => colour() },
    MEASURES().map((one) => element("option", { value: one.key }, one.name)));
  const colour = () => {
    const one = MEASURES().find((measure) => measure.key === chosen.value);
    const bounds = classBounds(PLACES.rows.map((row) => row[one.key]));
    shapes.forEach((shape, label) => {
      const value = byLabel.get(label)[one.key];
      shape.style.fill = value === null ? "" : shadeOf(value, bounds);
    });
    const width = bounds.length > 1 ? (bounds[bounds.length - 1] - bounds[0]) / bounds.length : bounds[0];
    const told = (value) => (one.key === "below" ? percent(value) : number(value, width));
    const edges = [null, ...bounds, null];
    legend.replaceChildren(...edges.slice(1).map((high, at) => element("span", {},
      element("i", { style: `background: ${shadeOf(edges[at] === null ? -Infinity : edges[at], bounds)}` }),
      !bounds.length ? "all places" : edges[at] === null ? `below ${told(high)}` : high === null ? `from ${told(edges[at])}` : `${told(edges[at])} to ${told(high)}`)),
    element("span", {}, one.key === "below" || one.key === "rows" ? "" : OUTCOME.unit));
  };
  colour();
  state.shapes = shapes;
  return element("div", { class: "card" },
    element("div", { class: "field noprint" }, element("label", { for: "measure" }, "Colour the map by"), chosen),
    picture, legend, element("p", { class: "small soft", style: "margin-top: .75rem" }, `${DATA.map.account}. Equally many places have each colour.`));
}

const COLUMNS = () => [
  { key: "label", name: PLACES.name, told: (row) => element("td", {}, element("button", { type: "button", onclick: () => choosePlace(row) }, row.label)) },
  { key: "rows", name: "rows", kind: "n", told: (row) => element("td", { class: "n" }, row.rows.toLocaleString("en-US")) },
  { key: "mean", name: titled(OUTCOME.name, OUTCOME.unit), kind: "n", told: (row) => element("td", { class: "n" }, number(row.mean, row.sd)) },
  { key: "sd", name: "90 % interval", kind: "wide", told: rangeCell },
  { key: "below", name: `P below ${number(PLACES.threshold, 0)}`, kind: "n", told: (row) => element("td", { class: "n" }, percent(row.below)) },
];

function rangeCell(row) {
  const low = Math.min(...state.extent), size = Math.max(...state.extent) - low || 1;
  const at = (value) => `${((100 * (value - low)) / size).toFixed(2)}%`;
  const text = `${number(row.low, row.sd)} to ${number(row.high, row.sd)}`;
  return element("td", { class: "wide" },
    element("span", { class: "small" }, text),
    element("div", { class: "range", "aria-hidden": "true" },
      element("i", { style: `left:${at(row.low)};width:calc(${at(row.high)} - ${at(row.low)})` }), element("b", { style: `left:${at(row.mean)}` })));
}

function compare(left, right) {
  if (typeof left === "string") return left.localeCompare(right, "en", { numeric: true });
  return (left ?? -Infinity) - (right ?? -Infinity);
}

function fillTable() {
  const wanted = state.search.trim().toLocaleLowerCase();
  const rows = PLACES.rows.filter((row) => row.label.toLocaleLowerCase().includes(wanted))
    .sort((left, right) => (state.descending ? -1 : 1) * compare(left[state.sort], right[state.sort]));
  const shown = state.everything ? rows : rows.slice(0, MOST_ROWS);
  document.querySelector("#places tbody").replaceChildren(...shown.map((row) => {
    const made = element("tr", { class: row === state.place ? "on" : "" }, COLUMNS().map((one) => one.told(row)));
    return made;
  }));
  document.querySelectorAll("#places thead th").forEach((head) => {
    const own = head.dataset.key === state.sort;
    head.setAttribute("aria-sort", own ? (state.descending ? "descending" : "ascending") : "none");
    head.querySelector("span").textContent = own ? (state.descending ? " ▼" : " ▲") : "";
  });
  document.getElementById("count").textContent = rows.length > shown.length
    ? `The first ${shown.length.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} are shown.`
    : `${rows.length.toLocaleString("en-US")} of ${PLACES.rows.length.toLocaleString("en-US")} shown.`;
  document.getElementById("all").hidden = rows.length <= shown.length;
}

function sortBy(key) {
  state.descending = state.sort === key ? !state.descending : key !== "label";
  state.sort = key;
  fillTable();
}

function drawPlaces() {
  state.extent = PLACES.rows.flatMap((row) => [row.low, row.high]).filter((value) => value !== null);
  const search = element("input", {
    id: "search", type: "search", autocomplete: "off",
    oninput: (event) => { state.search = event.target.value; fillTable(); },
  });
  return element("div", { class: "card long" },
    element("div", { class: "tools" },
      element("div", {}, element("label", { for: "search" }, `Search ${PLACES.name}`), search)),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of places" },
      element("table", { id: "places" },
        element("thead", {}, element("tr", {}, COLUMNS().map((one) => element("th", { scope: "col", class: one.kind, "data-key": one.key },
          element("button", { type: "button", onclick: () => sortBy(one.key) }, one.name, element("span", { "aria-hidden": "true" })))))),
        element("tbody"))),
    element("p", { class: "small soft", style: "margin: .6rem 0 0" }, element("span", { id: "count", role: "status" }), " ",
      element("button", { type: "button", id: "all", onclick: () => { state.everything = true; fillTable(); } }, "Show all")));
}

function drawFound() {
  if (!PLACES.rows.length) {
    body("found").append(element("p", {}, `The model has no groups: there is one line for all rows, and no table of places. At ${PLACES.home || "every row"} the expected ${OUTCOME.name} is ${money(PLACES.average.mean, PLACES.average.sd)}.`));
    return;
  }
  const said = PLACES.home ? ` at ${PLACES.home}` : "";
  body("found").append(
    element("p", {}, `One and the same home in every ${PLACES.name}: the expected ${OUTCOME.name}${said}, its 90 % interval, and the probability that a single ${OUTCOME.name} is below ${money(PLACES.threshold, 0)}${PLACES.chosen ? "" : ", a round number near that of the average place"}.`),
    element("div", { class: DATA.map ? "grid mapped" : "grid" }, DATA.map ? drawMap() : null, drawPlaces()),
    ...(DATA.map ? [] : [element("p", { class: "soft small" }, "No polygons were given, so there is no map: --places polygons.geojson (places= in Python) adds one.")]),
    element("div", { id: "profile", class: "card", tabindex: -1, "aria-live": "polite" }));
  fillTable();
  const dearest = PLACES.rows.reduce((best, row) => (row.mean > best.mean ? row : best));
  choosePlace(dearest, false);
}

function choosePlace(row, byHand = true) {
  state.place = state.hovered = row;
  fillTable();
  if (state.shapes) state.shapes.forEach((shape, label) => {
    shape.classList.toggle("on", label === row.label);
    if (label === row.label) shape.parentNode.append(shape);
  });
  document.getElementById("profile").replaceChildren(...profile(row));
  if (byHand) {
    hideTip();
    chooseOption(row.option);
    document.getElementById("profile").scrollIntoView({ block: "nearest" });
  }
}

function profile(row) {
  const one = PLACES.average;
  const away = row.mean - one.mean;
  const facts = [
    ["rows", row.rows.toLocaleString("en-US")],
    [`expected ${OUTCOME.name}`, money(row.mean, row.sd)],
    ["90 % interval", `${number(row.low, row.sd)} to ${money(row.high, row.sd)}`],
    [`the average ${PLACES.name}`, money(one.mean, one.sd)],
    ["by its own rows alone", row.alone === null ? "not told by its rows" : money(row.alone, row.sd)],
  ];
  const words = `${row.label} lies ${money(Math.abs(away), row.sd)} ${away < 0 ? "below" : "above"} the average ${PLACES.name}.`;
  const pulled = row.alone === null ? "" : ` Its own rows alone would say ${money(row.alone, row.sd)}; what all places have in common moves that by ${money(row.mean - row.alone, row.sd)}.`;
  const coefficients = drawTable(["coefficient", "mean", "90 % interval", "unit"], PLACES.terms.map((term, at) => {
    const [mean, low, high] = row.coefficients[at], cell = (text) => element("td", { class: "n" }, text);
    return [term.name, cell(number(mean, (high - low) / 3.3)), cell(`${number(low, (high - low) / 3.3)} to ${number(high, (high - low) / 3.3)}`), element("td", { class: "soft" }, term.unit)];
  }));
  return [
    element("h3", { class: "lead" }, row.label), element("p", {}, words + pulled),
    element("dl", { class: "facts" }, facts.map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    element("div", { class: "grid two", style: "margin: 0" }, profileChart(row), element("div", { style: "min-width: 0; overflow-x: auto" }, coefficients,
      PLACES.terms.some((term) => term.name === "Intercept") ? element("p", { class: "small soft", style: "margin-top: .6rem" }, "Intercept: at the centre of the predictors.") : null)),
  ];
}

// The place's expected outcome along the first numeric predictor, everything else as in the home shown.
function profileChart(row) {
  const field = DATA.home.fields.find((one) => one.range && !(one.name in DATA.home.own));
  if (!field) return element("p", { class: "soft" }, "There is no numeric predictor to draw a line along.");
  const logged = JSON.stringify(DATA.home.columns).includes(JSON.stringify(["log", ["column", field.name]]));
  const low = logged ? Math.max(field.range[0], 1e-12) : field.range[0];
  const xs = Array.from({ length: 41 }, (_, at) => low + ((field.range[1] - low) * at) / 40);
  const crossed = DATA.home.crossed.map((one) => one.chosen);
  const along = (option) => {
    const draws = xs.map((x) => Float64Array.from(CALCULATOR.expected({ ...typicalHome(option), [field.name]: x }, option, crossed)).sort());
    return { middle: draws.map(average), low: draws.map((one) => atShare(one, 0.05)), high: draws.map((one) => atShare(one, 0.95)) };
  };
  const label = `Expected ${OUTCOME.name} by ${field.name} in ${row.label}, with its 90 % band, beside the average place`;
  return element("div", { style: "min-width: 0" },
    lineChart(xs, along(row.option), along(0), [titled(field.name, field.unit), titled(OUTCOME.name, OUTCOME.unit)], label),
    element("p", { class: "small soft" }, `Line and 90 % band: ${row.label}. Dashed: the average ${DATA.home.group}.`));
}

// The home of map and table; predictors of the places as they are in an option's place.
function typicalHome(option) {
  return Object.fromEntries(DATA.home.fields.map((field) => {
    const own = DATA.home.own[field.name];
    return [field.name, own && own[option] !== null && own[option] !== undefined ? own[option] : field.value];
  }));
}

// -- what a home costs ------------------------------------------------------------------------------------

function fieldOf(field) {
  const id = `field-${field.name}`, attributes = { id, name: field.name, oninput: calculate };
  if (field.categories) {
    const made = element("select", attributes, field.categories.map((one) => element("option", { value: one, selected: one === field.value ? "" : null }, one)));
    return element("div", { class: "field" }, element("label", { for: id }, titled(field.name, field.unit)), made);
  }
  const size = field.range ? (field.range[1] - field.range[0]) / 4 : Math.abs(field.value) / 10;
  const shown = field.value === null ? "" : Number(number(field.value, size).replaceAll(",", "").replace("−", "-"));
  const made = element("input", { ...attributes, type: "number", step: "any", value: shown, "aria-describedby": `${id}-hint` });
  const hint = field.range ? `most rows: ${number(field.range[0], size)} to ${number(field.range[1], size)}` : "";
  return element("div", { class: "field" }, element("label", { for: id }, titled(field.name, field.unit)), made, element("small", { id: `${id}-hint` }, hint));
}

function placeField() {
  const { options, group } = DATA.home;
  if (!options.length) return null;
  return element("div", { class: "field" }, element("label", { for: "place" }, group),
    element("input", { id: "place", list: "options", autocomplete: "off", value: options[0], oninput: changePlace, onfocus: (event) => event.target.select(), "aria-describedby": "place-hint" }),
    element("datalist", { id: "options" }, options.map((label) => element("option", { value: label }))),
    element("small", { id: "place-hint" }, "type to search; also ", options[0], " and ", options[1]));
}

function chooseOption(option) {
  document.getElementById("place").value = DATA.home.options[option];
  changePlace();
}

// A place brings its own predictors, which can be changed.
function changePlace() {
  const option = chosenOption();
  for (const [name, values] of Object.entries(DATA.home.own)) {
    const field = document.getElementById(`field-${name}`);
    if (field && option >= 0 && values[option] !== null) field.value = values[option];
  }
  calculate();
}

function chosenOption() {
  const field = document.getElementById("place");
  if (!field) return 0;
  const wanted = field.value.trim(), exact = DATA.home.options.indexOf(wanted);
  const folded = wanted.toLocaleLowerCase();
  return exact >= 0 ? exact : DATA.home.options.findIndex((label) => label.toLocaleLowerCase() === folded);
}

// The values of all fields; of those that are none the names.
function readHome() {
  const home = {}, wrong = [];
  for (const field of DATA.home.fields) {
    const made = document.getElementById(`field-${field.name}`);
    const bad = !field.categories && (made.value.trim() === "" || !Number.isFinite(Number(made.value)));
    made.setAttribute("aria-invalid", String(bad));
    if (bad) wrong.push(`${field.name} needs a number`);
    home[field.name] = field.categories ? made.value : Number(made.value);
  }
  return [home, wrong];
}

function calculate() {
  const [home, wrong] = readHome();
  const option = chosenOption();
  const place = document.getElementById("place"), cut = document.getElementById("threshold");
  if (place) place.setAttribute("aria-invalid", String(option < 0));
  if (option < 0) wrong.push(`there is no ${DATA.home.group} "${place.value}"`);
  const threshold = Number(cut.value), none = cut.value.trim() === "" || !Number.isFinite(threshold);
  cut.setAttribute("aria-invalid", String(none));
  if (none) wrong.push("the threshold needs a number");
  const crossed = DATA.home.crossed.map((one, at) => document.getElementById(`crossed-${at}`).selectedIndex);
  const mixture = wrong.length ? null : CALCULATOR.predictive(home, option, crossed);
  if (mixture && !mixture.m.every(Number.isFinite)) wrong.push("these values have no logarithm or root");
  document.getElementById("answer").replaceChildren(...(wrong.length
    ? [element("p", { class: "look" }, `${wrong.join("; ")}.`)] : answer(mixture, threshold)));
}

function answer(mixture, threshold) {
  const q = [0.05, 0.25, 0.5, 0.75, 0.95].map((p) => mixture.quantile(p));
  const spread = (q[4] - q[0]) / 3.3 || Math.abs(q[2]) / 100, mean = mixture.mean(), below = mixture.below(threshold);
  const facts = [
    ["median", money(q[2], spread), q[2]],
    ["mean", Number.isFinite(mean) ? money(mean, spread) : "none (heavy tails)", mean],
    ["half of them", `${number(q[1], spread)} to ${money(q[3], spread)}`, q[1]],
    ["nine in ten", `${number(q[0], spread)} to ${money(q[4], spread)}`, q[0]],
  ];
  const out = document.getElementById("answer");
  Object.assign(out.dataset, { mean, below, q5: q[0], q25: q[1], median: q[2], q75: q[3], q95: q[4] });
  return [
    element("p", { class: "soft", style: "margin: 0" }, `Probability below ${money(threshold, 0)}`),
    element("p", { class: "big" }, percent(below)),
    element("dl", { class: "facts" }, facts.map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    densityChart(mixture, q, threshold, titled(OUTCOME.name, OUTCOME.unit), `Density of the ${OUTCOME.name}: median ${money(q[2], spread)}, nine in ten between ${number(q[0], spread)} and ${money(q[4], spread)}`),
    element("p", { class: "small soft" }, "Solid: median. Dotted: nine in ten lie between. Shaded: below the threshold."),
  ];
}

function drawCost() {
  const held = DATA.home;
  const about = [`Computed in this page as a mixture over ${held.draws.toLocaleString("en-US")} of the ${held.of.toLocaleString("en-US")} posterior draws, stored to within a 130,000th of their range.`];
  if (held.known_errors) about.push(`The errors are known (${held.known_errors}), so that this is the distribution of the true ${OUTCOME.name}, not of a measurement of it.`);
  if (held.precision) about.push(`It is that of a row with weight 1 (${held.precision}).`);
  body("cost").append(element("div", { class: "grid calc" },
    element("form", { class: "card", onsubmit: (event) => event.preventDefault() },
      held.fields.map(fieldOf), placeField(),
      held.crossed.map((one, at) => element("div", { class: "field" }, element("label", { for: `crossed-${at}` }, one.name),
        element("select", { id: `crossed-${at}`, oninput: calculate }, one.options.map((label, i) => element("option", { selected: i === one.chosen ? "" : null }, label))))),
      element("div", { class: "field", style: "margin: 0" }, element("label", { for: "threshold" }, `threshold${OUTCOME.unit ? ` (${OUTCOME.unit})` : ""}`),
        element("input", { id: "threshold", type: "number", step: "any", value: PLACES.threshold, oninput: calculate }))),
    element("div", { class: "card", id: "answer", "aria-live": "polite" })),
  element("p", { class: "small soft" }, about.join(" ")));
  calculate();
}

// -- light and dark --------------------------------------------------------------------------------------

function drawTheme() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(dark()));
    button.setAttribute("aria-label", dark() ? "Change to light colours" : "Change to dark colours");
  };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; show(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}

drawTheme();
drawHead();
drawFitted();
drawTrust();
drawCost();
drawFound();
drawMade();
