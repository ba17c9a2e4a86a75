"""Settings against the clip and against the models' files, before any model loads.

Of the models only the small JSON files and the headers of weight files are read. A flow asks before anything is
computed; the ops ask again, for those who call them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.prompt import EMBEDDING
from tasks.networks.files import read_json
from tasks.stylize.engine import schedulers
from tasks.stylize.engine.control_weights import is_active, keyframe_scale
from tasks.stylize.engine.embed import MOST_PIECES, pieces
from tasks.stylize.engine.loop import first_step
from tasks.stylize.job.weight_files import check_files
from tasks.stylize.models.networks import scheduler_settings
from tasks.stylize.models.sources import text_base
from tasks.stylize.settings.controls import Control
from tasks.stylize.settings.denoise import Denoise
from tasks.stylize.settings.embed import Embed
from tasks.stylize.settings.reference import read_picture
from tasks.stylize.settings.sparse import Sparse
from tasks.stylize.settings.split import Stages
from tasks.stylize.settings.windows import Windows
from tasks.weights import fetch as weights


def check_clip(cfg: Denoise, width: int, height: int, count: int) -> None:
    """Whether a clip can be rendered with these settings. Needs none of the models' files.

    Args:
        width, height: px of a frame.
        count: frames.

    Raises:
        UserError: naming the nearest size, or what to set for this length; a reference picture that cannot be read.
    """
    check_size(cfg.model, width, height)
    check_window(cfg.windows.context_length, count, cfg.model.motion_window, f"model {cfg.model.name}, its catalogue")
    check_loop(cfg.windows, count)
    per_frame: dict[str, Sequence[object] | None] = {
        "strength_schedule": cfg.strength_schedule,
        "guidance_schedule": cfg.guidance_schedule,
        "prompts": cfg.prompts.a if cfg.prompts else None,
        "picture_prompts": cfg.picture_prompts.a if cfg.picture_prompts else None,
    }
    per_frame |= {f"controls.{name}.weight_schedule": control.weight_schedule for name, control in cfg.live().items()}
    per_frame |= {f"sparse.{name}.strength": one.strength for name, one in cfg.sparse.items()}
    check_lengths(per_frame, count)
    for name, one in cfg.sparse.items():
        if one.at[-1] >= count:
            raise UserError(f"sparse.{name}.at: frame {one.at[-1]} of {count} (they count from 0)")
    if cfg.ip_adapter is not None:
        read_picture(cfg.ip_adapter)


def check_from_noise(cfg: Denoise) -> None:
    """Whether a clip can be drawn from noise alone with these settings.

    Raises:
        UserError: one that keeps something of a source.
    """
    kept = {
        "strength": (cfg.strength, 1.0),
        "strength_schedule": (cfg.strength_schedule, None),
        "composite": (cfg.composite, "none"),
    }
    for name, (value, only) in kept.items():
        if value != only:
            key = name if name == "strength_schedule" else f"stylize.{name}"
            raise UserError(
                f"{key}: there is no source of which anything could be kept",
                fix=f"{key}={'null' if only is None else only}",
            )


def check_size(model: AnimateDiff, width: int, height: int, *, extracted: bool = True) -> None:
    """Whether the family can draw frames of a size (px).

    Args:
        extracted: from a source; else the size itself is set.

    Raises:
        UserError: naming the nearest size.
    """
    unit = model.multiple_of
    if width % unit or height % unit:
        near = [max(unit, side // unit * unit) for side in (width, height)]
        raise UserError(
            f"model {model.name}: sides must be multiples of {unit} px: {width}x{height} -> {near[0]}x{near[1]}",
            fix=f"extract.multiple_of={unit}" if extracted else f"width={near[0]} height={near[1]}",
        )


def check_lengths(per_frame: Mapping[str, Sequence[object] | None], count: int) -> None:
    """Whether everything that has a value per frame has one for each.

    Raises:
        UserError: the first list of another length.
    """
    for key, values in per_frame.items():
        if values is not None and len(values) != count:
            raise UserError(f"{key}: {len(values)} values for {count} frames", fix="one value for each frame")


def check_window(context_length: int, count: int, window: int, says: str) -> None:
    """Whether the motion module can see windows of this length; clips within its window are one window anyway.

    Raises:
        UserError: a window that is too long for it.
    """
    if count > window and context_length > window:
        raise UserError(
            f"stylize.windows.context_length: {context_length} frames are over the motion module's window ({says} says "
            f"{window}), and the clip has {count}",
            fix=f"stylize.windows.context_length={window}",
        )


def check_loop(windows: Windows, count: int) -> None:
    """Whether a clip that shall be a closed loop is long enough for one: its windows run over the joint.

    Raises:
        UserError: it is shorter than a window.
    """
    if windows.closed_loop and count < windows.context_length:
        overlap = f" stylize.windows.context_overlap={count // 4}" if windows.context_overlap >= count else ""
        raise UserError(
            f"stylize.windows.closed_loop: a loop of {count} frames is shorter than a window of "
            f"stylize.windows.context_length={windows.context_length}",
            fix=f"stylize.windows.context_length={count}{overlap}, or a longer clip",
        )


def check_models(stages: Stages) -> None:
    """Whether a render's settings fit its models, whose files must be there.

    Raises:
        UserError: the first setting that does not.
    """
    check_files(stages)
    check_embed(stages.embed)
    check_denoise(stages.denoise)
    for keys, texts in zip(stages.text_keys, stages.embed.texts, strict=True):
        for key, text in zip(keys, texts, strict=True):
            _check_length(_text_root(stages.embed) / "tokenizer", key, text)


def check_embed(cfg: Embed) -> None:
    """Raises: UserError when clip_skip leaves out every layer of the text encoder."""
    layers = int(read_json(_text_root(cfg) / "text_encoder" / "config.json")["num_hidden_layers"])
    if cfg.clip_skip is not None and cfg.clip_skip >= layers:
        raise UserError(
            f"stylize.clip_skip: {cfg.clip_skip} of the text encoder's {layers} layers would be left out; "
            f"at most {layers - 1} can be",
            fix=f"stylize.clip_skip={layers - 1 or 'null'}",
        )


def check_denoise(cfg: Denoise) -> None:
    """Raises: UserError for a scheduler that would sample wrongly, or a control that does not fit its ControlNet."""
    family = scheduler_settings(cfg.model)
    schedulers.check(cfg.scheduler, family)
    start = first_step(cfg.num_inference_steps, cfg.strength)
    if cfg.free_init.iterations > 1 and start == 0 and family.get("rescale_betas_zero_snr"):
        raise UserError(
            f"stylize.free_init: the noise of model {cfg.model.name} leaves nothing of a picture at its first step "
            "(zero terminal SNR), so a round begun again at strength 1 would keep nothing of the one before",
            fix="stylize.free_init.iterations=1, or stylize.strength below 1",
        )
    steps = schedulers.evaluations(cfg.scheduler, cfg.num_inference_steps - start)
    for name, control in cfg.live().items():
        _check_active(name, control, steps)
        if control.layer_weights is not None:
            _check_layers(name, control.layer_weights, weights.path(cfg.model.controlnets[control.kind]))
    for one in cfg.sparse.values():
        _check_sparsectrl(one, cfg)


def _check_active(name: str, control: Control, steps: int) -> None:
    """Raises: UserError for a control that counts at no step of the denoising."""
    start, end, keyframes = control.control_guidance_start, control.control_guidance_end, control.keyframes()
    if any(is_active(step, steps, start, end) and keyframe_scale(keyframes, step / steps) > 0 for step in range(steps)):
        return
    raise UserError(
        f"controls.{name}: counts at none of the {steps} steps between control_guidance_start ({start:g}) and "
        f"control_guidance_end ({end:g})",
        fix=f"reach over at least one step of {1 / steps:.3g}, or leave {name} out of `control`",
    )


def reads_latents(one: Sparse, cfg: Denoise) -> bool:
    """Whether a SparseCtrl, whose files are there, reads the VAE's latents of pictures, as RGB ones do, or pixels."""
    shape = read_json(weights.path(cfg.model.sparsectrls[one.kind]) / "config.json")
    return bool(shape.get("use_simplified_condition_embedding", True))


