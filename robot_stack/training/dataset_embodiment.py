"""Whose demonstrations a dataset holds."""

from __future__ import annotations

import re

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import DatasetError
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.checks.embodiment import read_embodiment
from robot_stack.datasets.metadata import FeatureInfo
from robot_stack.datasets.reader import Dataset

STATE, ACTION, IMAGE = "observation.state", "action", "observation.images."


def embodiment_of(dataset: Dataset) -> Embodiment:
    """The embodiment a dataset was recorded with, or, if it does not tell, one made up from its features.

    Datasets recorded by LeRobot do not tell. What is made up has no units, no limits and no model hash, is called
    ``lerobot/<robot type>``, and has one state field ``state`` and one action field ``action``.

    Raises:
        DatasetError: if the file is damaged, or the features do not fit it.
    """
    told = read_embodiment(dataset.root)
    if told is None:
        return _made_up(dataset)
    for name, size in ((STATE, told.state_size), (ACTION, told.action_size)):
        feature = dataset.features.get(name)
        if size and (feature is None or feature.shape != (size,)):
            raise DatasetError(
                f"the feature {name!r} does not fit the dataset's embodiment",
                where=dataset.root,
                got=None if feature is None else feature.shape,
                expected=f"({size},)",
                remedy="restore meta/embodiment.json and meta/info.json from one copy",
            )
    return told


def _made_up(dataset: Dataset) -> Embodiment:
    features = dataset.features
    if ACTION not in features:
        raise DatasetError("the dataset has no actions", where=dataset.root, got=sorted(features), expected=ACTION)
    cameras = []
    for name in dataset.camera_names:
        height, width, _ = features[name].image_shape
        cameras.append(CameraSpec(_identifier(name.removeprefix(IMAGE)), height, width))
    return Embodiment(
        name=f"lerobot/{dataset.info.robot_type or 'unknown'}",
        state=(_field("state", features[STATE]),) if STATE in features else (),
        action=(_field("action", features[ACTION]),),
        cameras=tuple(cameras),
        control_hz=dataset.fps,
    )


def _field(name: str, feature: FeatureInfo) -> Field:
    names = feature.names if isinstance(feature.names, list) and len(feature.names) == feature.shape[0] else []
    return Field(name, feature.shape[0], "1", tuple(str(n) for n in names))


def _identifier(text: str) -> str:
    return re.sub(r"[\s/.]", "_", text)
