"""What is written in a picture, and whether it has room."""

from __future__ import annotations


def words(figure):
    """All texts that are seen, of the figure, its axes and legends."""
    from matplotlib.text import Text

    figure.canvas.draw()
    beyond = set()  # labels of ticks outside the axes, which matplotlib makes and does not draw
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks() + axis.get_minor_ticks()
            beyond |= {tick.label1 for tick in ticks if not low - 1e-9 <= tick.get_loc() <= high + 1e-9}
    found = figure.findobj(lambda one: isinstance(one, Text) and one not in beyond)
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def check_room(figure):
    """Every text lies within the figure, and none on another."""
    page = figure.bbox
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
    for text, box in boxes:
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    for at, (text, box) in enumerate(boxes):
        for other, second in boxes[:at]:
            across = min(box.x1, second.x1) - max(box.x0, second.x0)
            along = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert min(across, along) < 1.5, f"{text!r} on {other!r}"
