"""What an `animate` will do, checked whole before anything is computed: files, names, ranges, prompt, model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flows.animate.keys import held, named
from flows.animate.settings import Animate
from flows.animate.stages import AnimatePlan, Passes
from flows.edge.job import current
from flows.render import finishing, measures, schedules
from flows.render.film_facts import with_facts
from flows.render.settings import Rendering
from flows.render.words import read_of_motion
from reel.config import parse
from reel.errors import UserError
from reel.models.animator import Animator
from reel.models.stock import StockFamily
from reel.store import Store
from tasks.animate import checks, memory
from tasks.animate.catalogue import RECIPES
from tasks.animate.preflight import check_models
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key, Sampling, Sound, Upsample, is_guided
from tasks.animate.shown import ShownKeys
from tasks.stylize.settings.compute import check_compute, resolve_device
from tasks.weights.fetch import fetch, present

log = logging.getLogger(__name__)
FREE = ("Apache-2.0", "MIT", "BSD")
"""Licences that ask nothing of who uses a model's pictures."""


def plan(cfg: Animate, store: Store) -> AnimatePlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    check_compute(cfg.compute)
    checks.sampling(cfg.animate, cfg.model)
    refuse_steps_of_a_list(cfg.animate, cfg.model)
    schedules.refuse_both(current().overrides)
    if cfg.prompt_schedule is None:
        checks.prompt(cfg.prompt, cfg.model)
    checks.rate(cfg.fps, cfg.model)
    length = checks.frames(cfg.frames, cfg.model, cfg.snap, cfg.animate.extra_frames)
    made = checks.rendered(length, cfg.animate.extra_frames, cfg.model)
    compiled = schedules.compiled(schedules.slots(cfg), length, cfg.fps, cfg.seed, origins=current().origins)
    found, width, height = held(cfg, named(cfg, compiled, length), length)
    keys = [one.key for one in found]
    passes = passes_of(cfg, keys, length, made, width, height, texts(cfg, compiled, length, made))
    todo = AnimatePlan(
        held=found,
        passes=passes,
        shown=ShownKeys(frames=length, fps=cfg.fps, width=width, height=height, keys=keys),
        assembly=with_facts(
            cfg.assemble,
            cfg.embed_facts,
            prompt=cfg.prompt_schedule or cfg.prompt,
            seed=cfg.seed,
            model=cfg.model.name,
        ),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, _subject(cfg)),
    )
    tell_licence("model", cfg.model, store)
    fetch([source for op, chosen in [*todo.ops, *todo.measures.ops] for source in op.models(chosen)])
    if passes.small is not None:
        check_models(passes.small, cfg.model)
    check_models(passes.denoise, cfg.model, refining=passes.small is not None)
    return dataclasses.replace(todo, passes=fitting(passes, cfg))


def refuse_steps_of_a_list(sampling: Sampling, model: Animator) -> None:
    """Refuse a number of steps that nothing reads, as a list of time steps is in its place."""
    for name, listed, given in (
        ("num_inference_steps", "timesteps", sampling.timesteps),
        ("refine_steps", "refine_timesteps", sampling.refine_timesteps),
    ):
        said = any(one.lstrip("+").startswith(f"animate.{name}=") for one in current().overrides)
        if said and given is not None:
            raise UserError(
                f"animate.{name}: model {model.name} takes the {len(given)} time steps of a list, and no number",
                fix=f"animate.{listed}={checks.told(given)}, with as many as you want; null: a number of steps",
            )


def texts(cfg: Animate, compiled: schedules.Compiled, length: int, made: int) -> list[str]:
    """The prompt, or that of each section by the schedule at its first frame.

    Raises:
        UserError: a schedule for a model that makes a film in one.
    """
    if compiled.prompts is None:
        return [cfg.prompt]
    recipe = RECIPES[cfg.model.architecture]
    sections = recipe.sections if recipe.section_prompts else None
    if sections is None:
        raise UserError(
            f"prompt_schedule: model {cfg.model.name} reads one prompt for the whole film",
            fix="model=ltx_long, or prompt",
        )
    track, found = compiled.prompts, []
    for first in (min(frame, length - 1) for frame in sections(cfg.model.call, made)):
        number = track.b[first] if track.blend[first] >= 0.5 else track.a[first]
        found.append(track.texts[number][0])
    return found


def tell_licence(key: str, family: StockFamily, store: Store) -> None:
    """Say once a store what a family's licence asks of its user, before anything of it is fetched.

    Args:
        key: the setting that chooses the family.
    """
    asked = []
    if family.sources() and not family.license.startswith(FREE):
        asked.append("its terms hold for what you make with it")
    if family.territory:
        asked.append(f"its licence does not allow it in {family.territory}")
    if family.gated and not all(present(source) for source in family.sources().values()):
        asked.append("its files are handed out to those who have agreed to that on the hub (HF_TOKEN)")
    said = store.root / "told" / f"{key}={family.name}"
    if not asked or said.exists():
        return
    log.warning("%s %s: %s; %s", key, family.name, family.license, "; ".join(asked))
    said.parent.mkdir(parents=True, exist_ok=True)
    said.touch()


