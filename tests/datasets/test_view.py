"""The page of a dataset: complete, self-contained, and true to the data."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_stack.core.errors import ConfigError, DatasetError
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.view import write_page
from robot_stack.datasets.view_page.films import contact_sheet, film, sheet_rows
from robot_stack.datasets.view_page.overview import duration, size
from robot_stack.datasets.view_page.plots import HEIGHT, WIDTH, line_plot, thinned
from tests.datasets.hand_written import CAMERA, image, tell, write_dataset

EPISODES = "meta/episodes/chunk-000/file-000.parquet"


class Page(HTMLParser):
    """Collects elements, and checks that every one that is opened is closed."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str, style: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and (not style or style in (a.get("class") or "").split())]


def noted(root: Path, notes: list[dict[str, object]]) -> Path:
    path = root / EPISODES
    table = pq.read_table(path)
    pq.write_table(table.append_column("provenance", pa.array([json.dumps(note) for note in notes])), path)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "demos"
    write_dataset(root, [12, 9, 20, 5, 7], video_size=32, tasks=('push <b>hard</b> & "fast"', "pull"))
    return noted(root, [{"driver": "expert", "seed": i, "success": i % 2 == 0} for i in range(5)])


def test_every_episode_has_a_card_that_says_what_is_known(made: Path, tmp_path: Path) -> None:
    text = write_page(made, tmp_path / "page.html", films=1).read_text()
    page = Page(text)
    cards = page.all("article", "card")
    assert [card["id"] for card in cards] == [f"episode-{i}" for i in range(5)]
    assert [card["data-outcome"] for card in cards] == ["success", "failure"] * 2 + ["success"]
    assert [card["data-length"] for card in cards] == ["12", "9", "20", "5", "7"]
    assert cards[0]["data-task"] == 'push <b>hard</b> & "fast"'
    assert "<b>hard</b>" not in text
    assert len(page.all("video")) == 1
    assert len(page.all("figure", "plot")) == 5 * 3
    assert "3 of 5 (60%)" in text


def test_the_page_asks_nobody_for_anything(made: Path, tmp_path: Path) -> None:
    text = write_page(made, tmp_path / "page.html", films=1).read_text()
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", text)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_thousands_of_episodes_are_sampled(tmp_path: Path) -> None:
    write_dataset(tmp_path / "many", [2] * 1500, episodes_per_file=1500, row_group=5000)
    path = write_page(tmp_path / "many", tmp_path / "page.html", most=7)
    page = Page(path.read_text())
    assert [card["data-index"] for card in page.all("article")] == ["0", "250", "500", "750", "999", "1249", "1499"]
    assert path.stat().st_size < 200_000
    strip = [a for a in page.all("a") if "height" in (a.get("style") or "")]
    assert 200 <= len(strip) <= 240
    assert "7 of 1500 episodes" in path.read_text()


def test_named_episodes_are_shown(made: Path, tmp_path: Path) -> None:
    page = Page(write_page(made, tmp_path / "page.html", episodes=(3, 1), films=0).read_text())
    assert [card["data-index"] for card in page.all("article")] == ["3", "1"]
    with pytest.raises(ConfigError, match="no such episode"):
        write_page(made, tmp_path / "page.html", episodes=(5,))


def test_an_empty_dataset_has_a_page(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "one", [3])
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 0, "total_frames": 0}))
    page = Page(write_page(root, tmp_path / "page.html").read_text())
    assert page.all("article") == []


def test_a_damaged_video_is_told_in_its_cards_only(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "demos", [6, 6, 6, 6], video_size=32)
    (root / f"videos/{CAMERA}/chunk-000/file-001.mp4").write_bytes(b"not a video")
    text = write_page(root, tmp_path / "page.html").read_text()
    assert len(Page(text).all("div", "broken")) == 2
    (root / "data/chunk-000/file-001.parquet").write_bytes(b"no rows")
    with pytest.raises(DatasetError, match=r"file-001\.parquet"):
        write_page(root, tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_lines_pass_through_the_values() -> None:
    values = np.stack([np.linspace(-1, 3, 50), np.full(50, np.nan)], axis=1)
    values[10, 0] = np.nan
    text = line_plot("state", "m", ("a", "b"), values, 2.5)
    paths = re.findall(r'<path class="c(\d)" d="([^"]*)"', text)
    assert [(colour, bool(d)) for colour, d in paths] == [("0", True), ("1", False)]
    points = [[float(n) for n in p.split()] for p in re.split("[ML]", paths[0][1])[1:]]
    assert paths[0][1].count("M") == 2
    steps = np.delete(np.arange(50), 10)
    np.testing.assert_allclose([x for x, _ in points], steps / 49 * WIDTH, atol=0.06)
    shown = 3 - (np.array([y for _, y in points]) - 4) / (HEIGHT - 8) * 4
    np.testing.assert_allclose(shown, values[steps, 0], atol=0.005)
    assert 'data-low="-1"' in text
    assert "[m]" in text


def test_thinning_keeps_every_peak() -> None:
    rng = np.random.default_rng(0)
    column = rng.normal(size=5000)
    column[[17, 3333]] = 50, -50
    steps, values = thinned(column, 200)
    assert len(steps) <= 202
    assert {17, 3333, 0, 4999} <= set(steps.tolist())
    np.testing.assert_array_equal(values, column[steps])
    np.testing.assert_array_equal(thinned(column[:100], 200)[1], column[:100])


def test_contact_sheets_and_films_show_the_frames() -> None:
    frames = np.stack([image(3, t, 64) for t in range(20)])
    assert sheet_rows(20).tolist() == [0, 3, 5, 8, 11, 14, 16, 19]
    assert sheet_rows(3).tolist() == [0, 1, 2]
    assert contact_sheet(frames[sheet_rows(20)]).startswith("data:image/jpeg;base64,")
    address = film(frames, 10.0)
    data = base64.b64decode(address.removeprefix("data:video/mp4;base64,"))
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [tell(frame) for frame in shown] == [(3, t) for t in range(20)]


def test_frames_on_the_sheet_are_those_of_the_episode(made: Path, tmp_path: Path) -> None:
    import cv2

    page = Page(write_page(made, tmp_path / "page.html", films=0).read_text())
    sources = [a["src"] or "" for a in page.all("img")]
    for index, source in enumerate(sources):
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), dtype=np.uint8)
        sheet = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]  # pyright: ignore[reportOptionalSubscript]
        with Dataset(made) as dataset:
            rows = sheet_rows(dataset.episode(index).length)
        step = (sheet.shape[1] + 2) / len(rows)
        for place, row in enumerate(rows):
            left = round(place * step)
            assert tell(sheet[:, left : left + sheet.shape[0]]) == (index, row)


def test_times_and_sizes_come_in_units_that_fit() -> None:
    assert [duration(hours) for hours in (2.5, 0.5, 0.001)] == ["2.5 h", "30.0 min", "4 s"]
    assert [size(n) for n in (512, 2_500, 3.2e6, 7e9, 1.5e12)] == ["512 B", "2.5 kB", "3.2 MB", "7.0 GB", "1.5 TB"]
