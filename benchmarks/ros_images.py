"""Images over ROS 2: how many arrive and how late, with Fast DDS's defaults, with our profile, and compressed.

    python benchmarks/ros_images.py [--seconds 10] [--size 480x640] [--hz 30] [--kinds default profile ...]

A publisher and a subscriber in processes of their own, best effort with depth 2, as camera and policy nodes have them.
Latency is from before the message is filled to the callback, on one machine's monotonic clock. The image is noise over
a gradient, which JPEG compresses about as well as a real one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from robot_stack.deploy.ros_node import newest, set_stamp, stamp_ns
from robot_stack.hardware.ros.environment import PROFILES, ros_environment

KINDS = ("default", "profile", "jpeg", "jpeg_default")
TOPIC = "benchmark/image"
PATIENCE_S = 60.0


def picture(height: int, width: int) -> np.ndarray:
    """RGB, uint8."""
    rng = np.random.Generator(np.random.PCG64(0))
    rows = np.linspace(0, 200, height)[:, None, None] + np.linspace(0, 40, width)[None, :, None]
    return (rows + rng.normal(0, 3, (height, width, 3)) + np.array([0, 5, 10])).clip(0, 255).astype(np.uint8)


def publish(args: argparse.Namespace) -> None:
    import cv2
    import rclpy
    from sensor_msgs.msg import CompressedImage, Image

    rclpy.init()
    node = rclpy.create_node("publisher")
    compressed = args.role_kind.startswith("jpeg")
    publisher = node.create_publisher(CompressedImage if compressed else Image, TOPIC, newest(2))
    pixels = picture(args.height, args.width)
    began = time.monotonic()
    while publisher.get_subscription_count() == 0:
        if time.monotonic() - began > PATIENCE_S:
            raise SystemExit("no subscriber")
        time.sleep(0.05)
    time.sleep(0.5)  # both sides know each other
    count, spent = round(args.seconds * args.hz), []
    start = time.monotonic()
    for k in range(count):
        time.sleep(max(0.0, start + k / args.hz - time.monotonic()))
        stamp = time.monotonic_ns()
        if compressed:
            _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
            message = CompressedImage(format="jpeg", data=data.tobytes())
        else:
            message = Image(height=args.height, width=args.width, encoding="rgb8", step=3 * args.width)
            message.data.frombytes(pixels.tobytes())
        set_stamp(message.header, stamp)
        publisher.publish(message)
        spent.append((time.monotonic_ns() - stamp) * 1e-6)
    time.sleep(1.0)
    print(json.dumps({"sent": count, "publish_ms": float(np.median(spent)), "bytes": len(message.data)}))
    rclpy.try_shutdown()


def subscribe(args: argparse.Namespace) -> None:
    import rclpy
    from sensor_msgs.msg import CompressedImage, Image

    rclpy.init()
    node = rclpy.create_node("subscriber")
    late: list[float] = []

    def arrived(message: object) -> None:
        late.append((time.monotonic_ns() - stamp_ns(message.header)) * 1e-6)  # type: ignore[attr-defined]

    kind = CompressedImage if args.role_kind.startswith("jpeg") else Image
    node.create_subscription(kind, TOPIC, arrived, newest(2))
    done = Path(args.done)
    while not done.exists():
        rclpy.spin_once(node, timeout_sec=0.1)
    found = np.percentile(late, [50, 99, 100]).tolist() if late else [float("nan")] * 3
    print(json.dumps({"received": len(late), "latency_ms": found}))
    rclpy.try_shutdown()


def measure(kind: str, args: argparse.Namespace, domain: int) -> dict[str, object]:
    environment = ros_environment(domain=domain, discovery="localhost")
    if kind in ("default", "jpeg_default"):
        for name in PROFILES:
            environment.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / "done"
        size = f"--size={args.height}x{args.width}"
        words = [sys.executable, __file__, size, f"--seconds={args.seconds}", f"--hz={args.hz}", f"--done={done}"]
        words += [f"--role-kind={kind}"]
        listening = subprocess.Popen([*words, "--role=subscribe"], env=environment, stdout=subprocess.PIPE, text=True)
        sent = subprocess.run([*words, "--role=publish"], env=environment, stdout=subprocess.PIPE, text=True)
        done.touch()
        heard, _ = listening.communicate(timeout=PATIENCE_S)
    return json.loads(sent.stdout) | json.loads(heard)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="480x640")
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    for hidden in ("role", "role-kind", "done"):
        parser.add_argument(f"--{hidden}", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.height, args.width = map(int, args.size.split("x"))
    if args.role:
        (publish if args.role == "publish" else subscribe)(args)
        return 0
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{args.height} x {args.width} at {args.hz:g} Hz for {args.seconds:g} s; load before {load}")
    print(f"{'':14}{'sent':>6}{'arrived':>9}{'kB':>7}{'publish':>9}{'p50':>8}{'p99':>8}{'max':>8}  [ms]")
    for number, kind in enumerate(args.kinds):
        found = measure(kind, args, 150 + number)
        p50, p99, top = found["latency_ms"]  # type: ignore[misc]
        share = f"{found['received']}"
        print(
            f"{kind:14}{found['sent']:>6}{share:>9}{found['bytes'] / 1000:>7.0f}{found['publish_ms']:>9.2f}"  # type: ignore[operator]
            f"{p50:>8.2f}{p99:>8.2f}{top:>8.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
