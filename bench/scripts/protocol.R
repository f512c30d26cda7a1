# What every contender of R does; see protocol.py.
# read(asked) -> data; fit(data, asked, seed) -> result; collect(result, asked) -> list(point = c(name = value, …))
# or list(draws = array (draw, chain, parameter), names = …).

given <- commandArgs(trailingOnly = TRUE)[1]
folder <- dirname(given)
asked <- jsonlite::fromJSON(given)

read_rows <- function(asked) {
  rows <- as.data.frame(data.table::fread(asked$data, nThread = asked$cores))
  rows$g <- factor(rows$g)
  rows
}

tell <- function(told) {
  part <- file.path(folder, "told.part")
  writeLines(jsonlite::toJSON(told, auto_unbox = TRUE, digits = NA), part)
  invisible(file.rename(part, file.path(folder, "told.json")))
}

keep <- function(found) {
  if (!is.null(found$point)) return(list(point = as.list(found$point)))
  out <- file(file.path(folder, "draws.f64"), "wb")
  writeBin(as.vector(found$draws), out)
  close(out)
  list(names = found$names, draws = dim(found$draws)[1], chains = dim(found$draws)[2])
}

run <- function(fit, collect, versions) {
  timed <- function(at) {
    started <- Sys.time()
    result <- fit(rows, asked, asked$seed + at)
    list(result = result, seconds = as.numeric(Sys.time() - started, units = "secs"))
  }
  rows <- read_rows(asked)
  once <- timed(0)
  versions$R <- paste(R.version$major, R.version$minor, sep = ".")
  told <- list(first_s = as.numeric(Sys.time()) - asked$began, first_fit_s = once$seconds, fits_s = list(),
               versions = versions)
  told <- c(told, keep(collect(once$result, asked)))
  tell(told)
  spent <- seconds <- 0
  for (at in seq_len(asked$fits)) {
    if (once$seconds > 4 * asked$spend || spent + seconds > asked$spend) break  # see protocol.py
    seconds <- timed(at)$seconds
    spent <- spent + seconds
    told$fits_s[[at]] <- seconds
  }
  tell(told)
}
