# A Stan program with the paper's priors, through rstan; effects not centred. Its first fit compiles it.
suppressPackageStartupMessages(library(rstan))
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))

program <- "
data {
  int<lower=1> n;
  int<lower=1> p;
  int<lower=1> J;
  matrix[n, p] x;
  vector[n] y;
  int<lower=1, upper=J> g[n];
}
parameters {
  vector[p] mu;
  vector[J] z;
  real<lower=0> tau;
  real<lower=0> sigma;
}
transformed parameters {
  vector[J] u = tau * z;
}
model {
  mu ~ normal(0, 10);
  z ~ std_normal();
  tau ~ student_t(3, 0, 2.5);
  sigma ~ student_t(3, 0, 2.5);
  y ~ normal_id_glm(x, u[g], mu, sigma);
}
"
# Debian's package of Boost's headers leaves them where the system has them.
if (system.file("include", package = "BH") == "") rstan_options(boost_lib = "/usr/include")
compiled <- NULL

fit <- function(rows, asked, seed) {
  if (is.null(compiled)) compiled <<- stan_model(model_code = program)
  x <- as.matrix(rows[, paste0("x", 1:5)])
  data <- list(n = nrow(x), p = ncol(x), J = nlevels(rows$g), x = x, y = rows$y, g = as.integer(rows$g))
  sampling(compiled, data, chains = 1, cores = 1, iter = asked$tune + asked$draws, warmup = asked$tune, seed = seed,
           control = list(adapt_delta = 0.95), refresh = 0)
}

collect <- function(fitted, asked) {
  draws <- as.array(fitted)
  labels <- c(sprintf("mu[%d]", 1:5), "tau", "sigma", sprintf("u[%d]", seq_along(asked$places)))
  list(draws = draws[, , labels, drop = FALSE],
       names = c(sprintf("mu[%d]", 0:4), "tau[0]", "sigma[0]", sprintf("beta[%d]", seq_along(asked$places) - 1L)))
}

run(fit, collect, list(rstan = as.character(packageVersion("rstan"))))
