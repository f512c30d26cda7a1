// What was found: map, table and profile of the places.

// Viridis: even steps of lightness, told apart by all kinds of colour vision.
const SHADES = ["#fde725", "#8fd744", "#35b779", "#21908d", "#31688e", "#443a83", "#440154"];
const MOST_ROWS = 300;

// The median if a mean is infinite, and the width of the 90 % interval if an sd is.
const expectedName = () => `expected ${OUTCOME.name}${PLACES.centre === "median" ? " (median)" : ""}`;
const uncertaintyName = () => (PLACES.sd ? `sd of the expected ${OUTCOME.name}`
  : `90 % interval of the expected ${OUTCOME.name} / 3.29, because its sd is infinite`);

const MEASURES = () => [
  { key: "mean", name: expectedName(), told: (row) => money(row.mean, row.sd) },
  { key: "below", name: `probability below ${withUnit(exact(PLACES.threshold), OUTCOME.unit)}`, told: (row) => percent(row.below) },
  { key: "sd", name: `uncertainty: ${uncertaintyName()}`, told: (row) => `± ${money(row.sd, row.sd)}` },
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
    legend.replaceChildren(...legendOf(one, bounds));
  };
  colour();
  state.shapes = shapes;
  return element("div", { class: "card" },
    element("div", { class: "field noprint" }, element("label", { for: "measure" }, "Colour the map by"), chosen),
    picture, legend, element("p", { class: "small soft", style: "margin-top: .75rem" }, `${DATA.map.account}. Each colour has the same number of places.`));
}

// A bar of the colours with the bounds between them; without bounds all places are alike.
function legendOf(measure, bounds) {
  const width = bounds.length > 1 ? (bounds[bounds.length - 1] - bounds[0]) / bounds.length : bounds[0];
  const told = (value) => (measure.key === "below" ? percent(value) : number(value, width));
  const shades = [-Infinity, ...bounds].map((from) => element("i", { style: `background: ${shadeOf(from, bounds)}` }));
  const unit = measure.key === "mean" || measure.key === "sd" ? OUTCOME.unit : "";
  return [
    element("div", {}, titled(measure.name, unit)),
    element("div", { class: "shades" }, shades),
    element("div", { class: "bounds" }, bounds.length
      ? bounds.map((bound, at) => element("span", { style: `left: ${(100 * (at + 1)) / shades.length}%` }, told(bound))) : "the same in all places"),
    DATA.map.others ? element("div", { class: "others" }, element("i", {}), "not in the model") : null,
  ].filter(Boolean);
}

// a/b may break after the slash.
function breakable(label) {
  return label.split(/(?<=\/)/).flatMap((part, at) => (at ? [element("wbr"), part] : [part]));
}

const COLUMNS = () => [
  { key: "label", name: PLACES.name, told: (row) => element("td", {}, element("button", { type: "button", tabindex: -1, onclick: () => choosePlace(row) }, breakable(row.label))) },
  { key: "rows", name: "rows", kind: "n roomy", told: (row) => element("td", { class: "n roomy" }, row.rows.toLocaleString("en-US")) },
  { key: "mean", name: titled(OUTCOME.name, OUTCOME.unit), kind: "n", told: (row) => element("td", { class: "n" }, number(row.mean, row.sd),
    element("small", { class: "narrow" }, `${number(row.low, row.sd)} to ${number(row.high, row.sd)}`)) },
  { key: "sd", name: "90 % interval", kind: "wide", title: "Sorts by the width of the interval", told: rangeCell },
  { key: "below", name: `below ${withUnit(exact(PLACES.threshold), OUTCOME.unit)}`, kind: "n", told: (row) => element("td", { class: "n" }, percent(row.below)) },
];

function rangeCell(row) {
  const low = Math.min(...state.extent), size = Math.max(...state.extent) - low || 1;
  const at = (value) => `${((100 * (value - low)) / size).toFixed(2)}%`;
  const text = `${number(row.low, row.sd)} to ${number(row.high, row.sd)}`;
  return element("td", { class: "wide" }, element("div", { class: "interval" },
    element("span", {}, text),
    element("div", { class: "range", "aria-hidden": "true" },
      element("i", { style: `left:${at(row.low)};width:calc(${at(row.high)} - ${at(row.low)})` }), element("b", { style: `left:${at(row.mean)}` }))));
}

function compare(left, right) {
  if (typeof left === "string") return left.localeCompare(right, "en", { numeric: true });
  return (left ?? -Infinity) - (right ?? -Infinity);
}

function fillTable() {
  const wanted = state.search.trim().toLocaleLowerCase();
  const rows = PLACES.rows.filter((row) => row.label.toLocaleLowerCase().includes(wanted))
    .sort((left, right) => (state.descending ? -1 : 1) * compare(left[state.sort], right[state.sort]));
  const shown = state.everything ? rows : rows.slice(0, MOST_ROWS), columns = COLUMNS();
  state.shown = new Map();
  document.querySelector("#places tbody").replaceChildren(...shown.map((row) => {
    const made = element("tr", {}, columns.map((one) => one.told(row)));
    state.shown.set(row, made);
    return made;
  }));
  markRow();
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

// The chosen row stands out, and is where the keyboard enters the table; the first one if it is not shown.
function markRow() {
  const first = state.shown.has(state.place) ? state.place : state.shown.keys().next().value;
  state.shown.forEach((made, row) => {
    made.classList.toggle("on", row === state.place);
    made.querySelector("button").tabIndex = row === first ? 0 : -1;
    made.querySelector("button").setAttribute("aria-pressed", String(row === state.place));
  });
}

// One stop of the keyboard, as the map: arrows go from row to row.
function tableKeys(event) {
  const buttons = [...document.querySelectorAll("#places tbody button")], at = buttons.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at < 0 || !buttons[to]) return;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
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
    element("div", { class: "scroll", role: "region", "aria-label": "Table of places" },
      element("table", { id: "places" },
        element("caption", { class: "heard" }, `${OUTCOME.name} by ${PLACES.name}. Click a heading to sort; arrow keys go from row to row, Enter opens a profile.`),
        element("thead", {}, element("tr", {}, COLUMNS().map((one) => element("th", { scope: "col", class: one.kind, "data-key": one.key, "data-name": one.name },
          element("button", { type: "button", title: one.title || "Sort", onclick: () => sortBy(one.key) }, one.name, element("span", { "aria-hidden": "true" })))))),
        element("tbody", { onkeydown: tableKeys }))),
    element("p", { class: "small soft count" }, element("span", { id: "count", role: "status" }), " ",
      element("button", { type: "button", id: "all", onclick: () => { state.everything = true; fillTable(); } }, "Show all")));
}

