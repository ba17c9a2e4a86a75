"""Makes the project's sample picture, data/source/figure.png, which `animate` brings to life in the examples.

    python -m tasks.sprite.make_figure [OUT.png]

A figure as the embedded family draws it for its training: standing, pink hair, red top, blue skirt, green background.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reel.files import write_atomic
from tasks.sprite.attributes import Attributes
from tasks.sprite.drawing import draw_figure
from tasks.sprite.ltx.motions import Motion, moving_person
from tasks.sprite.skeleton import FRAME

FIGURE = Attributes(
    hair_length="long", hair_color="pink", top_color="red", bottom="skirt", bottom_color="blue", background="green",
    skin="light", eyes="open", mouth="closed",
)  # fmt: skip
SEED = 20261360  # a figure in the middle; of no clip that was trained on


def main(arguments: Sequence[str]) -> None:
    out = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "data" / "source" / "figure.png"
    person = moving_person(np.random.default_rng(SEED), Motion("stand_still"), 1, posed=0.0)[0]
    written = io.BytesIO()
    Image.fromarray(draw_figure(person, FIGURE, FRAME).rgb).save(written, "PNG")
    write_atomic(out, written.getvalue())
    print(f"{out}: {FRAME}x{FRAME} px")


if __name__ == "__main__":
    main(sys.argv[1:])
