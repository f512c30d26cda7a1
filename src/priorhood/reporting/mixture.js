"use strict";
// The predictive distribution of a home: a mixture over posterior draws, one Normal (or Student's t) a draw, as
// Posterior.predict has it. Standardized until the last step; the outcome is unit · z, or exp(unit · z).

function bytes(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer;
}

// Draws packed as 16-bit steps: a function from a row's number to its draws.
function unpacked(held) {
  const bounds = new Float64Array(bytes(held.bounds));
  const steps = new Uint16Array(bytes(held.steps));
  const size = held.shape[held.shape.length - 1];
  return (row) => {
    const [low, step] = [bounds[2 * row], bounds[2 * row + 1]];
    return Float64Array.from(steps.subarray(row * size, (row + 1) * size), (at) => low + step * at);
  };
}

const ARITHMETIC = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "**": (a, b) => a ** b,
  sqrt: Math.sqrt, exp: Math.exp, log: positive(Math.log), log2: positive(Math.log2), log10: positive(Math.log10),
  log1p: (a) => (a > -1 ? Math.log1p(a) : NaN),
};

function positive(log) {
  return (a) => (a > 0 ? log(a) : NaN);
}

// One factor of a design's column: nested lists as Expression.nested writes them.
function evaluate(node, home) {
  const [kind, ...rest] = node;
  if (kind === "number") return rest[0];
  if (kind === "column") return Number(home[rest[0]]);
  if (kind === "is") {
    const [column, category, numeric] = rest;
    const value = home[column];
    return (numeric ? Number(value) === Number(category) : String(value).trim() === category) ? 1 : 0;
  }
  return ARITHMETIC[kind](...rest.map((part) => evaluate(part, home)));
}

class Calculator {
  constructor(held) {
    this.held = held;
    this.size = held.draws;
    this.mu = unpacked(held.mu);
    this.beta = held.beta && unpacked(held.beta);
    this.sigma = held.sigma && unpacked(held.sigma);
    this.crossed = held.crossed.map((one) => unpacked(one.beta));
    this.nu = held.nu && unpacked(held.nu)(0).map(Math.exp);
  }

  // The standardized columns x of a home.
  columns(home) {
    return this.held.columns.map((factors, d) => {
      if (!factors.length) return 1;
      const value = factors.reduce((product, factor) => product * evaluate(factor, home), 1);
      return (value - this.held.centre[d]) / this.held.spread[d];
    });
  }

  // xᵀβ under every draw.
  location(home, option, crossed = []) {
    const x = this.columns(home), m = new Float64Array(this.size);
    const add = (draws, factor) => {
      for (let s = 0; s < m.length; s++) m[s] += factor * draws[s];
    };
    this.held.mu_columns.forEach((column, at) => add(this.mu(at), x[column]));
    const own = this.held.beta_columns;
    own.forEach((column, at) => add(this.beta(option * own.length + at), x[column]));
    this.held.crossed.forEach((one, which) => one.columns.forEach((column, at) => {
      add(this.crossed[which]((crossed[which] || 0) * one.columns.length + at), x[column]);
    }));
    return m;
  }

  // The residual sd under every draw, 0 where the errors are known.
  noise(option) {
    if (!this.sigma) return new Float64Array(this.size);
    return this.sigma(this.held.sigma.shape[0] > 1 ? option : 0).map(Math.exp);
  }

  // E(y | θ) under every draw, as Posterior.expected has it.
  expected(home, option, crossed) {
    const { unit, log } = this.held, m = this.location(home, option, crossed);
    if (!log) return m.map((value) => unit * value);
    const sigma = this.nu ? new Float64Array(this.size) : this.noise(option);
    return m.map((value, s) => Math.exp(unit * value + 0.5 * (unit * sigma[s]) ** 2));
  }

  predictive(home, option, crossed) {
    return new Mixture(this.location(home, option, crossed), this.noise(option), this.nu, this.held.unit, this.held.log);
  }
}

class Mixture {
  constructor(m, sigma, nu, unit, log) {
    Object.assign(this, { m, sigma, nu, unit, log });
    this.sorted = Float64Array.from(m).sort();
    this.known = !sigma.some((value) => value > 0);
    // Draws without noise are drawn with a little, so that there is a density to see.
    this.width = this.known ? 0.9 * deviation(m) * m.length ** -0.2 || 1e-9 : 0;
  }

  toModel(y) {
    return this.log ? Math.log(Math.max(y, 0)) / this.unit : y / this.unit;
  }

  toOutcome(z) {
    return this.log ? Math.exp(this.unit * z) : this.unit * z;
  }

