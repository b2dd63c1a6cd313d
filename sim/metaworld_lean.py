"""Meta-World's per-step Python work, done with less of it and the same numbers bit for bit.

Meta-World looks bodies up by name, walks over contacts one Python object at a time and converts rotations through a
general library in every step. The mixin replaces those methods by ones that give equal results
(tests/sim/test_metaworld_raw.py compares whole trajectories with the untouched environment).
"""

from __future__ import annotations

import math
import types
from typing import Any

import numpy as np

from robot_stack.sim.render import import_mujoco


class Lean:
    """Mixed into a Meta-World environment class; ``data`` and ``model`` are the environment's."""

    data: Any
    model: Any
    _prev_obs: np.ndarray
    _get_pos_objects: Any
    _get_quat_objects: Any
    _get_pos_goal: Any

    def reset_mocap_welds(self) -> None:
        """As Meta-World's, which writes 11 numbers into rows that MuJoCo 3.5 made 12 wide."""
        mujoco = import_mujoco()
        for i in range(self.model.neq):
            if self.model.eq_type[i] == mujoco.mjtEq.mjEQ_WELD:
                self.model.eq_data[i, :11] = (0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5)

    @property
    def tcp_center(self) -> np.ndarray:
        """Midway between the finger tips [m]."""
        sites = self.data.site_xpos
        return (sites[self._lean["right_tip"]] + sites[self._lean["left_tip"]]) / 2.0

    def touching_object(self, object_geom_id: int) -> bool:
        """Whether both finger pads press on a geom."""
        contact, lean = self.data.contact, self._lean
        first, second = contact.geom1, contact.geom2
        mine = np.flatnonzero((first == object_geom_id) | (second == object_geom_id))
        left = right = 0.0
        for i in mine:
            pair = (first[i], second[i])
            if lean["left_pad"] in pair:
                left += self.data.efc_force[contact.efc_address[i]]
            if lean["right_pad"] in pair:
                right += self.data.efc_force[contact.efc_address[i]]
        return bool(left > 0 and right > 0)

    def _get_curr_obs_combined_no_goal(self) -> np.ndarray:
        bodies, lean = self.data.xpos, self._lean
        apart = bodies[lean["right_claw"]] - bodies[lean["left_claw"]]
        out = np.zeros(18)
        out[:3] = bodies[lean["hand"]]
        out[3] = min(max(math.sqrt(apart.dot(apart)) / 0.1, 0.0), 1.0)
        places, turns = self._get_pos_objects(), self._get_quat_objects()
        for i in range(len(places) // 3):
            out[4 + 7 * i : 7 + 7 * i] = places[3 * i : 3 * i + 3]
            out[7 + 7 * i : 11 + 7 * i] = turns[4 * i : 4 * i + 4]
        return out

    def _get_obs(self) -> np.ndarray:
        now = self._get_curr_obs_combined_no_goal()
        out = np.concatenate((now, self._prev_obs, self._get_pos_goal()))
        self._prev_obs = now
        return out

    @property
    def _lean(self) -> dict[str, int]:
        """Numbers of the bodies, sites and geoms that are read in every step."""
        found = self.__dict__.get("_lean_numbers")
        if found is None:
            m = self.model
            found = {
                "hand": m.body("hand").id,
                "right_claw": m.body("rightclaw").id,
                "left_claw": m.body("leftclaw").id,
                "right_tip": m.site("rightEndEffector").id,
                "left_tip": m.site("leftEndEffector").id,
                "left_pad": m.geom("leftpad_geom").id,
                "right_pad": m.geom("rightpad_geom").id,
            }
            self.__dict__["_lean_numbers"] = found
        return found


class _Rotation:
    """Stands in for SciPy's ``Rotation`` where only ``from_matrix(m).as_quat()`` is asked for."""

    def __init__(self, quaternion: np.ndarray) -> None:
        self._quaternion = quaternion

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> _Rotation:
        return cls(quaternion_xyzw(matrix))

    def as_quat(self) -> np.ndarray:
        return self._quaternion


def quaternion_xyzw(matrix: np.ndarray) -> np.ndarray:
    """The unit quaternion (x, y, z, w) of a rotation matrix, as ``scipy.spatial.transform.Rotation`` gives it.

    Shepperd's method: divide by the largest of the four components.

    Args:
        matrix: orthogonal, shape ``(3, 3)``.
    """
    m = matrix.tolist()
    trace = m[0][0] + m[1][1] + m[2][2]
    decision = (m[0][0], m[1][1], m[2][2], trace)
    i = decision.index(max(decision))
    if i < 3:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = [0.0] * 4
        q[i] = 1 - trace + 2 * m[i][i]
        q[j] = m[j][i] + m[i][j]
        q[k] = m[k][i] + m[i][k]
        q[3] = m[k][j] - m[j][k]
    else:
        q = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1], 1 + trace]
    norm = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return np.array([c / norm for c in q])


def lean_class(base: type) -> type:
    """A subclass of a Meta-World environment class that wastes less; ``base`` itself is left alone."""
    read = base._get_quat_objects  # type: ignore[attr-defined]
    quick = types.FunctionType(read.__code__, {**read.__globals__, "Rotation": _Rotation}, closure=read.__closure__)
    return type(base.__name__, (Lean, base), {"_get_quat_objects": quick})
