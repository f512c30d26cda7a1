"""Methods of a posterior whose functions live above it: `post.assess(rows)` is `ph.assess(post, rows)`."""

from __future__ import annotations

from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood import plot as pictures
    from priorhood.evaluation.assess import assess as assess_rows
    from priorhood.evaluation.influence import influence as influence_of
    from priorhood.evaluation.loo import loo as leave_rows_out
    from priorhood.evaluation.loo import loo_places as leave_places_out
    from priorhood.evaluation.sensitivity import sensitivity as sensitivity_to_priors
    from priorhood.fitting.fit import refit as refit_moments
    from priorhood.fitting.fit import update as update_with_rows
    from priorhood.posterior.predictive import posterior_predictive as predict_rows
    from priorhood.reporting import report as write_report

# Pictures that take a posterior as their first argument.
PICTURES = (
    "correlation", "diagnostics", "forest", "interactive_map", "lines", "map", "predictive", "price", "prior_lines",
    "priors", "ranks", "shrinkage", "trace",
)  # fmt: skip
# Pictures of results, and the functions that return these.
OF_RESULTS = {
    "calibration": "calibrate()", "compare": "compare()", "loo": "loo()", "misfit": "assess()", "pit": "assess()",
    "sensitivity": "sensitivity()",
}  # fmt: skip


class LazyMethod:
    """A function as a method, whose module is imported on first access."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = f"priorhood.{module}", name

    def __get__(self, post: object | None, owner: type) -> Callable[..., Any]:
        function = getattr(import_module(self.module), self.name)
        return function if post is None else MethodType(function, post)


class Plots:
    """The plots of a posterior: `post.plot.forest()` is `ph.plot.forest(post)`."""

    def __init__(self, post: object) -> None:
        self._post = post

    def __dir__(self) -> list[str]:
        return list(PICTURES)

    def __repr__(self) -> str:
        return f"plots of a posterior: {', '.join(PICTURES)}"

    if TYPE_CHECKING:  # the import cycle confuses only mypy
        correlation = pictures.correlation  # type: ignore[has-type]
        diagnostics = pictures.diagnostics  # type: ignore[has-type]
        forest = pictures.forest  # type: ignore[has-type]
        interactive_map = pictures.interactive_map  # type: ignore[has-type]
        lines = pictures.lines  # type: ignore[has-type]
        map = pictures.map  # type: ignore[has-type]
        predictive = pictures.predictive  # type: ignore[has-type]
        price = pictures.price  # type: ignore[has-type]
        prior_lines = pictures.prior_lines  # type: ignore[has-type]
        priors = pictures.priors  # type: ignore[has-type]
        ranks = pictures.ranks  # type: ignore[has-type]
        shrinkage = pictures.shrinkage  # type: ignore[has-type]
        trace = pictures.trace  # type: ignore[has-type]
    else:

        def __getattr__(self, name: str) -> Callable[..., Any]:
            if name not in PICTURES:
                of_result = OF_RESULTS.get(name)
                advice = f": it takes the result of {of_result}, ph.plot.{name}(result)" if of_result else ""
                raise AttributeError(
                    f"a posterior has no plot {name!r}{advice}; the plots are {', '.join(PICTURES)}"
                )
            return MethodType(getattr(import_module("priorhood.plot"), name), self._post)


class PosteriorMethods:
    """Base class of Posterior: every method is the function of that name, called with the posterior first."""

    if TYPE_CHECKING:
        assess = assess_rows  # type: ignore[has-type]
        influence = influence_of  # type: ignore[has-type]
        loo = leave_rows_out  # type: ignore[has-type]
        loo_places = leave_places_out  # type: ignore[has-type]
        posterior_predictive = predict_rows  # type: ignore[has-type]
        refit = refit_moments  # type: ignore[has-type]
        report = write_report  # type: ignore[has-type]
        sensitivity = sensitivity_to_priors  # type: ignore[has-type]
        update = update_with_rows  # type: ignore[has-type]
    else:
        assess = LazyMethod("evaluation.assess", "assess")
        influence = LazyMethod("evaluation.influence", "influence")
        loo = LazyMethod("evaluation.loo", "loo")
        loo_places = LazyMethod("evaluation.loo", "loo_places")
        posterior_predictive = LazyMethod("posterior.predictive", "posterior_predictive")
        refit = LazyMethod("fitting.fit", "refit")
        report = LazyMethod("reporting", "report")
        sensitivity = LazyMethod("evaluation.sensitivity", "sensitivity")
        update = LazyMethod("fitting.fit", "update")

    @property
    def plot(self) -> Plots:
        """The plots of this posterior: post.plot.trace(), .forest(), .map(polygons), …; see ph.plot."""
        return Plots(self)
