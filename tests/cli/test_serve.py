"""A bundle served by the command line, and a simulated robot driven through a server."""

from __future__ import annotations

import contextlib
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.cli.main import USAGE_ERROR, main
from robot_stack.core.errors import ConfigError
from robot_stack.runtime.policy_client import PolicyServerError, RemoteDriver, ServerAddress
from robot_stack.runtime.served_policy import ServedPolicy
from robot_stack.runtime.slot_drivers import SlotDrivers
from robot_stack.runtime.token_file import read_token, token_at
from tests.runtime.serving import TOKEN, served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch").set_num_threads(1)
    from robot_stack.policies.saving import save_bundle
    from tests.policies.robots import STOCHASTIC, TWO_CAMERAS, policy

    path = tmp_path_factory.mktemp("bundles") / "policy"
    save_bundle(policy(replace(STOCHASTIC, inputs=TWO_CAMERAS)), path, provenance={}, metrics={})
    return path


@contextlib.contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and what it printed up to its token's place."""
    command = [sys.executable, "-m", "robot_stack.cli.main", "serve", *words, "--port", "0", "--device", "cpu"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, server.kill)
    watchdog.start()
    try:
        assert server.stdout is not None
        yield server, "".join(server.stdout.readline() for _ in range(4))
    finally:
        watchdog.cancel()
        server.kill()
        server.wait()


def test_a_bundle_is_served_and_acts_as_it_does_here_until_told_to_stop(bundle: Path, tmp_path: Path) -> None:
    from robot_stack.core.episode_driver import EpisodeDriver
    from robot_stack.policies.driver import PolicyDriver
    from robot_stack.policies.loading import load_bundle
    from tests.policies.robots import ARM, history

    file = tmp_path / "deep" / "token"
    with serving(str(bundle), "--token-file", str(file)) as (server, told):
        (url,) = re.findall(r"ws://\S+", told)
        assert str(file) in told and "test/arm" in told and "only this machine" in told
        token = file.read_text().strip()
        assert token not in told and len(token) > 20
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with pytest.raises(PolicyServerError, match="token"):
            RemoteDriver(ServerAddress(url, "not-the-token"), ARM)
        driver = RemoteDriver(ServerAddress(url, token), ARM)
        assert driver.remote.welcome.cameras == ("wrist", "front") and driver.history == 2
        here = EpisodeDriver(PolicyDriver(load_bundle(bundle).policy))
        for seed in (3, 4):
            here.reset("push the cube", seed)
            driver.reset("push the cube", seed)
            for step in range(2):
                expected, got = here.act(history(step)), driver.act(history(step))
                assert np.array_equal(expected.actions, got.actions), "a policy of noise and pictures, bit for bit"
                assert (expected.start_s, expected.period_s) == (got.start_s, got.period_s)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        with pytest.raises(PolicyServerError, match="gone"):
            driver.act(history(2))


def test_a_simulated_robot_is_driven_through_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("metaworld")
    from robot_stack.sim.experts import MetaWorldExpert
    from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld

    world = make_metaworld(MetaWorldConfig(task="reach"))
    embodiment = world.robot.embodiment
    world.close()
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    with served(ServedPolicy("the expert", SlotDrivers(lambda: MetaWorldExpert("reach")), embodiment)) as address:
        words = ["sim", "metaworld/reach", "--server", address.url, "--token-file", str(file), "--headless"]
        assert main(words) == 0
        assert f"the expert at {address.url}: success" in capsys.readouterr().out.replace("\n", " ")
        assert main([*words[:1], "metaworld/push", *words[2:]]) in (0, 1), "another task of the same robot"
        assert main([*words, "--policy", "somewhere"]) == USAGE_ERROR
        assert main([*words[:1], "panda/drawer", *words[2:]]) == USAGE_ERROR
        error = capsys.readouterr().err
        assert "another embodiment" in error and "panda" in error
        file.write_text("another-token")
        assert main(words) == USAGE_ERROR
        assert "does not take this token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"),
        (["{bundle}", "--port", "99999"], "port"),
        (["{bundle}", "--max-clients", "0"], "at least one"),
        (["{bundle}", "--host", "203.0.113.7"], "cannot listen"),
        (["{bundle}", "--token-file", "{empty}"], "one word"),
    ],
)
def test_bad_input_gets_one_clear_error(
    bundle: Path, words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    filled = [word.format(bundle=bundle, empty=empty) for word in words]
    more = [] if "--token-file" in words else ["--token-file", str(tmp_path / "token")]
    port = [] if "--port" in words else ["--port", "0"]
    assert main(["serve", *filled, *more, *port]) == USAGE_ERROR
    error = capsys.readouterr().err
    assert error.lstrip().startswith("error: ") and told in error


def test_tokens_in_files(tmp_path: Path) -> None:
    file = tmp_path / "a" / "token"
    made = token_at(file)
    assert token_at(file) == read_token(file) == made != token_at(tmp_path / "b")
    with pytest.raises(ConfigError, match="no token here"):
        read_token(tmp_path / "c")
    file.write_text("two words")
    with pytest.raises(ConfigError, match="one word"):
        token_at(file)
