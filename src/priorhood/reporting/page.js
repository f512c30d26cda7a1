// The page: sections drawn from the data, in the order of reading. Every label is a text node, never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const CALCULATOR = new Calculator(DATA.home);
const OUTCOME = DATA.outcome;
const PLACES = DATA.places;

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

// For those who listen: said once typing has paused.
let saying;
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => { document.getElementById("said").textContent = text; }, 500);
}

// -- head, fitted, trust, made ---------------------------------------------------------------------------

function drawHead() {
  document.getElementById("title").textContent = DATA.title;
  const [checks, good] = DATA.summary_checks;
  document.getElementById("summary").append(
    ...DATA.summary.map((text) => element("p", {}, text)),
    element("p", { class: "verdict" }, light(good), element("a", { href: "#trust", class: good ? "good" : "look" }, checks)));
}

function drawTable(headings, rows, kind = "") {
  return element("table", { class: kind },
    headings.length ? element("thead", {}, element("tr", {}, headings.map((text, at) => element("th", { scope: "col", class: rows[0][at].className }, text)))) : null,
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell, at) => {
      const made = cell instanceof Node ? cell : element("td", {}, cell);
      if (headings.length) made.dataset.heading = headings[at];
      return made;
    })))));
}

function drawFitted() {
  const { formula, equations, priors, rows, dropped } = DATA.fitted;
  const code = (text) => element("td", { class: "code" }, text);
  const count = (value) => element("td", { class: "n" }, value.toLocaleString("en-US"));
  body("fitted").append(
    element("p", { class: "formula" }, formula),
    element("div", { class: "card equations", role: "group", "aria-label": "Equations" }, equations.map((line) => element("div", {}, line))),
    element("div", { class: "grid fitted" },
      element("div", { class: "card long" }, element("h3", {}, "Priors"),
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
  const { verdicts, notes } = DATA.trust;
  body("trust").append(
    element("p", { class: "lead" }, DATA.summary_checks[0]),
    element("ul", { class: "lights" }, [...verdicts].sort((left, right) => left.good - right.good).map((one) => element("li", {},
      light(one.good),
      element("span", { class: one.good ? "good" : "look" }, one.good ? "good" : "needs attention"),
      element("span", {}, one.text)))),
    ...(notes.length ? [element("h3", { style: "margin-top: 1.5rem" }, "Notes from the fit"), element("ul", {}, notes.map((note) => element("li", {}, note)))] : []));
}

function drawMade() {
  body("made").append(element("div", { class: "card" }, drawTable([], DATA.made.map(([what, value]) => [what, element("td", { class: "code" }, value)]))));
}

// -- light and dark --------------------------------------------------------------------------------------

function drawTheme() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
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
clearTimeout(saying);
// On paper all rows are shown.
const onPaper = (printing) => {
  if (!PLACES.rows.length) return;
  const { everything, search } = state;
  if (printing) Object.assign(state, { everything: true, search: "" });
  fillTable();
  Object.assign(state, { everything, search });
};
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));
