#!/usr/bin/env bash
# Pillow 13.0.0 and the FFmpeg of imageio-ffmpeg 0.8.1: a slow fade as animated WebP.
#
# Guess: what is saved with save_all=True, or written by libwebp_anim, has the frames that were given; lossy means a little
# noise.
# Seen 2026-11-29: libwebp's animation encoder, which both use, joins a frame with the picture before where the two
# resemble each other. 48 frames that brighten from 100 to 147, one level a frame, come out as 10 pictures of Pillow and 8
# of libwebp_anim at their default settings: the fade jumps by 5 to 7 levels and stands still in between. The length is
# right. Lossless keeps all 48, and so does FFmpeg's
# `libwebp` without `_anim`, which encodes each frame by itself.
#
#     bash findings/webp_fades.sh            # exit 0: as described; 1: it has changed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pillow==13.0.0 imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess

import imageio_ffmpeg
import numpy as np
import PIL
from PIL import Image

SIDE, COUNT, MS = 64, 48, 125
fade = [np.full((SIDE, SIDE, 3), 100 + k, np.uint8) for k in range(COUNT)]


def shown(name):
    """The pictures of a file: (mean level, milliseconds) each."""
    picture, found = Image.open(name), []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        found.append((round(float(np.asarray(picture.convert("RGB")).mean())), picture.info["duration"]))
    return found


def pillow(**settings):
    pictures = [Image.fromarray(frame) for frame in fade]
    pictures[0].save("p.webp", save_all=True, append_images=pictures[1:], duration=MS, **settings)
    return shown("p.webp")


def ffmpeg(*encoder):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{SIDE}x{SIDE}", "-r", "8", "-i", "-", *encoder, "-f", "webp", "f.webp"]  # fmt: skip
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in fade), check=True)
    return shown("f.webp")


print("Pillow", PIL.__version__, "· imageio-ffmpeg", imageio_ffmpeg.__version__)
found = {
    "Pillow, default": pillow(),
    "Pillow, lossless": pillow(lossless=True),
    "FFmpeg libwebp_anim": ffmpeg("-c:v", "libwebp_anim"),
    "FFmpeg libwebp": ffmpeg("-c:v", "libwebp"),
}
for name, pictures in found.items():
    levels = [level for level, _ in pictures]
    print(f"{name:20} {len(pictures)} of {COUNT} frames, {sum(ms for _, ms in pictures)} ms, levels {levels[:8]} ...")
raise SystemExit([len(pictures) for pictures in found.values()] != [10, 48, 8, 48])
PYTHON