function drawFound() {
  if (!PLACES.rows.length) {
    body("found").append(element("p", {}, `The model has no groups: there is one line for all rows and no table of places. At ${PLACES.home || "every row"} the expected ${OUTCOME.name} is ${money(PLACES.average.mean, PLACES.average.sd)}.`));
    return;
  }
  const said = PLACES.home ? ` at ${PLACES.home}` : "";
  const single = DATA.home.known_errors ? `the true ${OUTCOME.name}` : `a single ${OUTCOME.name}`;
  body("found").append(
    element("p", {}, `The same home in every ${PLACES.name}: the expected ${OUTCOME.name}${said}, its 90 % interval, and the probability that ${single} is below ${withUnit(exact(PLACES.threshold), OUTCOME.unit)}${PLACES.chosen ? "" : ", a round number near that of the average place"}.`),
    element("div", { class: DATA.map ? "grid mapped" : "grid" }, DATA.map ? drawMap() : null, drawPlaces()),
    ...(DATA.map ? [] : [element("p", { class: "soft small" }, "No polygons were given, so there is no map: ", element("span", { class: "code" }, "--polygons polygons.geojson"), " (polygons= in Python) adds one.")]),
    element("div", { id: "profile", class: "card", tabindex: -1 }));
  fillTable();
  const dearest = PLACES.rows.reduce((best, row) => (row.mean > best.mean ? row : best));
  choosePlace(dearest, false);
}

function choosePlace(row, byHand = true) {
  state.place = state.hovered = row;
  markRow();
  if (state.shapes) state.shapes.forEach((shape, label) => {
    shape.classList.toggle("on", label === row.label);
    if (label === row.label) shape.parentNode.append(shape);
  });
  document.getElementById("profile").replaceChildren(...profile(row));
  if (byHand) {
    hideTip();
    chooseOption(row.option);
    say(`The profile of ${row.label} is below the table: expected ${money(row.mean, row.sd)}.`);
    const card = document.getElementById("profile");
    if (card.getBoundingClientRect().top > innerHeight - 160) card.scrollIntoView({ block: "nearest" });
  }
}

function moved(row) {
  const by = row.mean - row.alone, text = money(Math.abs(by), row.sd);
  return /[1-9]/.test(text) ? `moves this ${by < 0 ? "down" : "up"} by ${text}` : "does not change this";
}

function profile(row) {
  const one = PLACES.average;
  const away = row.mean - one.mean;
  const facts = [
    ["rows", row.rows.toLocaleString("en-US")],
    [expectedName(), money(row.mean, row.sd)],
    ["90 % interval", `${number(row.low, row.sd)} to ${money(row.high, row.sd)}`],
    [`the average ${PLACES.name}`, money(one.mean, one.sd)],
  ];
  if (row.alone !== null) facts.push(["own rows alone", money(row.alone, row.sd)]);
  const words = `${row.label} lies ${money(Math.abs(away), row.sd)} ${away < 0 ? "below" : "above"} the average ${PLACES.name}.`;
  const pulled = row.alone === null ? ` ${PLACES.not_alone}` : ` Its own rows alone suggest ${money(row.alone, row.sd)}; pooling with the other places ${moved(row)}.`;
  const coefficients = drawTable(["coefficient", "mean", "90 % interval"], PLACES.terms.map((term, at) => {
    const [mean, low, high] = row.coefficients[at], cell = (text) => element("td", { class: "n" }, text);
    return [element("td", {}, term.name, element("div", { class: "small soft" }, term.unit)), cell(number(mean, (high - low) / 3.3)), cell(`${number(low, (high - low) / 3.3)} to ${number(high, (high - low) / 3.3)}`)];
  }), "coefficients");
  return [
    element("p", { class: "small soft eyebrow noprint" }, `One ${PLACES.name}; choose another ${DATA.map ? "on the map or " : ""}in the table`),
    element("h3", { class: "lead" }, row.label), element("p", {}, words + pulled),
    element("dl", { class: "facts" }, facts.map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    element("div", { class: "grid two", style: "margin: 0" }, profileChart(row), element("div", { style: "min-width: 0; overflow-x: auto" }, coefficients,
      PLACES.terms.some((term) => term.name === "Intercept") ? element("p", { class: "small soft", style: "margin-top: .6rem" }, "Intercept: at the centre of the predictors.") : null)),
  ];
}

// The place's expected outcome along the first numeric predictor, everything else as in the home shown.
function profileChart(row) {
  const field = DATA.home.fields.find((one) => one.range && !(one.name in DATA.home.own));
  if (!field) return element("p", { class: "soft" }, "There is no numeric predictor to plot a line along.");
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
