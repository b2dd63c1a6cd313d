"""Franka Emika Panda with the Franka Hand.

Sources. Kinematics and the limits of position, velocity, acceleration and torque: Franka's FCI documentation ("Robot
and interface specifications": limits for Panda, Denavit-Hartenberg parameters), as also in ``franka_description``.
Masses, centres of mass, inertias: Gaz et al., RA-L 2019, by way of ``franka_description``. Joint armature and damping:
Menagerie's ``franka_emika_panda``. Joints have the names of the robot's URDF without its prefix ``panda_``.

The site ``hand`` is Franka's hand tool centre point: z points out of the hand, y along the fingers' way (from the right
finger to the left one), x completes them; at home, z is down and x forward.
"""

from __future__ import annotations

from robot_stack.sim.robots.spec import EndEffectorSpec, GripperSpec, JointSpec, RobotSpec

ARMATURE = 0.1
"""Reflected rotor inertia of every arm joint [kg·m²]: Menagerie's figure; Franka publishes none."""

FINGER_ARMATURE = 0.1
"""Reflected mass of the hand's drive at each finger [kg]: an estimate, chosen with the gains below."""

EFFORT = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
"""Largest torques [N·m]: FCI documentation."""

VELOCITY = (2.1750, 2.1750, 2.1750, 2.1750, 2.6100, 2.6100, 2.6100)
"""Largest velocities [rad/s]: FCI documentation."""

ACCELERATION = (15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0)
"""Largest accelerations [rad/s²]: FCI documentation."""

STIFFNESS = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0)
"""kp of the joint impedance controller [N·m/rad]: ``franka-interface`` (iamlab-cmu)."""

DAMPING = (50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0)
"""kd of that controller [N·m·s/rad]: ``franka-interface``."""

HOME = (0.0, -0.785398163, 0.0, -2.35619449, 0.0, 1.57079633, 0.785398163)
"""Franka's "ready" pose [rad]: 0, -π/4, 0, -3π/4, 0, π/2, π/4."""

FINGER_EFFORT = 70.0
"""Continuous grasping force of the Franka Hand [N]: its data sheet."""

FINGER_VELOCITY = 0.2
"""[m/s]: ``franka_description``."""

FINGER_ACCELERATION = 10.0
"""[m/s²]: not published; full speed within a control step."""

FINGER_STIFFNESS = 2000.0
"""kp of each finger [N/m]: a 4 cm cube is held with 40 N. The real hand controls its force; this is our stand-in."""

FINGER_DAMPING = 200.0
"""kd of each finger [N·s/m]: closes with a time constant of 0.1 s, as the hand does."""

_JOINTS = tuple(
    JointSpec(f"joint{i + 1}", EFFORT[i], VELOCITY[i], STIFFNESS[i], DAMPING[i], HOME[i], ACCELERATION[i])
    for i in range(7)
)
_FINGERS = tuple(
    JointSpec(
        f"finger_joint{i}",
        FINGER_EFFORT,
        FINGER_VELOCITY,
        FINGER_STIFFNESS,
        FINGER_DAMPING,
        0.04,
        FINGER_ACCELERATION,
    )
    for i in (1, 2)
)

PANDA = RobotSpec(
    name="panda",
    title="Franka Emika Panda with the Franka Hand",
    mjcf="panda/panda.xml",
    base="fixed",
    root="link0",
    joints=_JOINTS,
    grippers=(GripperSpec("gripper", _FINGERS, (0.0, 0.0), (0.04, 0.04)),),
    end_effectors=(EndEffectorSpec("hand", "hand", tuple(j.name for j in _JOINTS), "gripper"),),
    cameras=("wrist",),
    doubts=(
        "Franka publishes neither rotor inertias nor friction: armature and damping are Menagerie's round figures.",
        "Link inertias were identified on one arm (Gaz et al. 2019); link 1's are implausibly large about x and y.",
        "The hand controls force and speed by itself; the fingers' position loop is a stand-in.",
    ),
)
"""The Panda; joints 1 to 7 from the base, then the fingers."""
