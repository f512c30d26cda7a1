"""Results as Markdown: every table of the README and of the pages that show what was measured, and their places."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench.contenders import CONTENDERS, MODELS, YARDSTICK
from bench.machine import BUSY, busy, remark, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.contest import Record
    from bench.data import Size
    from bench.scale import Records

NONE = "–"
RULES = {"l": "---", "r": "---:"}


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(heads: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; align : a letter a column, l or r, the last one for all that follow."""
    rules = (RULES[letter] for letter in align.ljust(len(heads), align[-1]))
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]])


def rewritten(text: str, block: str, name: str) -> str:
    """A page's text with what stands between the markers of that name replaced.

    Raises
    ------
    ValueError : not exactly one pair of markers, in order
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"needed: one line {start} and, after it, one line {end}")
    return f"{text.partition(start)[0]}{start}\n{block}\n{end}{text.partition(end)[2]}"


def unfinished(results: dict[str, Any], trial: str) -> str:
    """What a short run is not, as sentences; nothing of a complete one."""
    return (f"{trial}. " if results["quick"] else "") + ("" if results["complete"] else "Unfinished run. ")


# -- priorhood alone --------------------------------------------------------------------------------------


def own(results: dict[str, Any]) -> str:
    """What was measured of priorhood alone, with the machine and the date under it."""
    machine, rows = results["machine"], []
    for m in results["measurements"]:
        unit = f" {m['unit']}" if m["unit"] else ""
        aim = "" if m["target"] is None else f"{'≤' if m['at_most'] else '≥'} {m['target']:,.5g}{unit}"
        shown = f"{number(m['min'])}, {number(m['median'])}" if m["unit"] else f"worst {m['judged']:,.5g}"
        missed = " (missed)" if m["met"] is False else ""
        rows.append((m["what"].replace("|", "\\|"), f"{shown}{unit}{missed}", aim, f"`{m['command']}`"))
    return (
        f"{table(('what', 'measured: minimum, median', 'target', 'command'), 'lrrl', rows)}\n\n"
        f"{unfinished(results, 'Quick run')}{remark(machine, 'minima are more reliable')}ESS, R-hat: worst of "
        f"several seeds. {sentence(machine)} `make bench` repeats the measurements."
    )


# -- contenders -------------------------------------------------------------------------------------------

SHORT = {"time": "> {seconds:,.0f} s", "memory": "> {memory:,.0f} GB", "failed": "failed", "refused": "not taken"}
CONTEST = (
    *("package", "model", "result", "first result: nothing compiled", "first result: compiled before"),
    *("further fit", "further fit, relative to priorhood", "smallest bulk ESS", "ESS/s", "peak memory"),
    "Δ mean / sd",
)


def fit_seconds(record: Record) -> float | None:
    """Seconds of a further fit: the median; of one that was too slow to fit again, its first result's."""
    return statistics.median(record.fits) if record.fits else record.first


def verdict(record: Record) -> str:
    """Why there is no time, in a word."""
    limits = record.limits
    return SHORT[record.status].format(seconds=limits.get("seconds", 0), memory=limits.get("memory_mb", 0) / 1000)


def gives(record: Record) -> str:
    """Draws, and how many were needed; or a point estimate."""
    if record.least_ess is None:
        return "point estimate"
    text = f"4 × {record.draws:,} draws"
    return text if record.reached else f"{text}, R-hat {record.greatest_rhat:.4f}, quality not reached"


def line(record: Record) -> str:
    """A record in a line, for the terminal."""
    if record.status != "fitted":
        return f"  {record.contender}: {verdict(record)}: {record.reason}"
    ess = "" if record.least_ess is None else f", least ESS {number(record.least_ess)}"
    return (
        f"  {record.contender}: first result {number(record.first)} s, further fit "
        f"{number(fit_seconds(record))} s, {number(record.peak_mb)} MB, {gives(record)}{ess}"
    )


def at_size(records: Records, size: Size, models: Iterable[str] = MODELS, *, short: bool = False) -> str:
    """All contenders at one size; short : without what the README need not say."""
    left_out = ("model", "smallest bulk ESS", "Δ mean / sd") if short else ()
    columns = [at for at, name in enumerate(CONTEST) if name not in left_out]
    rows = []
    for model in models:
        here = records.at(size, model)
        yardstick = here.get(YARDSTICK)
        if yardstick is not None and yardstick.status != "fitted":
            yardstick = None
        rows += [_contest_cells(one, yardstick) for one in here.values()]
    align = "".join("l" if at < 3 else "r" for at in columns)
    return table([CONTEST[at] for at in columns], align, ([row[at] for at in columns] for row in rows))


