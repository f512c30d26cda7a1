"""Pictures of the README: `python docs/pictures.py` runs the demo, keeps what it draws, and a look at its report.

Needs the extras plot and map, Playwright, and Chromium on the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"
DRAWN = ("lines.png", "shrinkage.png", "map.png")
WIDTH, HEIGHT = 1200, 860


def demo(folder: Path) -> None:
    """Everything that `make demo` makes."""
    command = "from priorhood.cli import main; main()"
    subprocess.run([sys.executable, "-c", command, "demo", "--out", str(folder)], check=True)  # noqa: S603


def look(page: Path, target: Path) -> None:
    """What the report's middle looks like in a browser: the map, the table of places."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or sys.exit("no chromium on the path")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(page.as_uri())
        top = tab.locator("#found").bounding_box()
        cut = {"x": 0, "y": (top or {"y": 0})["y"], "width": WIDTH, "height": HEIGHT}
        tab.screenshot(path=target, full_page=True, clip=cut)
        opened.close()


def main() -> None:
    """Draw all of them."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "demo"
        demo(made)
        for name in DRAWN:
            shutil.copyfile(made / name, IMAGES / name)
        look(made / "report.html", IMAGES / "report.png")


if __name__ == "__main__":
    main()
