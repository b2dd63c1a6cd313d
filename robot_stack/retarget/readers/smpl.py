"""SMPL, SMPL-H and SMPL-X pose parameters (AMASS and alike) with the user's own body model.

The model's file is read, never shipped: its licence is between its user and the Max Planck Society. Joints at rest are
``J_regressor · (v_template + shapedirs · betas)`` (Loper et al., SMPL, 2015, equation 10); the pose's rotation vectors
turn them along the kinematic tree; ``trans`` moves all. Skin, hands' PCA and expressions play no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.readers.arrays import load_npz, number_of, objects_of
from robot_stack.retarget.readers.raw import RawMotion, ReadOptions
from robot_stack.retarget.readers.turning import from_vectors
from robot_stack.retarget.skeletons import SKELETONS

_KINDS = {24: "smpl", 52: "smplh", 55: "smplx"}
_BODY = {"root_orient": 0, "global_orient": 0, "pose_body": 1, "body_pose": 1}
_PARTS = {
    "smpl": _BODY,
    "smplh": _BODY
    | dict.fromkeys(("pose_hand", "left_hand_pose", "pose_lhand", "lhand_pose"), 22)
    | dict.fromkeys(("right_hand_pose", "pose_rhand", "rhand_pose"), 37),
    "smplx": _BODY
    | {"pose_jaw": 22, "jaw_pose": 22, "pose_eye": 23, "leye_pose": 23, "reye_pose": 24}
    | dict.fromkeys(("pose_hand", "left_hand_pose", "pose_lhand", "lhand_pose"), 25)
    | dict.fromkeys(("right_hand_pose", "pose_rhand", "rhand_pose"), 40),
}
"""The first joint that an array turns, by the names of AMASS (``pose_body`` …) and of smplx (``body_pose`` …)."""

_NO_HANDS = "the file has no hands: they stay at rest"

_SHAPES, _FEW_SHAPES = 300, 10
"""Directions of shape in SMPL-X's file before those of expression: 300 of 400, or 10 of 20 in its first release."""

CONVERSION = (
    "python -c \"import pickle, numpy as np; m = pickle.load(open('MODEL.pkl', 'rb'), encoding='latin1'); "
    "dense = lambda a: np.asarray(a.toarray() if hasattr(a, 'toarray') else a, dtype=float); "
    "np.savez('MODEL.npz', **{k: dense(m[k]) for k in ('J_regressor', 'v_template', 'shapedirs', 'kintree_table')})\""
)
"""How a pickled model becomes one that is read here (chumpy has to be installed for the oldest ones)."""


