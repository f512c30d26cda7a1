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

write_answer <- function(answer) {
  part <- file.path(folder, "answer.part")
  writeLines(jsonlite::toJSON(answer, auto_unbox = TRUE, digits = NA), part)
  invisible(file.rename(part, file.path(folder, "answer.json")))
}

keep <- function(result) {
  if (!is.null(result$point)) return(list(point = as.list(result$point)))
  out <- file(file.path(folder, "draws.f64"), "wb")
  writeBin(as.vector(result$draws), out)
  close(out)
  list(names = result$names, draws = dim(result$draws)[1], chains = dim(result$draws)[2])
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
  answer <- list(first_s = as.numeric(Sys.time()) - asked$began, first_fit_s = once$seconds, fits_s = list(),
               versions = versions)
  answer <- c(answer, keep(collect(once$result, asked)))
  write_answer(answer)
  spent <- seconds <- 0
  for (at in seq_len(asked$fits)) {
    if (once$seconds > 4 * asked$spend || spent + seconds > asked$spend) break  # see protocol.py
    seconds <- timed(at)$seconds
    spent <- spent + seconds
    answer$fits_s[[at]] <- seconds
  }
  write_answer(answer)
}
