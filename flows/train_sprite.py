"""train_sprite: draw the data and train the embedded family, stage by stage; killed runs resume.

rotoscope train-sprite
rotoscope train-sprite folder=/big/disk stages=[controls] controls.steps=4000
rotoscope train-sprite stages=[ltx] folder=/big/disk
"""

from __future__ import annotations

from typing import Annotated

from flows.edge.exits import keeping
from flows.flow import Flow
from flows.paths import Paths
from reel.config import OPERATIONAL
from reel.errors import UserError
from tasks.sprite.settings import LTX_STAGES, TrainSettings, check_settings
from tasks.tracking.settings import Tracking


class TrainSprite(TrainSettings):
    """Settings of `train_sprite`."""

    paths: Annotated[Paths, OPERATIONAL]
    tracking: Annotated[Tracking, OPERATIONAL]


def run(cfg: TrainSprite) -> dict[str, dict[str, float]]:
    """Run the chosen stages in order; losses, checks and contact sheets go to MLflow as they come.

    Returns:
        the figures of each stage's last check.

    Raises:
        UserError: see `check_settings`; or a stage that does not pass its gate.
    """
    check_settings(cfg)
    for key, place in {"folder": cfg.folder, "output": cfg.output, "ltx.output": cfg.ltx.output}.items():
        if place.exists() and not place.is_dir():
            raise UserError(f"{key}: {place} is not a folder", fix=f"choose another with {key}=")
    from tasks.sprite.ltx.training import LtxTraining
    from tasks.sprite.pipeline import Training
    from tasks.tracking.training import TrainingCurves

    curves = TrainingCurves(cfg.tracking, cfg.folder, cfg.result_part())
    halves, status = (Training(cfg, curves.report), LtxTraining(cfg, curves.report)), "KILLED"
    try:
        with keeping(lambda: f"finished stages, and the last checkpoint of the one that was trained, in {cfg.folder}"):
            figures = {name: halves[name in LTX_STAGES].run(name) for name in cfg.chosen}
        status = "FINISHED"
        return figures
    except Exception:
        status = "FAILED"
        raise
    finally:
        curves.close(status)


FLOW = Flow("train_sprite", TrainSprite, run, about=__doc__)