@dataclass(frozen=True, eq=False)
class BodyModel:
    """What forward kinematics needs of a body model."""

    joints: np.ndarray
    """Joints of the mean shape at rest, shape ``(joints, 3)`` [m]."""

    joint_directions: np.ndarray
    """How they move with the shape, shape ``(joints, 3, betas)`` [m]."""

    parents: tuple[int, ...]
    """Of each joint; -1 for the root."""

    heights: tuple[np.ndarray, np.ndarray]
    """Heights of the skin's points at rest ``(points,)``, and how they move with the shape ``(points, betas)`` [m]."""

    def rest(self, betas: np.ndarray) -> np.ndarray:
        """Joints of a shape at rest, shape ``(joints, 3)`` [m]."""
        count = min(len(betas), self.joint_directions.shape[2])
        return self.joints + self.joint_directions[:, :, :count] @ betas[:count]

    def stature(self, betas: np.ndarray) -> float:
        """Height of the skin at rest, which stands along y [m]."""
        mean, directions = self.heights
        count = min(len(betas), directions.shape[1])
        points = mean + directions[:, :count] @ betas[:count]
        return float(points.max() - points.min())

    def places(self, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Joints in the world, shape ``(frames, joints, 3)`` [m].

        Args:
            poses: rotation vectors, shape ``(frames, joints, 3)`` [rad].
            trans: shape ``(frames, 3)`` [m].
            betas: shape, ``(betas,)``.
        """
        rest = self.rest(betas)
        local = from_vectors(poses)
        places, turns = np.empty_like(poses), np.empty_like(local)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                places[:, joint], turns[:, joint] = rest[joint], local[:, joint]
                continue
            turns[:, joint] = turns[:, parent] @ local[:, joint]
            places[:, joint] = places[:, parent] + turns[:, parent] @ (rest[joint] - rest[parent])
        return places + trans[:, None]


def read_body_model(path: Path) -> BodyModel:
    """The model of an NPZ file with ``J_regressor``, ``v_template``, ``shapedirs``, ``kintree_table``.

    Raises:
        MotionError: if it is a pickle, or lacks an array.
    """
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise MotionError(
            "a pickled body model is not loaded, since a pickle may run any code",
            where=path,
            expected="the same model as NPZ; SMPL-X and SMPL-H (AMASS) are offered as NPZ, too",
            remedy=CONVERSION,
        )
    arrays = load_npz(path)
    missing = [n for n in ("J_regressor", "v_template", "shapedirs", "kintree_table") if n not in arrays]
    if missing:
        raise MotionError(
            "a body model lacks arrays",
            where=path,
            got=", ".join(arrays),
            expected=f"also {', '.join(missing)}",
            remedy=CONVERSION,
        )
    regressor, template, directions = (
        np.asarray(arrays[n], dtype=np.float64) for n in ("J_regressor", "v_template", "shapedirs")
    )
    if regressor.ndim != 2 or template.shape != (regressor.shape[1], 3) or directions.shape[:2] != template.shape:
        raise MotionError(
            "the arrays of a body model do not fit one another",
            where=path,
            got=(regressor.shape, template.shape, directions.shape),
            expected="(joints, points), (points, 3), (points, 3, betas)",
        )
    joints = len(regressor)
    if _KINDS.get(joints) == "smplx":
        directions = directions[:, :, : _SHAPES if directions.shape[2] > _SHAPES else _FEW_SHAPES]
    parents = tuple(
        int(p) if 0 <= int(p) < joints else -1 for p in arrays["kintree_table"][0].astype(np.int64)[:joints]
    )
    return BodyModel(
        joints=regressor @ template,
        joint_directions=np.einsum("jv,vkb->jkb", regressor, directions),
        parents=parents,
        heights=(template[:, 1], directions[:, 1]),
    )


def is_smpl(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether an NPZ holds pose parameters."""
    return ("poses" in arrays or "root_orient" in arrays or "global_orient" in arrays) and (
        "trans" in arrays or "transl" in arrays
    )


def read_smpl(path: Path, arrays: Mapping[str, np.ndarray], options: ReadOptions) -> RawMotion:
    """Joints of a file of pose parameters.

    Raises:
        MotionError: without a body model, or if model and parameters do not fit.
    """
    if options.body_model is None:
        raise MotionError(
            "pose parameters need their body model to become joint positions",
            where=path,
            remedy="--body-model MODEL.npz: SMPL-H from https://mano.is.tue.mpg.de (the AMASS download), SMPL-X from "
            "https://smpl-x.is.tue.mpg.de; or save world joint positions as NPZ",
        )
    model = read_body_model(options.body_model)
    joints = len(model.parents)
    if joints not in _KINDS:
        raise MotionError("a body model has an unknown number of joints", where=options.body_model, got=joints)
    trans = np.asarray(arrays["trans" if "trans" in arrays else "transl"], dtype=np.float64)
    poses, notes = _poses(arrays, _KINDS[joints], joints, path)
    if trans.shape != (len(poses), 3):
        raise MotionError("trans and poses have different lengths", where=path, got=(trans.shape, poses.shape))
    betas = np.asarray(arrays.get("betas", np.zeros(0)), dtype=np.float64)
    betas = betas[0] if betas.ndim == 2 else betas
    if not np.isfinite(betas).all():
        raise MotionError("the shape (betas) is not finite", where=path)
    skeleton = SKELETONS[_KINDS[joints]]
    return RawMotion(
        names=skeleton.joints,
        positions=model.places(poses, trans, betas),
        keypoint_names=skeleton.keypoints,
        source=str(path),
        fps=number_of(arrays, ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate"), path),
        unit="m",
        height_m=model.stature(betas),
        objects=objects_of(arrays, len(poses), path),
        notes=notes,
    )


def _poses(arrays: Mapping[str, np.ndarray], kind: str, joints: int, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rotation vectors ``(frames, joints, 3)`` [rad]; what the file lacks stays at rest."""
    if "poses" not in arrays:
        return _from_parts(arrays, kind, joints, path)
    flat = np.asarray(arrays["poses"], dtype=np.float64)
    flat = flat.reshape(len(flat), -1)
    have = flat.shape[1]
    if have == 3 * joints:
        return flat.reshape(-1, joints, 3), ()
    if have == 66:
        out = np.zeros((len(flat), joints, 3))
        out[:, :22] = flat.reshape(-1, 22, 3)
        return out, (_NO_HANDS,)
    fitting = {3 * n: name for n, name in _KINDS.items()}.get(have)
    raise MotionError(
        "pose parameters and body model do not fit",
        where=path,
        got=f"{have} numbers a frame" + (f", those of {fitting}" if fitting else ""),
        expected=f"{3 * joints}, for the {joints} joints of this {kind} model",
        remedy="give the body model that the parameters were made for",
    )


def _from_parts(
    arrays: Mapping[str, np.ndarray], kind: str, joints: int, path: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """As :func:`_poses`, from arrays by part of the body."""
    root = arrays["root_orient" if "root_orient" in arrays else "global_orient"]
    out, notes, hands = np.zeros((len(root), joints, 3)), [], False
    for name, first in _PARTS[kind].items():
        if name not in arrays:
            continue
        part = np.asarray(arrays[name], dtype=np.float64)
        part = part.reshape(len(part), -1)
        hand = "hand" in name
        if hand and part.shape[1] not in (45, 90):
            notes.append(f"{name} has {part.shape[1]} numbers a frame, principal components: the hand stays at rest")
            continue
        if len(part) != len(root) or part.shape[1] % 3 or part.shape[1] > 90:
            raise MotionError(
                f"pose parameters do not fit one another: {name}",
                where=path,
                got=part.shape,
                expected=f"{len(root)} frames of rotation vectors",
            )
        hands |= hand
        # SMPL's body has two joints more than those of SMPL-H and SMPL-X: its stiff hands.
        count = min(part.shape[1] // 3, 21 if first == 1 and kind != "smpl" else joints - first)
        out[:, first : first + count] = part[:, : 3 * count].reshape(-1, count, 3)
    if kind != "smpl" and not hands and not notes:
        notes.append(_NO_HANDS)
    return out, tuple(notes)
