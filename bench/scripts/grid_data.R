# The data of Pichler, Jewson and Avalos-Pacheco's grid (arXiv 2502.04990), from the same stream of R's generator:
# predictors, groups, effects, noise, in this order, after seed 123.
# Arguments: n J p target.csv
given <- commandArgs(trailingOnly = TRUE)
n <- as.integer(given[1])
J <- as.integer(given[2])
p <- as.integer(given[3])
set.seed(123)
x <- matrix(rnorm(n * p), n, p)
colnames(x) <- paste0("x", seq_len(p))
g <- sample(1:J, n, replace = TRUE)
u <- rnorm(J)
y <- drop(x %*% c(1, 2, -1, rep(0, p - 3))) + u[g] + rnorm(n)
write.csv(data.frame(y = format(y, digits = 17), g = g, apply(x, 2, format, digits = 17)), given[4],
          row.names = FALSE, quote = FALSE)
