"""train_sprite: draw the data and train the embedded family `sprite`, stage by stage; killed runs resume.

rotoscope train-sprite
python -m flows.train_sprite folder=/big/disk stages=[controls] controls.steps=4000
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flows import entry
from flows.settings import Paths
from reel.errors import UserError
from tasks.sprite.settings import STAGES, TrainSettings


class TrainSprite(TrainSettings):
    """Settings of `train_sprite`."""

    paths: Paths


def run(cfg: TrainSprite) -> dict[str, dict[str, float]]:
    """Run the chosen stages in order.

    Returns:
        the figures of each stage's last check.

    Raises:
        UserError: an unknown stage, or a stage that does not pass its gate.
    """
    unknown = [name for name in cfg.stages if name not in STAGES]
    if unknown:
        raise UserError(f"stages: unknown {', '.join(unknown)}; there are {', '.join(STAGES)}")
    from tasks.sprite.pipeline import Training

    training = Training(cfg)
    return {name: training.run(name) for name in STAGES if name in cfg.stages}


def main(argv: Sequence[str] | None = None) -> int:
    """The command `rotoscope train-sprite`."""
    return entry.run_flow("train_sprite", TrainSprite, run, argv)


if __name__ == "__main__":
    sys.exit(main())