def _contest_cells(record: Record, yardstick: Record | None) -> list[str]:
    versions = [f"{name} {version}" for name, version in record.versions.items() if name not in ("Python", "R")]
    named = ", ".join(versions) or CONTENDERS[record.contender].label
    if record.status != "fitted":
        return [named, record.model, verdict(record), *[NONE] * 8]
    seconds, ratio, far = fit_seconds(record), None, None
    if yardstick is not None and seconds:
        ratio = seconds / (fit_seconds(yardstick) or seconds)
    if yardstick is not None and record is not yardstick and record.mean:
        far = max(abs(record.mean[name] - yardstick.mean[name]) / sd for name, sd in yardstick.sd.items())
    rate = None if record.least_ess is None or not seconds else record.least_ess / seconds

    def with_unit(value: float | None, unit: str) -> str:
        return NONE if value is None else f"{number(value)} {unit}"

    return [
        named, record.model, gives(record), with_unit(record.first, "s"), with_unit(record.ready, "s"),
        with_unit(seconds, "s"), number(ratio), number(record.least_ess), number(rate),
        with_unit(record.peak_mb, "MB"), number(far),
    ]  # fmt: skip


def ratios(records: Records, size: Size, model: str) -> str:
    """Seconds of the others in multiples of priorhood's, in a sentence; none where the machine was not free."""
    fitted = {name: one for name, one in records.at(size, model).items() if one.status == "fitted"}
    if YARDSTICK not in fitted:
        return ""
    if any(busy(one.machine) > BUSY for one in fitted.values()):
        return "No ratios: other work ran on the machine, more beside some contenders than beside others."
    base = fit_seconds(fitted.pop(YARDSTICK)) or 1.0
    times = {name: (fit_seconds(one) or 0.0) / base for name, one in fitted.items()}
    text = ", ".join(f"{CONTENDERS[name].label} {number(value)}" for name, value in times.items())
    samplers = sorted(value for name, value in times.items() if fitted[name].least_ess is not None)
    span = f" The samplers take {number(samplers[0])} to {number(samplers[-1])} times as long." if samplers else ""
    return f"Time of each further fit relative to priorhood's: {text}.{span}"


def along(records: Records, sizes: tuple[Size, ...], model: str, *, by: str) -> str:
    """Seconds of a further fit at every size of a series; by : "rows" or "groups"."""
    every = {size: here for size in sizes if (here := records.at(size, model))}
    heads = [f"{getattr(size, by):,}" + ("" if by == "rows" else f" ({size.rows:,} rows)") for size in every]

    def cell(record: Record | None) -> str:
        if record is None or record.status != "fitted":
            return NONE if record is None else verdict(record)
        return number(fit_seconds(record)) + ("" if record.reached else " (quality not reached)")

    rows = [
        [one.label, *(cell(here.get(name)) for here in every.values())]
        for name, one in CONTENDERS.items()
        if any(name in here for here in every.values())
    ]
    return table([f"seconds of a further fit, {by}:", *heads], "lr", rows)


def reasons(records: Records) -> str:
    """What stopped whom, in the words of the record."""
    return "\n".join(
        f"- {CONTENDERS[one.contender].label}, {one.model}, {one.rows:,} rows, {one.groups:,} groups: {one.reason}"
        for one in records.by_key.values()
        if one.status in ("failed", "refused")
    )


def circumstances(records: Records) -> str:
    """The machine, the days, and whether others were at work."""
    every = [one.machine for one in records.by_key.values()]
    machines = dict.fromkeys(f"{one['cpu']}, {one['cores']} cores" for one in every)
    days, loads = sorted({one["date"][:10] for one in every}), [busy(one) for one in every]
    text = f"{'; '.join(machines)}. {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") + "."
    if disturbed := sum(load > BUSY for load in loads):
        text += (
            f" Before {disturbed} of {len(every)} measurements other work ran on the machine (up to "
            f"{max(loads):.1f} cores): their times are long, and ratios mean little."
        )
    return text


# -- the published grid -----------------------------------------------------------------------------------

