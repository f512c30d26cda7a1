# lme4's lmer: the point estimate that most people take, by REML.
suppressPackageStartupMessages(library(lme4))
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))

fit <- function(rows, asked, seed) {
  formula <- if (asked$model == "correlated") y ~ x + (x | g) else y ~ x + (x || g)
  fitted <- lmer(formula, rows)
  list(fit = fitted, effects = coef(fitted)$g)
}

collect <- function(fitted, asked) {
  table <- as.data.frame(VarCorr(fitted$fit))
  mu <- fixef(fitted$fit)
  tau <- table$sdcor[is.na(table$var2) & table$grp != "Residual"]
  omega <- table$sdcor[!is.na(table$var2)]
  beta <- as.vector(t(as.matrix(fitted$effects[as.character(asked$places), c("(Intercept)", "x")])))
  values <- c(mu, tau, sigma(fitted$fit), if (asked$model == "correlated") omega, beta)
  names(values) <- c("mu[0]", "mu[1]", "tau[0]", "tau[1]", "sigma[0]",
                     if (asked$model == "correlated") "omega[0]", sprintf("beta[%d]", seq_along(beta) - 1L))
  list(point = values)
}

run(fit, collect, list(lme4 = as.character(packageVersion("lme4"))))
