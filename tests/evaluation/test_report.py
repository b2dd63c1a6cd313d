"""The report is one file that shows what it was given, and fetches nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from robot_stack.evaluation.figures import (
    Curve,
    Rate,
    curve_figure,
    frame_sheet,
    rate_figure,
    save_image,
    save_png,
    to_svg,
)
from robot_stack.evaluation.film import Film
from robot_stack.evaluation.report import Clip, Report, Section, Table, write_report

RATES = (Rate("diffusion <policy>", 48, 50, 0.865, 0.989), Rate("expert", 50, 50, 0.929, 1.0))


class Checker(HTMLParser):
    """Counts tags and checks that every tag that is opened is closed."""

    VOID = ("meta", "path", "use", "link", "br", "line")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path: Path) -> str:
    film = tmp_path / "film.mp4"
    with Film(film, 10.0) as out:
        for shade in range(0, 200, 20):
            out.add(np.full((32, 32, 3), shade, np.uint8))
    section = Section(
        title="pick & place",
        instruction="pick it up",
        rates=RATES,
        comparisons=("diffusion against expert: -4 points",),
        table=Table(("", "success"), (("diffusion <policy>", "48/50"),)),
        curves=(Curve("loss", np.arange(5), np.exp(-np.arange(5.0))),),
        clips=(Clip(film, "four starts"),),
        notes=("a note",),
    )
    report = Report("Title", "Summary", (section,), (("code", "abc"),))
    return write_report(report, tmp_path / "report.html").read_text()


def test_the_page_is_well_formed_and_holds_everything(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.seen["svg"] == 2 and checker.seen["video"] == 1 and checker.seen["table"] == 1
    for text in ("pick &amp; place", "diffusion &lt;policy&gt;", "48/50", "-4 points", "a note", "four starts", "abc"):
        assert text in page


def test_nothing_is_fetched(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert all(source.startswith(("data:", "#")) for source in checker.sources)
    assert not re.search(r"@import|url\((?!#|data:)", page)


def test_svg_takes_the_colour_of_the_page() -> None:
    svg = to_svg(rate_figure(RATES))
    assert svg.startswith("<svg") and "currentColor" in svg and "#010203" not in svg
    assert "48/50" in svg


def test_curves_with_zero_are_drawn_on_a_linear_axis() -> None:
    assert curve_figure([Curve("a", np.arange(3), np.array([1.0, 0.0, 2.0]))]).axes[0].get_yscale() == "linear"
    assert curve_figure([Curve("a", np.arange(3), np.array([1.0, 0.5, 2.0]))]).axes[0].get_yscale() == "log"


def test_pictures_are_readable(tmp_path: Path) -> None:
    import cv2

    save_png(rate_figure(RATES, title="t"), tmp_path / "rates.png")
    image = cv2.imread(str(tmp_path / "rates.png"))
    assert image is not None and image.mean() > 200
    frames = [np.full((8, 8, 3), (shade, 0, 0), np.uint8) for shade in range(100)]
    sheet = frame_sheet(frames, columns=5)
    assert sheet.shape == (8, 40, 3)
    save_image(sheet, tmp_path / "sheet.png")
    back = cv2.imread(str(tmp_path / "sheet.png"))
    assert back is not None and back[0, -1].tolist() == [0, 0, 99]
