# rstanarm as the paper calls it. What it cannot have is half-t for the spread of the effects: its decov prior makes
# that sigma × Exponential(1).
suppressPackageStartupMessages(library(rstanarm))
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))

fit <- function(rows, asked, seed) {
  stan_lmer(
    y ~ 0 + x1 + x2 + x3 + x4 + x5 + (1 | g), rows, prior = normal(0, 10), prior_aux = student_t(3, 0, 3.7),
    chains = 1, cores = 1, iter = asked$tune + asked$draws, warmup = asked$tune, adapt_delta = 0.95, seed = seed,
    refresh = 0
  )
}

collect <- function(fitted, asked) {
  draws <- as.array(fitted)
  labels <- c(paste0("x", 1:5), "Sigma[g:(Intercept),(Intercept)]", "sigma",
              sprintf("b[(Intercept) g:%s]", asked$places))
  draws <- draws[, , labels, drop = FALSE]
  draws[, , 6] <- sqrt(draws[, , 6])
  list(draws = draws, names = c(sprintf("mu[%d]", 0:4), "tau[0]", "sigma[0]",
                                sprintf("beta[%d]", seq_along(asked$places) - 1L)))
}

run(fit, collect, list(rstanarm = as.character(packageVersion("rstanarm"))))
