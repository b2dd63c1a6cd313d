"""Any motion file becomes a motion: the reader is chosen by the file's ending and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_stack.retarget.motion import Motion, MotionError
from robot_stack.retarget.readers.arrays import load_npz, read_npy, read_npz
from robot_stack.retarget.readers.asf import read_amc
from robot_stack.retarget.readers.bvh import read_bvh
from robot_stack.retarget.readers.raw import NOTHING_SAID, RawMotion, ReadOptions, to_motion
from robot_stack.retarget.readers.robot import read_dataset, read_robot
from robot_stack.retarget.readers.smpl import is_smpl, read_smpl
from robot_stack.retarget.saved import is_result
from robot_stack.retarget.scene import Scene

ENDINGS = (".npy", ".npz", ".bvh", ".amc")
"""Files that are read; a folder is a dataset of robot motion."""

_WAYS_OUT = {
    ".pt": "torch.load it where you trust it, and save its joints: InterMimic's rows hold 52 world positions "
    "in columns 162 to 317: np.savez('m.npz', positions=rows[:, 162:318].reshape(-1, 52, 3), "
    "skeleton='smplh_humanoid', fps=30)",
    ".pkl": "load it where you trust it, and save plain arrays: np.savez('m.npz', positions=..., names=..., fps=...)",
    ".fbx": "export it as BVH, from Blender say (File, Export, Motion Capture)",
    ".c3d": "C3D holds markers, not joints: solve the skeleton in your mocap software and export BVH",
    ".asf": "give the AMC file; the ASF beside it is found",
    ".csv": "save an NPZ: np.savez('m.npz', positions=..., names=[...], fps=...)",
}


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of a file."""

    motion: Motion
    """In metres, z up."""

    scene: Scene | None = None
    """Of files that hold one (results of ours), at the motion's size."""


def read(path: str | Path, options: ReadOptions = NOTHING_SAID) -> Reading:
    """Read a motion of any known kind.

    Args:
        path: NPY, NPZ, BVH or AMC file, or the folder of a dataset.
        options: what the user knows of it.

    Raises:
        MotionError: if it cannot be read, or its kind is unknown; with the way out.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        return Reading(to_motion(read_dataset(file, options), options))
    if not file.is_file():
        raise MotionError("there is no such motion file", where=file)
    ending = file.suffix.lower()
    if ending == ".npz":
        return _npz(file, options)
    readers = {".npy": read_npy, ".bvh": read_bvh, ".amc": read_amc}
    if ending not in readers:
        raise MotionError(
            "this kind of file cannot be read",
            where=file,
            expected=f"one of {', '.join(ENDINGS)}, or the folder of a dataset",
            remedy=_WAYS_OUT.get(ending),
        )
    return Reading(to_motion(readers[ending](file, options), options))


def read_motion(path: str | Path, options: ReadOptions = NOTHING_SAID) -> Motion:
    """The motion alone; see :func:`read`."""
    return read(path, options).motion


def _npz(file: Path, options: ReadOptions) -> Reading:
    arrays = load_npz(file)
    raw: RawMotion
    if is_result(arrays):
        raw, scene = read_robot(file, arrays, options)
        return Reading(to_motion(raw, options), scene)
    raw = read_smpl(file, arrays, options) if is_smpl(arrays) else read_npz(file, arrays, options)
    return Reading(to_motion(raw, options))
