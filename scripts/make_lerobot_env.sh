#!/usr/bin/env bash
# Builds a virtual environment that holds LeRobot 0.4.4, the newest LeRobot Python 3.11 can install.
#
# robot_stack never imports LeRobot. This environment exists only so that `make check-lerobot` and the
# dataset benchmarks can run LeRobot itself beside robot_stack and compare values, frames and speed.
#
# usage: scripts/make_lerobot_env.sh [FOLDER]        (default .venv-lerobot; reused when complete)
#
# LeRobot 0.4.4 pins torch < 2.11. A plain `pip install lerobot` therefore fetches a torch build of several
# gigabytes with CUDA. This script installs the torch that robot_stack itself is tested with, and LeRobot
# without its own pins. Two consequences are repaired below, both in torchvision and neither in LeRobot:
#   1. torchvision from PyPI is compiled against CUDA. On a CPU torch its operators do not load and its
#      _meta_registrations module raises at import, so that module is emptied.
#   2. LeRobot's "pyav" video backend needs torchvision.io.VideoReader, which left torchvision after 0.25.
#      torchvision 0.25.0 is therefore placed in FOLDER/tv025 and put on sys.path first by a .pth file.
set -euo pipefail

folder="${1:-.venv-lerobot}"
python="${PYTHON:-python3}"
torch_version="${TORCH_VERSION:-2.13.0}"
recipe="lerobot-0.4.4 torch-${torch_version} recipe-3"
marker="${folder}/recipe.txt"

if [[ -f "${marker}" && "$(cat "${marker}")" == "${recipe}" ]]; then
    echo "LeRobot environment ready: ${folder}"
    exit 0
fi

echo "Building the LeRobot environment in ${folder} (a few minutes, about 2 GB)"
mkdir -p "${folder}"
[[ -x "${folder}/bin/python" ]] || "${python}" -m venv "${folder}"
pip=("${folder}/bin/python" -m pip install --quiet --disable-pip-version-check)

"${pip[@]}" "torch==${torch_version}"
"${pip[@]}" --no-deps "torchvision==0.28.0"
"${pip[@]}" "torch==${torch_version}" \
    "datasets>=4,<5" "diffusers>=0.27.2,<0.36" "huggingface-hub>=0.34.2,<0.36.0" \
    "accelerate>=1.10,<2" "einops>=0.8,<0.9" "opencv-python-headless>=4.9,<4.13" "av>=15,<16" \
    "jsonlines>=4,<5" "packaging>=24.2,<26" "draccus==0.10.0" "gymnasium>=1.1.1,<2" "deepdiff>=7.0.1,<9" \
    "imageio[ffmpeg]>=2.34,<3" "termcolor>=2.4,<4" "rerun-sdk>=0.24,<0.27" "wandb>=0.24,<0.25" \
    "pyserial>=3.5,<4"
"${pip[@]}" --no-deps "lerobot==0.4.4"
"${pip[@]}" --no-deps --upgrade --target "${folder}/tv025" "torchvision==0.25.0"

site="$("${folder}/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
: > "${site}/torchvision/_meta_registrations.py"
: > "${folder}/tv025/torchvision/_meta_registrations.py"
absolute_tv025="$(cd "${folder}/tv025" && pwd)"
echo "import sys; sys.path.insert(0, r'${absolute_tv025}')" > "${site}/older_torchvision.pth"

"${folder}/bin/python" - <<'PY'
import torchvision.io
from lerobot.datasets.lerobot_dataset import CODEBASE_VERSION, LeRobotDataset
assert CODEBASE_VERSION == "v3.0", CODEBASE_VERSION
assert hasattr(torchvision.io, "VideoReader"), "the pyav backend of LeRobot needs torchvision.io.VideoReader"
PY
echo "${recipe}" > "${marker}"
echo "LeRobot environment ready: ${folder}"
