"""From the settings of a whole render to those of the engine's four ops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from reel.config import Config
from reel.prompt import EMBEDDING
from tasks.stylize.control import Control, Mask, live_controls
from tasks.stylize.engine.settings import Decode, Denoise, Embed, Encode, Prompts, RegionalText
from tasks.stylize.region import live_regions
from tasks.stylize.settings import Animatediff
from tasks.stylize.windows import FreeInit

if TYPE_CHECKING:
    from reel.schedule.compile import PromptTrack

T = TypeVar("T")


@dataclass(frozen=True)
class Stages:
    """Settings of encode, embed, denoise and decode; every difference between two renders is in as few as can be."""

    encode: Encode
    embed: Embed
    denoise: Denoise
    decode: Decode


def split(cfg: Animatediff, track: PromptTrack | None = None) -> Stages:
    """The four ops' settings for a render, without anything that has no effect: dead controls, unread prompts.

    Args:
        track: prompts per frame (`reel.schedule.compile.compile_prompts`); else the two prompts of ``cfg``.
    """
    cfg = effective(cfg)
    model = cfg.model
    texts = [(cfg.prompt, cfg.negative_prompt)] if track is None else list(track.texts)
    if not cfg.guided:
        texts = [(positive, "") for positive, _ in texts]  # a negative prompt that nobody reads is in no key
    controls, regions = cfg.controls, cfg.regions
    regional = {
        name: RegionalText(text=len(texts) + number, mask=region.mask, weight=region.weight)
        for number, (name, region) in enumerate(regions.items())
    }
    texts += [(region.prompt, "") for region in regions.values()]
    codec: dict[str, Any] = {
        "base": model.base,
        "base_config": model.base_config,
        "vae": cfg.vae or model.vae,
        "dtype": cfg.dtype,
    }
    embed = Embed(
        base=model.base,
        base_config=model.base_config,
        loras=[*model.loras, *cfg.loras],
        embeddings={name: cfg.embeddings[name] for name in sorted(_named(texts) & cfg.embeddings.keys())},
        texts=texts,
        clip_skip=cfg.clip_skip,
        dtype=cfg.dtype,
    )
    denoise = Denoise(
        model=model.only({control.kind for control in controls.values()}).model_copy(update={"vae": None}),
        loras=cfg.loras,
        motion_loras=cfg.motion_loras,
        dtype=cfg.dtype,
        memory_format=cfg.memory_format,
        attention=cfg.attention,
        compile=cfg.compile,
        seed=cfg.seed,
        scheduler=cfg.scheduler,
        num_inference_steps=cfg.num_inference_steps,
        strength=cfg.strength,
        strength_schedule=cfg.strength_schedule,
        composite=cfg.composite,
        composite_dilate=cfg.composite_dilate,
        guidance_scale=cfg.guidance_scale,
        guidance_schedule=cfg.guidance_schedule,
        guidance_end=cfg.guidance_end,
        control_every=cfg.control_every,
        first_block_cache=cfg.first_block_cache,
        prompts=None if track is None else _prompts(track),
        regions=regional,
        controls=dict(controls),
        windows=cfg.windows,
        free_init=cfg.free_init,
        ip_adapter=cfg.ip_adapter,
        frame_block=cfg.frame_block,
    )
    encode = Encode(**codec, chunk_size=cfg.encode_chunk_size, tiling=cfg.encode_tiling)
    decode = Decode(
        **codec, chunk_size=cfg.decode_chunk_size, tiling=cfg.decode_tiling, memory_format=cfg.memory_format
    )
    return Stages(encode, embed, denoise, decode)


def effective(cfg: Animatediff) -> Animatediff:
    """The settings with what has no effect left out or at its default: a difference in it makes no other key."""
    controls = {name: _control(control, cfg.guided) for name, control in live_controls(cfg.controls).items()}
    changes: dict[str, Any] = {"controls": controls, "regions": live_regions(cfg.regions)}
    if cfg.composite == "none":
        changes["composite_dilate"] = _default(cfg, "composite_dilate")
    if not cfg.guided:
        changes |= {"guidance_scale": 1.0, "guidance_schedule": None, "guidance_end": 1.0}
    if not controls:
        changes["control_every"] = 1
    if cfg.free_init.iterations == 1:
        changes["free_init"] = FreeInit()
    elif cfg.free_init.method != "butterworth":
        changes["free_init"] = cfg.free_init.model_copy(update={"order": _default(cfg.free_init, "order")})
    return cfg.model_copy(update=changes)


def _control(control: Control, guided: bool) -> Control:
    """A control without the size of a mask that it has not, and without a choice between branches where one runs."""
    mask = Mask() if control.mask.region == "none" else control.mask
    return control.model_copy(update={"mask": mask, "control_on": control.control_on if guided else "both"})


def _default(cfg: Config, name: str) -> Any:
    return type(cfg).model_fields[name].default


def _named(texts: Sequence[tuple[str, str]]) -> set[str]:
    """Names of the textual inversions in some texts."""
    return {found["name"] for pair in texts for text in pair for found in EMBEDDING.finditer(text)}


def _prompts(track: PromptTrack) -> Prompts:
    return Prompts(a=track.a.tolist(), b=track.b.tolist(), blend=track.blend.tolist(), mixing=track.mixing)


def at_frames(settings: Stages, frames: Sequence[int]) -> Stages:
    """The renderer's settings for some frames of the clip: every list that has a value per frame is picked from."""

    def some(values: list[T] | None) -> list[T] | None:
        return None if values is None else [values[index] for index in frames]

    denoise = settings.denoise
    controls = {
        name: control.model_copy(update={"weight_schedule": some(control.weight_schedule)})
        for name, control in denoise.controls.items()
    }
    prompts = denoise.prompts and denoise.prompts.model_copy(
        update={name: some(getattr(denoise.prompts, name)) for name in ("a", "b", "blend")}
    )
    update = {
        "controls": controls,
        "strength_schedule": some(denoise.strength_schedule),
        "guidance_schedule": some(denoise.guidance_schedule),
        "prompts": prompts,
    }
    return replace(settings, denoise=denoise.model_copy(update=update))
