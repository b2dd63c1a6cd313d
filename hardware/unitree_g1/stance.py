"""Gains with which a G1 stands in its home pose by its position loops alone, without anything that balances it."""

from __future__ import annotations

import numpy as np

_LEG = (350.0, 200.0, 200.0, 300.0, 300.0, 150.0), (10.0, 5.0, 5.0, 10.0, 5.0, 5.0)
_WAIST = (300.0, 300.0, 300.0), (5.0, 5.0, 5.0)
_ARM = (100.0, 100.0, 50.0, 50.0, 20.0, 20.0, 20.0), (3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0)

STANCE_STIFFNESS = np.array((*_LEG[0], *_LEG[0], *_WAIST[0], *_ARM[0], *_ARM[0]))
"""kp of every joint [N·m/rad]. Legs and waist as the standby of HybridRobotics' motion_tracking_controller; with the
softer gains of unitree_rl_gym, which its policy balances, the robot tips over within seconds."""

STANCE_DAMPING = np.array((*_LEG[1], *_LEG[1], *_WAIST[1], *_ARM[1], *_ARM[1]))
"""kd of every joint [N·m·s/rad]."""

STANCE_STIFFNESS.setflags(write=False)
STANCE_DAMPING.setflags(write=False)