def passes_of(
    cfg: Animate, keys: Sequence[Key], length: int, made: int, width: int, height: int, words: list[str]
) -> Passes:
    """The settings of the ops; what has no effect is not in them.

    Args:
        keys: where the pictures stand.
        length, made: frames of the film, and those that are made.
        words: a prompt, or that of each section.
    """
    how, model, recipe = cfg.animate, cfg.model, RECIPES[cfg.model.architecture]
    common: dict[str, Any] = {"architecture": model.architecture, "dtype": dtype_of(cfg)}
    guided = is_guided(how.guidance_scale, model.call)
    whole = {
        **common,
        "sources": model.sources_of(recipe.needs(*recipe.denoisers)),
        "frames": made,
        "fps": cfg.fps,
        "width": width,
        "height": height,
        "keys": list(keys),
        "num_inference_steps": how.num_inference_steps if how.timesteps is None else 1,
        "timesteps": how.timesteps,
        "guidance_scale": max(how.guidance_scale, 1.0),
        "guidance_rescale": how.guidance_rescale if guided else 0.0,
        "picture_noise": how.picture_noise,
        "scheduler_config": model.scheduler_config,
        "call": model.call,
        "max_tokens": model.max_tokens,
        "loras": how.loras,
        "seed": cfg.seed,
        "storage": how.storage,
        "attention": cfg.compute.attention,
        "compile": cfg.compute.compile,
    }
    small = upsample = None
    if how.two_pass:
        small = parse(Denoise, {**whole, "width": width // 2, "height": height // 2}, "animate")
        whole |= refining(how, model)
        sources = model.sources_of(["latent_upsampler", "vae"])
        upsample = Upsample(**common, sources=sources, adain=how.adain, tone_map=how.tone_map)
    denoise = parse(Denoise, whole, "animate")
    sound = None
    if recipe.voices:
        sources = model.sources_of(recipe.needs(*recipe.voices))
        sound = Sound(**common, sources=sources, denoise=denoise, keep=length / cfg.fps)
    embed = embedding(cfg, common, words, guided=denoise.guided)
    small_embed = None
    if small is not None and small.guided != denoise.guided:
        small_embed = embedding(cfg, common, words, guided=small.guided)
    together = {name: getattr(denoise, name) for name in ("keys", *recipe.encoded_by)} if recipe.encoded_by else {}
    encode_sources = model.sources_of(recipe.needs(*recipe.encoders))
    return Passes(
        embed=embed,
        encode=Encode(**common, sources=encode_sources, tiling=how.encode_tiling, **together),
        denoise=denoise,
        decode=Decode(
            **common,
            sources=model.sources_of(recipe.needs("vae")),
            denoise=denoise,
            keep=length,
            tiling=how.decode_tiling,
            framewise=how.decode_framewise,
            decode_timestep=how.decode_timestep,
            decode_noise_scale=how.decode_noise_scale,
        ),
        sound=sound,
        small=small,
        small_embed=small_embed,
        upsample=upsample,
    )


def refining(how: Sampling, model: Animator) -> dict[str, Any]:
    """Settings of a second pass that are others than the first one's."""
    scale = how.guidance_scale if how.refine_guidance_scale is None else how.refine_guidance_scale
    arguments = {**model.call, **model.refine_call}
    return {
        "num_inference_steps": how.refine_steps if how.refine_timesteps is None else 1,
        "timesteps": how.refine_timesteps,
        "denoise_strength": how.refine_strength,
        "guidance_scale": max(scale, 1.0),
        "guidance_rescale": how.guidance_rescale if is_guided(scale, arguments) else 0.0,
        "scheduler_config": {**model.scheduler_config, **model.refine_scheduler_config},
        "call": arguments,
        "loras": [*how.loras, *how.refine_loras],
    }


def embedding(cfg: Animate, common: Mapping[str, Any], words: Sequence[str], *, guided: bool) -> Embed | None:
    """The settings of the op `embed`; None: the model reads no prompt.

    Args:
        common: what every op has.
        words: a prompt, or that of each section.
        guided: whether the negative one is read.
    """
    model, recipe = cfg.model, RECIPES[cfg.model.architecture]
    if not recipe.text:
        return None
    negative = cfg.negative_prompt if guided else ""
    return Embed(
        **common,
        sources=model.sources_of(recipe.embeds),
        texts=[(read_of_motion(one, model), read_of_motion(negative, model)) for one in words],
        guided=guided,
        max_tokens=model.max_tokens,
        seen=None if recipe.embedding is None else model.call,
    )


def dtype_of(cfg: Rendering) -> str:
    """Number format: as it is asked for; `auto` is bfloat16 on an accelerator, in which these models are trained."""
    from tasks.stylize.settings.compute import resolve_dtype

    if cfg.compute.dtype == "auto" and resolve_device(cfg.compute) != "cpu":
        return "bfloat16"
    return resolve_dtype(cfg.compute)


def fitting(passes: Passes, cfg: Animate) -> Passes:
    """The passes within `compute.max_memory`."""
    denoise, decode = memory.fit(passes.embed, passes.denoise, passes.decode, cfg.compute)
    small = passes.small and passes.small.model_copy(update={"storage": denoise.storage})
    sound = passes.sound and passes.sound.model_copy(update={"denoise": denoise})
    return dataclasses.replace(passes, denoise=denoise, decode=decode, small=small, sound=sound)


def _subject(cfg: Animate) -> measures.Subject:
    """What metrics must know of the render."""
    return measures.Subject(
        prompt=cfg.prompt,
        varies=cfg.prompt_schedule is not None,
        model=cfg.model.name,
        embedded=cfg.model.base.embedded,
        reference=cfg.reference or cfg.picture,
        original=False,
        pictures=True,
    )
