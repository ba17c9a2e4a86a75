"""Settings against the models' files, before any model loads: of those only the small JSON files are read.

A flow asks when the files are there and nothing has been computed; the ops ask again, for those who call them alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.prompt import EMBEDDING
from tasks.stylize import schedulers
from tasks.stylize.control import Control
from tasks.stylize.engine import models
from tasks.stylize.engine.controls import Keyframe, counts, keyframe_scale
from tasks.stylize.engine.embed import MOST_PIECES, pieces
from tasks.stylize.engine.loop import first_step
from tasks.stylize.engine.settings import Denoise, Embed
from tasks.stylize.engine.split import Stages
from tasks.stylize.files import read_json
from tasks.stylize.region import live_regions
from tasks.stylize.settings import Animatediff
from tasks.weights import fetch as weights

if TYPE_CHECKING:
    from reel.schedule.compile import PromptTrack


def check(cfg: Animatediff, stages: Stages, track: PromptTrack | None = None) -> None:
    """Whether a render's settings fit its models.

    Args:
        stages, track: what `split` made of ``cfg``, and the prompts per frame.

    Raises:
        UserError: the first setting that does not.
    """
    check_embed(stages.embed)
    check_denoise(stages.denoise)
    for key, text in _texts(cfg, track):
        _check_length(stages.embed, key, text)


def check_embed(cfg: Embed) -> None:
    """Raises: UserError when clip_skip leaves out every layer of the text encoder."""
    layers = int(read_json(_root(cfg) / "text_encoder" / "config.json")["num_hidden_layers"])
    if cfg.clip_skip is not None and cfg.clip_skip >= layers:
        raise UserError(
            f"stylize.clip_skip: {cfg.clip_skip} of the text encoder's {layers} layers would be left out; "
            f"at most {layers - 1} can be",
            fix=f"stylize.clip_skip={layers - 1 or 'null'}",
        )


def check_denoise(cfg: Denoise) -> None:
    """Raises: UserError for a scheduler that would sample wrongly, or layer weights of another number than layers."""
    schedulers.check(cfg.scheduler, models.scheduler_settings(cfg))
    _check_rounds(cfg)
    for name, control in cfg.live().items():
        _check_steps(cfg, name, control)
        if control.layer_weights is None:
            continue
        layers = _residuals(weights.path(cfg.model.controlnets[control.kind]))
        if len(control.layer_weights) != layers:
            raise UserError(
                f"controls.{name}.layer_weights: {len(control.layer_weights)} values, its ControlNet has {layers} "
                "residuals: the input's first, the middle's last",
                fix=f"{layers} values, or controls.{name}.soft=0.825 instead",
            )


def _check_rounds(cfg: Denoise) -> None:
    """Raises: UserError for rounds of FreeInit that would keep nothing of the one before."""
    whole = first_step(cfg.num_inference_steps, cfg.strength) == 0
    if cfg.free_init.iterations > 1 and whole and models.scheduler_settings(cfg).get("rescale_betas_zero_snr"):
        raise UserError(
            f"stylize.free_init: the noise of model {cfg.model.name} leaves nothing of a picture at its first step "
            "(zero terminal SNR), so a round begun again at strength 1 would keep nothing of the one before",
            fix="stylize.free_init.iterations=1, or stylize.strength below 1",
        )


def _check_steps(cfg: Denoise, name: str, control: Control) -> None:
    """Raises: UserError for a control that counts at no step of the denoising."""
    run = cfg.num_inference_steps - first_step(cfg.num_inference_steps, cfg.strength)
    steps = schedulers.evaluations(cfg.scheduler, run)
    keys = [Keyframe(key.at, key.scale, key.interpolate) for key in control.timestep_keyframes]
    if any(
        counts(step, steps, control.control_guidance_start, control.control_guidance_end)
        and keyframe_scale(keys, step / steps) > 0
        for step in range(steps)
    ):
        return
    raise UserError(
        f"controls.{name}: counts at none of the {steps} steps between control_guidance_start "
        f"({control.control_guidance_start:g}) and control_guidance_end ({control.control_guidance_end:g})",
        fix=f"reach over at least one step of {1 / steps:.3g}, or leave {name} out of `control`",
    )


def _residuals(folder: Path) -> int:
    """Residuals of a ControlNet: of its input, of every layer and downsampler, and of its middle block."""
    shape = read_json(folder / "config.json")
    blocks = len(shape["down_block_types"])
    return 1 + blocks * int(shape["layers_per_block"]) + (blocks - 1) + 1


def _texts(cfg: Animatediff, track: PromptTrack | None) -> Iterator[tuple[str, str]]:
    """(key, text) of everything that is encoded."""
    if track is None:
        yield "prompt", cfg.prompt
        if cfg.guided:
            yield "negative_prompt", cfg.negative_prompt
    else:
        for positive, negative in track.texts:
            yield from (("prompt_schedule", text) for text in (positive, negative if cfg.guided else ""))
    for name, region in live_regions(cfg.regions).items():
        yield f"regions.{name}.prompt", region.prompt


def _check_length(cfg: Embed, key: str, text: str) -> None:
    """Whether a text fits the most pieces. Textual inversions may be of any length, so those are seen by `embed`."""
    folder = _root(cfg) / "tokenizer"
    size = int(read_json(folder / "tokenizer_config.json")["model_max_length"]) - 2
    sure = MOST_PIECES * (size - size // 5)  # no token is shorter than a byte, no full piece than four fifths
    if len(text.encode()) <= sure or EMBEDDING.search(text):
        return  # without the seconds that the tokenizer's library takes to load
    from transformers import CLIPTokenizer

    try:
        pieces(CLIPTokenizer.from_pretrained(str(folder), local_files_only=True), text)
    except UserError as error:
        raise UserError(f"{key}: {error.message}", fix=f"shorten {key}") from None


def _root(cfg: Embed) -> Path:
    return weights.path(cfg.base_config or models.part_of(cfg.base, "text_encoder", "tokenizer"))
