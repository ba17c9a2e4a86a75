"""From the settings of a whole render to those of the engine's four ops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from tasks.stylize.engine.settings import Decode, Denoise, Embed, Encode, EngineControl, Prompts, Windows
from tasks.stylize.settings import Animatediff, FreeNoise

if TYPE_CHECKING:
    from reel.schedule.compile import PromptTrack


@dataclass(frozen=True)
class Stages:
    """Settings of encode, embed, denoise and decode; every difference between two renders is in as few as can be."""

    encode: Encode
    embed: Embed
    denoise: Denoise
    decode: Decode


def split(
    cfg: Animatediff,
    *,
    controls: Mapping[str, EngineControl] | None = None,
    windows: Windows | None = None,
    track: PromptTrack | None = None,
) -> Stages:
    """The four ops' settings for a render.

    Args:
        cfg: the render as `stylize` has it; canonical ones (`tasks.stylize.settings.canonical`) share most.
        controls: the controls with what only the engine knows (schedules, masks); else those of ``cfg``.
        windows: for long clips; else what ``cfg.free_noise`` asks for, else the defaults.
        track: prompts per frame (`reel.schedule.compile.compile_prompts`); else the two prompts of ``cfg``.
    """
    model = cfg.model
    texts = [(cfg.prompt, cfg.negative_prompt)] if track is None else list(track.texts)
    if cfg.guidance_scale <= 1:
        texts = [(positive, "") for positive, _ in texts]  # a negative prompt that nobody reads is in no key
    own = controls or {name: EngineControl(**control.model_dump()) for name, control in cfg.controls.items()}
    kinds = {control.kind for control in own.values() if control.weight > 0}
    codec: dict[str, Any] = {
        "base": model.base,
        "base_config": model.base_config,
        "vae": cfg.vae or model.vae,
        "dtype": cfg.dtype,
        "chunk_size": 1 if cfg.vae_slicing else cfg.decode_chunk_size,
        "tiling": cfg.vae_tiling,
    }
    embed = Embed(
        base=model.base,
        base_config=model.base_config,
        loras=[*model.loras, *cfg.loras],
        texts=texts,
        clip_skip=cfg.clip_skip,
        dtype=cfg.dtype,
    )
    denoise = Denoise(
        model=model.only(kinds).model_copy(update={"vae": None}),
        loras=cfg.loras,
        motion_loras=cfg.motion_loras,
        dtype=cfg.dtype,
        seed=cfg.seed,
        scheduler=cfg.scheduler,
        num_inference_steps=cfg.num_inference_steps,
        strength=cfg.strength,
        guidance_scale=cfg.guidance_scale,
        prompts=None if track is None else _prompts(track),
        controls=dict(own),
        windows=windows or windows_of(cfg.free_noise),
        ip_adapter=cfg.ip_adapter,
    )
    return Stages(Encode(**codec), embed, denoise, Decode(**codec))


def windows_of(asked: FreeNoise | None) -> Windows:
    """FreeNoise's windows in the engine's words.

    Raises:
        UserError: a weighting that the engine does not have.
    """
    if asked is None:
        return Windows()
    if asked.weighting_scheme == "delayed_reverse_sawtooth":
        raise UserError(
            "free_noise.weighting_scheme: delayed_reverse_sawtooth is FreeNoise's own",
            fix="pyramid, flat or overlap-linear",
        )
    return Windows(
        context_length=asked.context_length,
        context_overlap=asked.context_length - asked.context_stride,
        fuse_method=asked.weighting_scheme,
    )


def _prompts(track: PromptTrack) -> Prompts:
    return Prompts(a=track.a.tolist(), b=track.b.tolist(), blend=track.blend.tolist(), mixing=track.mixing)