  // The share of one draw below z.
  component(z, s) {
    if (this.known) return this.m[s] < z ? 1 : 0;
    const x = (z - this.m[s]) / this.sigma[s];
    return this.nu ? studentDistribution(x, this.nu[s]) : normalDistribution(x);
  }

  // The share below z, on the modelled scale.
  distribution(z) {
    if (this.known) return share(this.sorted, z);
    let total = 0;
    for (let s = 0; s < this.m.length; s++) total += this.component(z, s);
    return total / this.m.length;
  }

  below(y) {
    return this.distribution(this.toModel(y));
  }

  // Its Monte Carlo error: the sd of the draws' own shares by the root of their number.
  belowError(y) {
    const z = this.toModel(y);
    return deviation(this.m.map((_, s) => this.component(z, s))) / Math.sqrt(this.m.length);
  }

  // The density of the outcome itself.
  density(y) {
    if (this.log && y <= 0) return 0;
    const z = this.toModel(y);
    let total = 0;
    for (let s = 0; s < this.m.length; s++) {
      const width = this.known ? this.width : this.sigma[s];
      const x = (z - this.m[s]) / width;
      total += (this.nu ? studentDensity(x, this.nu[s]) : Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)) / width;
    }
    return total / this.m.length / this.unit / (this.log ? y : 1);
  }

  // The root of F(z) = p, by halving.
  quantile(p) {
    if (this.known) return this.toOutcome(atShare(this.sorted, p));
    const wide = 4 * Math.max(...this.sigma);
    let low = this.sorted[0] - wide, high = this.sorted[this.sorted.length - 1] + wide;
    for (let reach = wide; this.distribution(low) > p; reach *= 2) low -= reach;
    for (let reach = wide; this.distribution(high) < p; reach *= 2) high += reach;
    for (let step = 0; step < 60 && high - low > 1e-9 * (1 + Math.abs(low)); step++) {
      const middle = 0.5 * (low + high);
      if (this.distribution(middle) < p) low = middle;
      else high = middle;
    }
    return this.toOutcome(0.5 * (low + high));
  }

  // None under Student's t with nu ≤ 1, infinite there under a log.
  mean() {
    if (this.nu && this.log) return Infinity;
    if (this.nu && Math.min(...this.nu) <= 1) return NaN;
    return average(this.m.map((value, s) => (
      this.log ? Math.exp(this.unit * value + 0.5 * (this.unit * this.sigma[s]) ** 2) : this.unit * value)));
  }
}

function average(values) {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

function deviation(values) {
  const middle = average(values);
  return Math.sqrt(average(values.map((value) => (value - middle) ** 2)));
}

// The share of sorted values below one, and the value at a share.
function share(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low / sorted.length;
}

function atShare(sorted, p) {
  const at = p * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

// Abramowitz and Stegun 7.1.26: off by less than 2e-7.
function normalDistribution(x) {
  const a = Math.abs(x) / Math.SQRT2, k = 1 / (1 + 0.3275911 * a);
  const tail = 0.5 * Math.exp(-a * a) * k
    * (0.254829592 + k * (-0.284496736 + k * (1.421413741 + k * (-1.453152027 + k * 1.061405429))));
  return x < 0 ? tail : 1 - tail;
}

// Lanczos' approximation, of positive numbers.
function logGamma(x) {
  const g = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
    -0.5395239384953e-5];
  const t = x + 5.5;
  const series = g.reduce((total, value, at) => total + value / (x + 1 + at), 1.000000000190015);
  return (x + 0.5) * Math.log(t) - t + Math.log((2.5066282746310005 * series) / x);
}

function studentDensity(x, nu) {
  const constant = logGamma((nu + 1) / 2) - logGamma(nu / 2) - 0.5 * Math.log(nu * Math.PI);
  return Math.exp(constant - ((nu + 1) / 2) * Math.log1p((x * x) / nu));
}

// By the incomplete beta function: P(T > |x|) = ½ I(nu / (nu + x²); nu/2, ½).
function studentDistribution(x, nu) {
  const tail = 0.5 * incompleteBeta(nu / (nu + x * x), nu / 2, 0.5);
  return x < 0 ? tail : 1 - tail;
}

function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(1 - x, b, a)) / b;
}

// Lentz' continued fraction.
function fraction(x, a, b) {
  const least = (value) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1, d = 1 / least(1 - ((a + b) * x) / (a + 1)), h = d;
  for (let m = 1; m < 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / least(1 + even * d);
    c = least(1 + even / c);
    h *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / least(1 + odd * d);
    c = least(1 + odd / c);
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-10) break;
  }
  return h;
}
