"""Evaluations: right numbers, equal whatever the width, resumable, and pictures never lose one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import ConfigError, LockedError
from robot_stack.core.lock import FolderLock
from robot_stack.core.seeding import episode_seed
from robot_stack.evaluation.config import EvaluationConfig, VideoConfig
from robot_stack.evaluation.evaluate import Subject, evaluate
from robot_stack.evaluation.film import read_film
from robot_stack.evaluation.intervals import wilson
from robot_stack.evaluation.journal import EvaluationMismatchError
from robot_stack.evaluation.results import EvaluationResult, ResultFileError, load_result
from robot_stack.runtime.fleet import Fleet, FleetConfig, FleetError
from robot_stack.runtime.loop import run_episode
from robot_stack.runtime.makers import describe_maker
from robot_stack.runtime.progress import Progress
from tests.worlds import PointBatchDriver, PointConfig, PointExpert, make_point_expert, make_point_world

WORLD = partial(make_point_world, PointConfig())
TEN = EvaluationConfig(episodes=10)


def local(slots: int = 3) -> Fleet:
    return Fleet(FleetConfig(0, slots))


def subject(**kwargs) -> Subject:
    return Subject("point driver", PointBatchDriver(**kwargs), id="abc")


def facts(result: EvaluationResult) -> list[dict]:
    """What must not depend on how and where the evaluation ran."""
    return [{k: v for k, v in to_plain(e).items() if k != "wall_s"} for e in result.episodes]


def test_numbers_equal_those_of_plain_episodes(tmp_path: Path) -> None:
    result = evaluate(WORLD, Subject("expert", driver_maker=make_point_expert), TEN, fleet=local(), folder=tmp_path)
    world = WORLD()
    plain = [run_episode(world.robot, PointExpert(), world.task, seed=episode_seed("held_out", i)) for i in range(10)]
    assert result.seeds == tuple(r.seed for r in plain)
    assert [e.success_step for e in result.episodes] == [r.success_step for r in plain]
    assert [e.total_reward for e in result.episodes] == [r.total_reward for r in plain]
    assert result.success == wilson(sum(r.success for r in plain), 10)
    assert result.success.successes > 0
    steps = [r.success_step + 1 for r in plain if r.success_step is not None]
    assert result.steps_to_success and result.steps_to_success.mean == pytest.approx(np.mean(steps))
    assert result.total_reward and result.total_reward.std == pytest.approx(
        np.std([r.total_reward for r in plain], ddof=1)
    )
    assert [m.name for m in result.milestones] == ["halfway", "at_goal"]
    assert result.milestones[0].reached.successes == sum(r.milestones["halfway"] is not None for r in plain)
    assert result.milestones[1].reached.successes <= result.milestones[0].reached.successes
    assert result.timing.env_steps == sum(r.steps for r in plain) == result.timing.decisions
    assert result.task == "point-reach" and result.embodiment == "test/point" and result.horizon == 60
    assert result.embodiment_fingerprint == world.robot.embodiment.fingerprint()
    assert result.errors == 0 and result.provenance["robot_stack"]


@pytest.mark.parametrize("config", [FleetConfig(0, 1), FleetConfig(2, 3)], ids=["serial", "wide"])
def test_it_is_equal_however_wide(config: FleetConfig) -> None:
    with Fleet(config) as fleet:
        result = evaluate(WORLD, subject(), TEN, fleet=fleet)
    assert facts(result) == facts(evaluate(WORLD, subject(), TEN, fleet=local(5)))
    assert result.timing.batch_mean >= 1 and result.timing.latency_p99_s >= result.timing.latency_median_s > 0


def test_the_file_holds_everything_and_comes_back(tmp_path: Path) -> None:
    result = evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path)
    assert load_result(tmp_path / "evaluation.json") == result
    plain = json.loads((tmp_path / "evaluation.json").read_text())
    assert plain["success"]["successes"] == result.success.successes
    assert plain["episodes"][3]["seed"] == episode_seed("held_out", 3)
    assert plain["config"]["episodes"] == 10 and plain["provenance"]["libraries"]["numpy"]
    (tmp_path / "evaluation.json").write_text('{"format": "other"}')
    with pytest.raises(ResultFileError, match="not a readable evaluation"):
        load_result(tmp_path / "evaluation.json")
    with pytest.raises(ResultFileError):
        load_result(tmp_path / "nothing.json")


class Interrupted(Exception):
    pass


def stop_after(count: int):
    def listen(progress: Progress) -> None:
        if progress.attempts == count:
            raise Interrupted

    return listen


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    whole = evaluate(WORLD, subject(), TEN, fleet=local())
    with pytest.raises(Interrupted):
        evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path, progress=stop_after(4))
    journal = tmp_path / "episodes.jsonl"
    assert len(journal.read_text().splitlines()) == 1 + 4
    journal.write_bytes(journal.read_bytes()[:-25])  # killed while writing the fourth
    seen: list[Progress] = []
    result = evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path, progress=seen.append)
    assert len(seen) == 7 and seen[-1].done == seen[-1].total == 10
    assert facts(result) == facts(whole)
    assert result.timing.episodes == 7
    assert evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path, progress=seen.append) == result
    assert len(seen) == 7, "nothing was left to run"
    (tmp_path / "evaluation.json").unlink()
    rebuilt = evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path, progress=seen.append)
    assert len(seen) == 7 and facts(rebuilt) == facts(whole) and rebuilt.task == "point-reach"


def test_more_episodes_can_be_added_and_fewer_be_looked_at(tmp_path: Path) -> None:
    whole = evaluate(WORLD, subject(), TEN, fleet=local())
    seen: list[Progress] = []
    evaluate(WORLD, subject(), EvaluationConfig(4), fleet=local(), folder=tmp_path)
    more = evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path, progress=seen.append)
    assert facts(more) == facts(whole) and len(seen) == 6
    fewer = evaluate(WORLD, subject(), EvaluationConfig(5), fleet=local(), folder=tmp_path, progress=seen.append)
    assert facts(fewer) == facts(whole)[:5] and len(seen) == 6 and fewer.horizon == 60
    films = EvaluationConfig(5, videos=VideoConfig(1))
    late = evaluate(WORLD, subject(), films, fleet=local(), folder=tmp_path)
    assert late.videos_missing == "1 of 1: evaluated before without a film"


def test_a_folder_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    evaluate(WORLD, subject(), EvaluationConfig(2), fleet=local(), folder=tmp_path)
    other = Subject("point driver", PointBatchDriver(), id="def")
    with pytest.raises(EvaluationMismatchError, match=r"subject\.id: the folder has 'abc', asked for is 'def'"):
        evaluate(WORLD, other, EvaluationConfig(2), fleet=local(), folder=tmp_path)
    with pytest.raises(EvaluationMismatchError, match=r"episode\.horizon: the folder has None, asked for is 9"):
        evaluate(WORLD, subject(), EvaluationConfig(2, horizon=9), fleet=local(), folder=tmp_path)
    elsewhere = partial(make_point_world, PointConfig(horizon=9))
    with pytest.raises(EvaluationMismatchError, match=r"world\.arguments"):
        evaluate(elsewhere, subject(), EvaluationConfig(2), fleet=local(), folder=tmp_path)
    lines = (tmp_path / "episodes.jsonl").read_text().splitlines()
    (tmp_path / "episodes.jsonl").write_text("\n".join([lines[0], lines[1][:30], lines[2]]) + "\n")
    with pytest.raises(ResultFileError, match="line 2"):
        evaluate(WORLD, subject(), EvaluationConfig(2), fleet=local(), folder=tmp_path)


def test_two_processes_cannot_write_one_folder(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(LockedError):
        evaluate(WORLD, subject(), TEN, fleet=local(), folder=tmp_path)


def test_broken_episodes_count_as_failures_and_are_tried_again(tmp_path: Path) -> None:
    seeds = tuple(episode_seed("held_out", i) for i in (1, 6))
    broken = partial(make_point_world, PointConfig(bad_seeds=seeds))
    good = evaluate(WORLD, subject(), TEN, fleet=local())
    result = evaluate(broken, subject(), TEN, fleet=local(), folder=tmp_path)
    assert result.errors == 2 and result.success.trials == 10
    assert result.success.successes == sum(e.success for i, e in enumerate(good.episodes) if i not in (1, 6))
    assert "the point fell off the table" in result.episodes[1].error and result.episodes[1].ending == "error"
    seen: list[Progress] = []
    evaluate(broken, subject(), TEN, fleet=local(), folder=tmp_path, progress=seen.append)
    assert len(seen) == 2 and seen[-1].failures == 2 and "fell off" in seen[-1].message


def test_films_are_made_where_the_episodes_run(tmp_path: Path) -> None:
    config = EvaluationConfig(4, horizon=20, videos=VideoConfig(3, height=65, width=48, montage_columns=2))
    with Fleet(FleetConfig(1, 2)) as fleet:
        result = evaluate(WORLD, subject(), config, fleet=fleet, folder=tmp_path)
    films = [e.video for e in result.episodes]
    assert films[3] == "" and films[0] == "videos/0000_seed300000000.mp4" and result.videos_missing == ""
    for film, record in zip(films[:3], result.episodes, strict=False):
        frames = list(read_film(tmp_path / film))
        held = round(0.6 * 20)  # at 20 Hz every step is filmed
        assert len(frames) == 1 + record.steps + held
        assert frames[0].shape == (66, 48, 3)
        border = frames[-1][0].mean(0)
        assert (border[1] > border[0]) == record.success, "green after success, red after failure"
        red = (frames[0][..., 0] > 150) & (frames[0][..., 1] < 100)
        assert red.any(), "the point is in the picture"
    grid = next(read_film(tmp_path / result.montage))
    assert grid.shape == (66 * 2 + 4, 48 * 2 + 4, 3)
    assert sorted(p.name for p in (tmp_path / "videos").iterdir()) == sorted(
        [*(Path(f).name for f in films[:3]), "montage.mp4"]
    )


def test_a_camera_of_the_embodiment_is_filmed_as_it_is(tmp_path: Path) -> None:
    world = partial(make_point_world, PointConfig(camera=32, horizon=5))
    config = EvaluationConfig(1, videos=VideoConfig(1, "top"))
    result = evaluate(world, subject(), config, fleet=local(), folder=tmp_path)
    assert next(read_film(tmp_path / result.episodes[0].video)).shape == (32, 32, 3)
    wrong = EvaluationConfig(1, videos=VideoConfig(1, "nowhere", height=16, width=16))
    result = evaluate(world, subject(), wrong, fleet=local(), folder=tmp_path / "wrong")
    assert result.episodes[0].video, "a camera that the observation lacks is rendered"


def test_no_picture_does_not_mean_no_evaluation(tmp_path: Path) -> None:
    dark = partial(make_point_world, PointConfig(render_fails=True))
    config = EvaluationConfig(4, videos=VideoConfig(2))
    result = evaluate(dark, subject(), config, fleet=local(), folder=tmp_path)
    assert result.errors == 0 and result.success == evaluate(WORLD, subject(), config, fleet=local()).success
    assert "2 of 2" in result.videos_missing and "no graphics here" in result.videos_missing
    assert list((tmp_path / "videos").iterdir()) == []


def test_a_graphics_driver_that_kills_its_process_costs_films_only(tmp_path: Path) -> None:
    deadly = partial(make_point_world, PointConfig(render_kills=True))
    config = EvaluationConfig(5, videos=VideoConfig(1))
    with Fleet(FleetConfig(1, 3)) as fleet:
        result = evaluate(deadly, subject(), config, fleet=fleet, folder=tmp_path)
    assert result.errors == 0 and result.success == evaluate(WORLD, subject(), config, fleet=local()).success
    assert "1 of 1" in result.videos_missing and "died twice" in result.videos_missing


def test_a_policy_that_is_broken_ends_the_evaluation_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="x is too large"):
        evaluate(WORLD, subject(fail_state_above=-5), EvaluationConfig(20), fleet=local(), folder=tmp_path)


def test_bad_arguments_are_refused() -> None:
    for episodes, horizon in ((0, None), (3, 0)):
        with pytest.raises(ConfigError):
            EvaluationConfig(episodes, horizon=horizon)
    with pytest.raises(ConfigError):
        VideoConfig(count=-1)
    with pytest.raises(ConfigError, match="either a batch driver or a driver maker"):
        Subject("nobody")


def test_configs_are_plain_data() -> None:
    config = EvaluationConfig(7, "validation", 3, 90, videos=VideoConfig(2, "corner"))
    assert from_plain(EvaluationConfig, json.loads(json.dumps(to_plain(config)))) == config
    assert config.seed(2) == episode_seed("validation", 2, stream=3)
    described = describe_maker(partial(make_point_world, PointConfig(camera=8)))
    assert described["maker"] == "tests.worlds.make_point_world" and described["arguments"][0]["camera"] == 8