def _check_sparsectrl(one: Sparse, cfg: Denoise) -> None:
    """Raises: UserError for a net of another kind, or whose motion modules see fewer frames at a time."""
    where, source = f"model.sparsectrls.{one.kind}", cfg.model.sparsectrls[one.kind]
    shape = read_json(weights.path(source) / "config.json")
    name = shape.get("_class_name", "SparseControlNetModel")
    if name != "SparseControlNetModel":
        raise UserError(f"{where}: {source.label} is a {name}, not a SparseControlNetModel", fix="rotoscope models")
    most = int(shape.get("motion_max_seq_length", 32))
    length = min(cfg.windows.context_length, len(one.strength or ()))
    if length > most:
        raise UserError(
            f"stylize.windows.context_length: {length} frames are over the {most} that {source.label} sees at a time",
            fix=f"stylize.windows.context_length={most}",
        )


def _check_layers(name: str, layer_weights: Sequence[float], folder: Path) -> None:
    """Raises: UserError for layer weights of another number than the ControlNet in a folder has residuals."""
    layers = _residuals(folder)
    if len(layer_weights) != layers:
        raise UserError(
            f"controls.{name}.layer_weights: {len(layer_weights)} values, its ControlNet has {layers} residuals: the "
            "input's first, the middle's last",
            fix=f"{layers} values, or controls.{name}.soft=0.825 instead",
        )


def _residuals(folder: Path) -> int:
    """Residuals of a ControlNet: of its input, of every layer and downsampler, and of its middle block."""
    shape = read_json(folder / "config.json")
    blocks = len(shape["down_block_types"])
    return 1 + blocks * int(shape["layers_per_block"]) + (blocks - 1) + 1


def _check_length(folder: Path, key: str, text: str) -> None:
    """Whether a text fits the most pieces. Textual inversions may be of any length, so those are seen by `embed`.

    Args:
        folder: the tokenizer's.
    """
    size = int(read_json(folder / "tokenizer_config.json")["model_max_length"]) - 2
    sure = MOST_PIECES * (size - size // 5)  # no token is shorter than a byte, no full piece than four fifths
    if len(text.encode()) <= sure or EMBEDDING.search(text):
        return  # without the seconds that the tokenizer's library takes to load
    from transformers import CLIPTokenizer

    try:
        pieces(CLIPTokenizer.from_pretrained(str(folder), local_files_only=True), text)
    except UserError as error:
        raise UserError(f"{key}: {error.message}", fix=f"shorten {key}") from None


def _text_root(cfg: Embed) -> Path:
    """Folder of the text encoders' and the tokenizers' settings."""
    return weights.path(cfg.base_config or text_base(cfg))
