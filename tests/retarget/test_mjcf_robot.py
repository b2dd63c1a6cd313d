"""What is told of a robot from its MJCF alone."""

from __future__ import annotations

from pathlib import Path

from robot_stack.retarget.body import Body
from robot_stack.retarget.mjcf_robot import spec_from_mjcf
from robot_stack.retarget.scene import Scene

ROBOT = """
<mujoco model="boxes">
  <worldbody>
    <body name="trunk" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.1 0.1 0.2"/>
      <body name="shank" pos="0 0 -0.3">
        <joint name="knee" axis="0 1 0"/>
        <geom type="box" size="0.05 0.05 0.2"/>
        <body name="cross" pos="0 0 -0.2">
          <joint name="roll" axis="1 0 0"/>
          <geom type="sphere" size="0.01"/>
          <body name="foot">
            <joint name="pitch" axis="0 1 0"/>
            <geom type="box" size="0.1 0.05 0.05"/>
          </body>
        </body>
      </body>
      <body name="arm" pos="0.06 0 -0.3">
        <joint name="shoulder" axis="0 1 0"/>
        <geom type="box" size="0.03 0.03 0.1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def test_links_of_one_chain_that_overlap_at_home_are_not_kept_apart(tmp_path: Path) -> None:
    """Hulls about an ankle overlap whatever the joints do; an arm in a shank can be taken out of it."""
    (tmp_path / "boxes.xml").write_text(ROBOT)
    spec = spec_from_mjcf(tmp_path / "boxes.xml")
    assert spec.overlaps == (("shank", "foot"),)
    assert any("shank and foot" in doubt for doubt in spec.doubts)
    body = Body(spec, Scene(ground=False))
    sweep = body.sweep(body.home()[None])
    names = [tuple(body.model.body(int(body.model.geom_bodyid[g])).name for g in pair) for pair in sweep.geoms]
    assert {pair for pair, depth in zip(names, sweep.distance, strict=True) if depth < 0} == {("shank", "arm")}