GRID = (
    *("n", "J", "package", "first result: nothing compiled", "5,000 draws, compiled", "relative to priorhood"),
    *("smallest bulk ESS", "ESS/s", "means and sds: furthest from priorhood's (limit)"),
)
IN_GRID = {"priorhood": "priorhood", "stan": "Stan, the same priors", "rstanarm": "rstanarm, its own"}


def grid(results: dict[str, Any]) -> str:
    """A row for every size and contender; the machine, the day, whether others were at work."""
    rows = []
    for size in results["sizes"]:
        base = size["fits"]["priorhood"]
        for name, fit in size["fits"].items():
            cells = [f"{size['rows']:,}", str(size["groups"]), IN_GRID[name]]
            if fit["status"] != "fitted":
                rows.append([*cells, f"{fit['status']}: {fit['reason']}", *[NONE] * 5])
                continue
            seconds = statistics.median(fit["fits"] or [fit["first"]])
            ratio = seconds / statistics.median(base["fits"] or [base["first"]]) if "first" in base else None
            held = size["agreement"].get(name)
            apart = NONE if held is None else f"{held['apart']:.1f} ({held['limit']:.1f})"
            wrong = " **differs**" if held and held["apart"] > held["limit"] else ""
            rate = fit["least_ess"] / seconds
            cells += [f"{number(fit['first'])} s", f"{number(seconds)} s", number(ratio), number(fit["least_ess"])]
            rows.append([*cells, number(rate), apart + wrong])
    every = [size["machine"] for size in results["sizes"]]
    if not every:
        return "Not measured."
    fits = [fit for size in results["sizes"] for fit in size["fits"].values()]
    versions = sorted({f"{name} {v}" for fit in fits for name, v in fit.get("versions", {}).items()})
    where = f"{every[0]['cpu']}, {every[0]['cores']} cores, {every[-1]['date'][:10]}"
    about = [f"{text}." for text in (where, ", ".join(versions)) if text]
    about.append(remark(max(every, key=busy), "times are long"))
    return f"{table(GRID, 'rrlr', rows)}\n\n{' '.join(about)}".rstrip()


# -- engines ----------------------------------------------------------------------------------------------

ENGINES = (
    *("model", "engine", "build and compile: first, again", "sample", "divergences", "smallest bulk ESS"),
    *("largest R-hat", "ESS/s: first fit, sampling alone", "Δ mean / sd"),
)
HOWS = {"exact": "exact", "nutpie": "NUTS, nutpie", "pymc": "NUTS, PyMC"}
LIBRARIES = {"pymc": "PyMC", "numpy": "NumPy", "numba": "Numba", "scipy": "SciPy"}
MISSING = {"refused": "not taken", "failed": "not measured"}


def engines(results: dict[str, Any]) -> str:
    """Every model by every engine, what is missing and why, and the circumstances of the measurement."""
    rows, why, versions = [], {}, {}
    for run in results["runs"]:
        versions |= run["versions"]
        cells = [run["model"], HOWS[run["how"]]]
        if run["status"] != "fitted":
            rows.append([*cells, MISSING[run["status"]], *[NONE] * (len(ENGINES) - 3)])
            why.setdefault((run["status"], run["reason"]), []).append(f"{run['model']} by {HOWS[run['how']]}")
            continue
        first, again, sample = (max(run[key], 0.0) for key in ("compile_first", "compile_again", "sample"))
        rates = [number(run["least_ess"] / seconds) for seconds in (first + sample, sample)]
        diverged = NONE if run["divergences"] is None else f"{run['divergences']:,}"
        cells += [f"{number(first)} s, {number(again)} s", f"{number(sample)} s", diverged]
        cells += [number(run["least_ess"]), f"{run['greatest_rhat']:.3f}", "; ".join(rates)]
        rows.append([*cells, number(run["difference"])])
    reasons = [
        f"{MISSING[status].capitalize()}: {', '.join(which)} ({reason}).\n"
        for wanted in MISSING
        for (status, reason), which in why.items()
        if status == wanted
    ]
    machine = results["machine"]
    named = (f"{LIBRARIES.get(name, name)} {version}" for name, version in versions.items())
    about = (
        f"{unfinished(results, 'Trial with few draws')}{remark(machine, 'times are long')}{results['rows']:,} "
        f"simulated sales in {results['places']} ZIP codes; {results['chains']} chains × {results['draws']:,} "
        f"draws, NUTS after {results['tune']:,} steps to adapt; seed {results['seed']}. "
        f"{sentence(machine, *named)}"
    )
    return "\n".join([table(ENGINES, "llr", rows), "", *reasons, about])
