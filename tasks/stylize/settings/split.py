"""From what a flow sets to the settings of the renderer's four ops, without anything that has no effect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from reel.compute import Compute
from reel.config import Config, parse
from reel.models.animatediff import AnimateDiff
from reel.prompt import EMBEDDING
from tasks.stylize.settings.codec import Decode, Encode
from tasks.stylize.settings.compute import resolve_dtype, resolve_memory_format
from tasks.stylize.settings.controls import Control, ControlSettings, Mask, live_controls
from tasks.stylize.settings.denoise import Denoise, check_kinds, check_motion_loras, is_guided
from tasks.stylize.settings.embed import Embed
from tasks.stylize.settings.reference import PicturePrompts
from tasks.stylize.settings.regions import Region, live_regions
from tasks.stylize.settings.sampling import Denoising, Sampling
from tasks.stylize.settings.sdxl import check_sdxl, check_source
from tasks.stylize.settings.sparse import Sparse, check_sparse
from tasks.stylize.settings.texts import Pair, check_texts, gathered
from tasks.stylize.settings.windows import FreeInit

if TYPE_CHECKING:
    from reel.schedule.compile import PromptTrack

T = TypeVar("T")
PerFrame = Mapping[str, list[float]]
"""A value for each frame by key: ``strength_schedule``, ``controls.pose.weight_schedule``."""


@dataclass(frozen=True)
class Stages:
    """Settings of encode, embed, denoise and decode; every difference between two renders is in as few as can be.

    Attributes:
        text_keys: for each pair of ``embed.texts`` the flow's settings that it comes from, for messages.
        vae_key: the setting that names the VAE, for messages.
    """

    encode: Encode
    embed: Embed
    denoise: Denoise
    decode: Decode
    text_keys: Sequence[Pair] = ()
    vae_key: str = "stylize.vae"


def split(
    sampling: Sampling,
    model: AnimateDiff,
    compute: Compute,
    *,
    prompt: str,
    negative_prompt: str = "",
    track: PromptTrack | None = None,
    seed: int = 0,
    controls: Mapping[str, ControlSettings] | None = None,
    sparse: Mapping[str, Sparse] | None = None,
    picture_prompts: PicturePrompts | None = None,
    regions: Mapping[str, Region] | None = None,
    per_frame: PerFrame | None = None,
    wordless: bool = False,
    from_noise: bool = False,
) -> Stages:
    """The four ops' settings for a render; dead controls, unread texts and what else has no effect are not in them.

    Args:
        track: prompts over the frames (`reel.schedule.compile.compile_prompts`) instead of ``prompt``; the negative
            prompt is in it already.
        per_frame: of ``strength_schedule``, ``guidance_schedule`` and ``controls.<name>.weight_schedule``.
        wordless: the prompt may be empty, because pictures say what is shown.
        from_noise: words alone say what is drawn; SDXL families can be drawn no other way.

    Raises:
        UserError: settings that do not go together, by the flow's keys.
    """
    values = per_frame or {}
    guided = is_guided(sampling.guidance_scale, values.get("guidance_schedule"))
    live = _live(controls or {}, values, guided)
    if not from_noise:
        check_source(model)
    _check_sdxl(model, sampling, live, regions)
    check_motion_loras(sampling.motion_loras, model)
    check_kinds(live, model)
    check_sparse(sparse or {}, model)
    texts = gathered(prompt, negative_prompt, track, regions or {}, guided, wordless)
    check_texts(texts, negative_prompt, sampling.embeddings)
    dtype, memory_format = resolve_dtype(compute), resolve_memory_format(compute)
    base = {"base": model.base, "base_config": model.base_config, "dtype": dtype}
    codec = {**base, "vae": sampling.vae or model.vae}
    embed = {
        **base,
        "architecture": model.architecture,
        "loras": [*model.loras, *sampling.loras],
        "embeddings": {name: sampling.embeddings[name] for name in _named(texts.pairs, sampling.embeddings)},
        "texts": texts.pairs,
        "clip_skip": sampling.clip_skip,
    }
    denoise = {
        **_effective(sampling, guided, bool(live)),
        "model": model.only(
            {control.kind for control in live.values()}, {one.kind for one in (sparse or {}).values()}
        ).model_copy(update={"vae": None}),
        "dtype": dtype,
        "memory_format": memory_format,
        "attention": compute.attention,
        "compile": compute.compile,
        "seed": seed,
        "strength_schedule": values.get("strength_schedule"),
        "guidance_schedule": values.get("guidance_schedule") if guided else None,
        "prompts": texts.prompts,
        "regions": texts.regions,
        "controls": live,
        "sparse": sparse or {},
        "picture_prompts": picture_prompts,
    }
    decode = {"chunk_size": sampling.decode_chunk_size, "tiling": sampling.decode_tiling}
    return Stages(
        parse(Encode, {**codec, "chunk_size": sampling.encode_chunk_size, "tiling": sampling.encode_tiling}),
        parse(Embed, embed),
        parse(Denoise, denoise),
        parse(Decode, {**codec, **decode, "memory_format": memory_format}),
        texts.keys,
        "stylize.vae" if sampling.vae is not None else "model.vae",
    )


def _check_sdxl(
    model: AnimateDiff,
    sampling: Sampling,
    live: Mapping[str, Control],
    regions: Mapping[str, Region] | None,
) -> None:
    """As `Denoise` checks itself, before other checks name other families' mistakes, and what it never sees."""
    given = ("ip_adapter", "loras", "motion_loras", "embeddings", "clip_skip")
    own = {f"stylize.{name}": getattr(sampling, name) for name in given}
    check_sdxl(model, {"control": live, "regions": live_regions(regions or {}), **own})


def _live(controls: Mapping[str, ControlSettings], per_frame: PerFrame, guided: bool) -> dict[str, Control]:
    """The controls that do something, as the op takes them."""
    weights = {name: per_frame.get(f"controls.{name}.weight_schedule") for name in controls}
    return live_controls({name: _control(name, each, weights[name], guided) for name, each in controls.items()})


def _control(name: str, given: ControlSettings, weights: list[float] | None, guided: bool) -> Control:
    """A control without the size of a mask that it does not have, and without a choice of branches where one runs."""
    own = {field: getattr(given, field) for field in ControlSettings.model_fields}
    effective = {
        "mask": Mask() if given.mask.region == "none" else given.mask,
        "control_on": given.control_on if guided else "both",
    }
    return parse(Control, {**own, **effective, "weight_schedule": weights}, f"controls.{name}")


def _effective(sampling: Sampling, guided: bool, controlled: bool) -> dict[str, Any]:
    """The settings of the denoising, those that have no effect at their default: no difference in them makes a key."""
    found = {name: getattr(sampling, name) for name in Denoising.model_fields}
    if sampling.composite == "none":
        found["composite_dilate"] = _default(sampling, "composite_dilate")
    if not guided:
        found |= {"guidance_scale": 1.0, "guidance_end": 1.0}
    if not controlled:
        found["control_every"] = 1
    if sampling.free_init.iterations == 1:
        found["free_init"] = FreeInit()
    elif sampling.free_init.method != "butterworth":
        order = _default(sampling.free_init, "order")
        found["free_init"] = sampling.free_init.model_copy(update={"order": order})
    return found


def _default(cfg: Config, name: str) -> Any:
    return type(cfg).model_fields[name].default


def _named(texts: Sequence[Pair], embeddings: Collection[str]) -> list[str]:
    """Names of the textual inversions that some texts use."""
    used = {found["name"] for pair in texts for text in pair for found in EMBEDDING.finditer(text)}
    return sorted(used.intersection(embeddings))


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
