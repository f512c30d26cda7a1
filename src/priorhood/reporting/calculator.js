// What a home costs: the fields, and what the calculator answers.

function fieldOf(field) {
  const id = `field-${field.name}`, attributes = { id, name: field.name, oninput: calculate };
  if (field.categories) {
    const made = element("select", attributes, field.categories.map((one) => element("option", { value: one, selected: one === field.value ? "" : null }, one)));
    return element("div", { class: "field" }, element("label", { for: id }, titled(field.name, field.unit)), made);
  }
  const size = field.range ? (field.range[1] - field.range[0]) / 4 : Math.abs(field.value) / 10;
  const shown = field.value === null ? "" : Number(number(field.value, size).replaceAll(",", "").replace("−", "-"));
  const made = element("input", { ...attributes, type: "number", step: "any", value: shown, "aria-describedby": `${id}-hint` });
  const hint = field.range ? `typical range in the data: ${plainly(field.range[0], size)} to ${plainly(field.range[1], size)}` : "";
  return element("div", { class: "field" }, element("label", { for: id }, titled(field.name, field.unit)), made, element("small", { id: `${id}-hint` }, hint));
}

function placeField() {
  const { options, group } = DATA.home;
  if (!options.length) return null;
  return element("div", { class: "field" }, element("label", { for: "place" }, group),
    element("input", { id: "place", list: "options", autocomplete: "off", value: options[0], oninput: changePlace, onfocus: (event) => event.target.select(), "aria-describedby": "place-hint" }),
    element("datalist", { id: "options" }, options.map((label) => element("option", { value: label }))),
    element("small", { id: "place-hint" }, `type to search; '${options[0]}' and '${options[1]}' can be chosen, too`));
}

function chooseOption(option) {
  document.getElementById("place").value = DATA.home.options[option];
  changePlace();
}

// Choosing a place sets its predictors, which can still be changed.
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

// The values of all fields, and messages for the invalid ones.
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
  if (mixture && !mixture.m.every(Number.isFinite)) wrong.push("a logarithm or root in the model is undefined for these values");
  document.getElementById("answer").replaceChildren(...(wrong.length
    ? [element("p", { class: "look" }, `${wrong.join("; ")}.`)] : answer(mixture, threshold, isInfinite(home, option))));
  if (wrong.length) say(`${wrong.join("; ")}.`);
}

// Whether the mean is infinite: known for the home first shown, and for homes within the range of most rows.
function isInfinite(home, option) {
  const { infinite, fields } = DATA.home;
  const changed = fields.some((field) => String(field.value) !== String(home[field.name]));
  return Boolean(infinite && (infinite.here[option] || (changed && infinite.ends[option])));
}

function answer(mixture, threshold, infinite) {
  const q = [0.05, 0.25, 0.5, 0.75, 0.95].map((p) => mixture.quantile(p));
  const spread = (q[4] - q[0]) / 3.3 || Math.abs(q[2]) / 100, mean = infinite ? Infinity : mixture.mean(), below = mixture.below(threshold);
  const facts = [
    ["median", money(q[2], spread), q[2]],
    ["mean", Number.isFinite(mean) ? money(mean, spread) : "none (heavy tails)", mean],
    ["50 % interval", `${number(q[1], spread)} to ${money(q[3], spread)}`, q[1]],
    ["90 % interval", `${number(q[0], spread)} to ${money(q[4], spread)}`, q[0]],
  ];
  const out = document.getElementById("answer");
  say(`Probability below ${exact(threshold)}: ${percent(below)}; median ${money(q[2], spread)}.`);
  Object.assign(out.dataset, { mean, below, q5: q[0], q25: q[1], median: q[2], q75: q[3], q95: q[4] });
  return [
    element("p", { class: "soft eyebrow" }, `Probability below ${withUnit(exact(threshold), OUTCOME.unit)}`),
    element("p", { class: "big" }, percent(below)),
    element("p", { class: "small soft" }, `± ${(100 * mixture.belowError(threshold)).toPrecision(1)} percentage points (Monte Carlo error, ${DATA.home.draws.toLocaleString("en-US")} draws)`),
    element("dl", { class: "facts" }, facts.map(([what, value]) => element("div", {}, element("dt", {}, what), element("dd", {}, value)))),
    densityChart(mixture, q, threshold, titled(OUTCOME.name, OUTCOME.unit), `Density of the ${OUTCOME.name}: median ${money(q[2], spread)}, 90 % between ${number(q[0], spread)} and ${money(q[4], spread)}`),
    element("p", { class: "small soft" }, "Solid: median. Dotted: 90 % interval. Shaded: below the threshold."),
  ];
}

function drawCost() {
  const held = DATA.home;
  const about = [`Computed in this page as a mixture over ${held.draws.toLocaleString("en-US")} of the ${held.of.toLocaleString("en-US")} posterior draws, rounded to within a 130,000th of the range of each parameter.`];
  if (held.known_errors) about.push(`The errors are known (${held.known_errors}), so this is the distribution of the true ${OUTCOME.name}, not of a measurement of it.`);
  if (held.precision) about.push(`It is for a row with weight 1 (${held.precision}).`);
  body("cost").append(element("div", { class: "grid calc" },
    element("form", { class: "card", onsubmit: (event) => event.preventDefault() },
      held.fields.map(fieldOf), placeField(),
      held.crossed.map((one, at) => element("div", { class: "field" }, element("label", { for: `crossed-${at}` }, one.name),
        element("select", { id: `crossed-${at}`, oninput: calculate }, one.options.map((label, i) => element("option", { selected: i === one.chosen ? "" : null }, label))))),
      element("div", { class: "field", style: "margin: 0" }, element("label", { for: "threshold" }, `threshold${OUTCOME.unit ? ` (${OUTCOME.unit})` : ""}`),
        element("input", { id: "threshold", type: "number", step: "any", value: PLACES.threshold, oninput: calculate }))),
    element("div", { class: "card", id: "answer" })),
  element("p", { class: "small soft" }, about.join(" ")));
  calculate();
}
