"""Camera moves: AnimateDiff's camera LoRAs by name, each with its weight (conf/camera/)."""

from __future__ import annotations

from collections.abc import Mapping

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource
from tasks.stylize.settings.sampling import Sampling


def live_moves(camera: Mapping[str, LoraSource]) -> dict[str, LoraSource]:
    """The moves that do something, by name in alphabetical order, which is that in which they are applied."""
    return {name: camera[name] for name in sorted(camera) if camera[name].weight}


def with_moves(sampling: Sampling, camera: Mapping[str, LoraSource], model: AnimateDiff) -> Sampling:
    """How to sample with the camera's moves, which come after other motion LoRAs.

    Raises:
        UserError: a family whose motion module they are not made for.
    """
    moves = live_moves(camera)
    if moves and not model.camera:
        told = f"{' and '.join(moves)} {'is' if len(moves) == 1 else 'are'}"
        raise UserError(
            f"camera: {told} made for AnimateDiff's v2 motion module, model {model.name} has another",
            fix="model=sd15_v2, or camera=[]",
        )
    return sampling.model_copy(update={"motion_loras": [*sampling.motion_loras, *moves.values()]})
