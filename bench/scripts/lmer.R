# Time lme4's lmer on the benchmark's model.
# Arguments: data.csv formula centre spread unit repeats; prints one line of JSON on stdout.
suppressPackageStartupMessages(library(lme4))

given <- commandArgs(trailingOnly = TRUE)
rows <- read.csv(given[1], colClasses = c(zip = "character"))
rows$living_space <- (rows$living_space - as.numeric(given[3])) / as.numeric(given[4])
rows$price <- rows$price / as.numeric(given[5])
rows$zip <- factor(rows$zip)
formula <- as.formula(given[2])
repeats <- as.integer(given[6])

# The first fits load code and fill caches; they are not counted.
for (i in seq_len(if (repeats > 1) 2 else 0)) fit <- lmer(formula, rows)
seconds <- numeric(repeats)
for (i in seq_len(repeats)) {
  started <- Sys.time()
  fit <- lmer(formula, rows)
  seconds[i] <- as.numeric(Sys.time() - started, units = "secs")
}

numbers <- function(x) paste0("[", paste(sprintf("%.10g", x), collapse = ", "), "]")
table <- as.data.frame(VarCorr(fit))
tau <- table$sdcor[is.na(table$var2) & table$grp != "Residual"]
omega <- table$sdcor[!is.na(table$var2)]
cat(sprintf(
  '{"seconds": %s, "mu": %s, "tau": %s, "omega": %s, "sigma": %s, "lme4": "%s", "R": "%s"}\n',
  numbers(seconds), numbers(fixef(fit)), numbers(tau), numbers(omega), numbers(sigma(fit)),
  as.character(packageVersion("lme4")), paste(R.version$major, R.version$minor, sep = ".")
))
