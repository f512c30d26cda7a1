# rstanarm's stan_lmer. Its prior of a spread is a multiple of sigma, tau ~ sigma × Exponential, and cannot be tau's
# own; sigma is near 0.8 in these data, so that the scale 5 / 0.8 comes nearest to the others' Exponential(scale=5).
suppressPackageStartupMessages(library(rstanarm))
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))

fit <- function(rows, asked, seed) {
  formula <- if (asked$model == "correlated") y ~ x + (x | g) else y ~ x + (x || g)
  stan_lmer(
    formula, rows, prior_intercept = normal(0, 20), prior = normal(0, 5), prior_aux = exponential(0.2),
    prior_covariance = decov(regularization = 2, shape = 1, scale = 5 / 0.8), chains = asked$chains,
    iter = asked$tune + asked$draws, warmup = asked$tune, cores = asked$cores, seed = seed, refresh = 0
  )
}

collect <- function(fitted, asked) {
  draws <- as.array(fitted)
  labels <- dimnames(draws)[[3]]
  place <- function(term) sprintf("b[%s g:%s]", term, asked$places)
  column <- function(name) draws[, , name, drop = FALSE]
  variance <- function(a, b) {
    # Terms that are independent are groups of their own, g and g.1.
    hit <- grep(sprintf("^Sigma\\[g(\\.1)?:%s,%s\\]$", a, b), labels, value = TRUE)
    column(hit[1])
  }
  tau <- lapply(c("\\(Intercept\\)", "x"), function(term) sqrt(variance(term, term)))
  omega <- if (asked$model == "correlated") variance("x", "\\(Intercept\\)") / (tau[[1]] * tau[[2]])
  mu <- list(column("(Intercept)"), column("x"))
  beta <- list()
  for (at in seq_along(asked$places)) {
    beta[[2 * at - 1]] <- mu[[1]] + column(place("(Intercept)")[at])
    beta[[2 * at]] <- mu[[2]] + column(place("x")[at])
  }
  parts <- c(mu, tau, list(column("sigma")), if (!is.null(omega)) list(omega), beta)
  names <- c("mu[0]", "mu[1]", "tau[0]", "tau[1]", "sigma[0]", if (!is.null(omega)) "omega[0]",
             sprintf("beta[%d]", seq_along(beta) - 1L))
  list(draws = array(unlist(parts), c(dim(draws)[1:2], length(parts))), names = names)
}

run(fit, collect, list(rstanarm = as.character(packageVersion("rstanarm")),
                       rstan = as.character(packageVersion("rstan"))))
