"""Video: moving pictures are encoded and decoded with every codec that robot_stack writes, and compared."""

from __future__ import annotations

import io
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

CODECS = {"libsvtav1": "AV1, what datasets are recorded with", "libx264": "H.264, which every browser plays"}
_FRAMES = 12
_SIZE = 96
_LARGEST_ERROR = 12.0


def check(ground: Ground) -> list[Check]:
    """Encode and decode with each codec."""
    return [_check_codec(codec, use, ground) for codec, use in CODECS.items()]


def _check_codec(codec: str, use: str, ground: Ground) -> Check:
    answer = ask("video", [codec], timeout_s=ground.timeout_s)
    name = f"video {codec}"
    if answer.ok and answer.value["mean_error"] <= _LARGEST_ERROR:
        found = f"{_FRAMES} frames encoded and decoded, mean error {answer.value['mean_error']:.1f} of 255 ({use})"
        return Check(name, "works", found, details=answer.value)
    if answer.ok:
        found = f"the decoded pictures are wrong by {answer.value['mean_error']:.0f} of 255"
    elif answer.missing:
        found = f"the package {answer.missing!r} is not installed"
    else:
        found = f"{answer.trouble} ({use})"
    remedy = "pip install --force-reinstall av: its wheels bring FFmpeg with this codec"
    return Check(name, "broken", found, remedy, answer.value)


def probe(arguments: list[str]) -> dict[str, Any]:
    """Encode a moving gradient to memory and decode it again."""
    import av
    import numpy as np

    (codec,) = arguments
    frames = [_picture(np, i) for i in range(_FRAMES)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = _SIZE, _SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        decoder = container.streams.video[0].codec_context.name
    if len(decoded) != _FRAMES:
        return {"error": f"{len(decoded)} frames came back, {_FRAMES} went in"}
    error = np.abs(np.stack(decoded).astype(int) - np.stack(frames).astype(int)).mean()
    return {"mean_error": float(error), "decoder": decoder, "bytes": buffer.getbuffer().nbytes, "av": av.__version__}


def _picture(np: Any, index: int) -> Any:
    ramp = np.linspace(0, 200, _SIZE, dtype=np.uint8)
    rows, columns = np.meshgrid(ramp, ramp, indexing="ij")
    picture = np.stack([rows, columns, np.full_like(rows, 90)], axis=2)
    picture[30:60, 5 * index : 5 * index + 30] = (230, 230, 60)
    return np.ascontiguousarray(picture)
