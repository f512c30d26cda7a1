"""Sphinx: `make docs` builds the reference, from the docstrings, and the pages into build/docs."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

from pygments.lexers.special import TextLexer

project = "priorhood"
author = "the authors of priorhood"
release = metadata.version(project)
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser"]
root_doc = "index"
exclude_patterns = ["walkthrough.*"]
templates_path = ["templates"]
html_theme = "furo"
html_title = f"{project} {release}"

autodoc_typehints = "none"  # the signature and the docstring's Parameters say them
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

# Public by name for other packages' sake, of no use to a user.
INTERNAL = {
    *("Table.require", "Table.eager", "Table.frame", "Table.alone", "Table.check_apart"),
    *("Model.resolve", "Model.regression"),
    *("logpdf", "sample", "scaled", "shapes", "cholesky", "coordinate", "constrain", "log_jacobian"),
}


def setup(app: Any) -> None:
    """Leave out what is internal; take bars in docstrings as bars."""

    def skip(_: Any, __: str, name: str, member: Any, skipped: bool, ___: Any) -> bool | None:  # noqa: FBT001
        return True if INTERNAL & {name, getattr(member, "__qualname__", name)} else skipped or None

    def escape(_: Any, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
        # |x| is a modulus or a determinant here, not a substitution; code keeps its bars.
        for at, line in enumerate(lines):
            if not line.lstrip().startswith((">>>", "...")):
                parts = re.split(r"(`[^`]*`)", line)
                lines[at] = "".join(p if p.startswith("`") else re.sub(r"\|(?=\S)", r"\|", p) for p in parts)

    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", escape)
    app.add_lexer("csv", TextLexer)
