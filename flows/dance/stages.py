"""The DAG of `dance`: a plan that is checked whole before anything is computed, then stages that pass digests.

source -> extract -> maps and poses -> encode, embed -> denoise -> decode -> assemble -> measure
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.dance.mask_files import mask_files
from flows.edge import entry
from flows.render import measures
from flows.render import schedules as scheduled
from reel.config import Config, parse
from reel.errors import UserError
from reel.op import Context, Op, get
from reel.store import Store
from tasks.assemble import Assemble
from tasks.cached import Stage, call
from tasks.stylize.control import ControlSettings, live_controls
from tasks.stylize.engine import preflight
from tasks.stylize.engine.budget import fit
from tasks.stylize.engine.split import Stages, split
from tasks.stylize.settings import Animatediff, check_clip, needs_poses

if TYPE_CHECKING:
    from flows.dance.flow import Dance
    from tasks.extract import Extract


@dataclass(frozen=True)
class Source:
    """A file outside the store, the digest of its content, and the settings by which its frames are taken."""

    path: Path
    digest: str
    extract: Extract


@dataclass(frozen=True)
class Plan:
    """A render worked out and checked, before anything is computed.

    Attributes:
        source: the live-action clip.
        masks: mask files, by the renderer's input: ``mask_<control>``, ``region_<region>``.
        makers: op and settings of every map maker and pose detector in use, by name.
        maps: the maker of each live control's map, by control name.
        detector: whose poses masks and compositing need; empty: they need none.
        stylize: settings of encode, embed, denoise and decode.
        prompt: what the clip shows, in words, for the movie's metadata.
        measures: the metrics that follow.
    """

    source: Source
    masks: Mapping[str, Source]
    makers: Mapping[str, tuple[Op, Config]]
    maps: Mapping[str, str]
    detector: str
    stylize: Stages
    prompt: str
    measures: measures.Measures


@dataclass(frozen=True)
class Rendered:
    """Digests of a finished render: the extracted source, its poses by detector, the drawn frames, the files."""

    original: str
    poses: Mapping[str, str]
    frames: str
    files: str


def plan(cfg: Dance, store: Store) -> Plan:
    """Check everything that can be checked without computing: files, names, ranges, prompts, models.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.media.source import source_digest
    from tasks.weights.fetch import fetch

    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    schedules = scheduled.compiled(cfg, count, job.rate, entry.current().origins)
    settings = _stylize(cfg, schedules)
    live = {name: cfg.controls[name] for name in live_controls(settings.controls)}
    maps = {name: control.preprocess for name, control in live.items()}
    detector = mask_detector(cfg, settings.controls)
    metrics = measures.plan(cfg)
    makers = map_makers(cfg, settings.controls, metrics.detectors)
    if detector and makers[detector][0].gives != "poses":
        raise UserError(f"stylize.detector: {detector!r} finds no poses", fix="blazepose, dwpose and openpose do")
    check_clip(settings, width, height, count)
    files = mask_files(cfg, live, width, height, count)
    stages = split(settings, schedules.prompts)
    fetch(
        [
            *(source for op, chosen in _ops(stages) for source in op.models(chosen)),
            *(source for maker, chosen in makers.values() for source in maker.models(chosen)),
            *(source for op, chosen in metrics.ops.values() for source in op.models(chosen)),
        ]
    )
    preflight.check(settings, stages, schedules.prompts)
    masks = {name: Source(file.path, source_digest(file.path), file.extract) for name, file in files.items()}
    shown = schedules.prompts.describe() if schedules.prompts is not None else cfg.prompt
    fitting = fit(stages, cfg.compute, width, height, count)
    source = Source(cfg.clip, source_digest(cfg.clip), cfg.extract)
    return Plan(source, masks, makers, maps, detector, fitting, shown, metrics)


def _ops(stages: Stages) -> list[tuple[Op, Config]]:
    """The renderer's ops with their settings, in order."""
    names = ("encode", "embed", "denoise", "decode")
    return [(get("stylize", name), getattr(stages, name)) for name in names]


def _stylize(cfg: Dance, schedules: scheduled.Compiled) -> Animatediff:
    """The renderer's whole settings, schedules compiled for the clip."""
    from tasks.stylize.device import check_kernels, cuda_devices, resolve_dtype, resolve_memory_format

    if cfg.compute.device == "cuda" and not cuda_devices():
        raise UserError("compute.device: no NVIDIA driver offers a card here", fix="compute=auto, or compute=cpu")
    check_kernels(cfg.compute)

    controls = {
        name: {
            **control.model_dump(exclude={"preprocess", "mask_file"}),
            "weight_schedule": schedules.values.get(f"controls.{name}.weight_schedule"),
        }
        for name, control in cfg.controls.items()
    }
    whole = {
        **dict(cfg.stylize),
        "prompt": cfg.prompt,
        "negative_prompt": cfg.negative_prompt,
        "seed": cfg.seed,
        "model": cfg.model,
        "strength_schedule": schedules.values.get("strength_schedule"),
        "guidance_schedule": schedules.values.get("guidance_schedule"),
        "regions": {name: region.model_dump(exclude={"mask_file"}) for name, region in cfg.regions.items()},
        "controls": controls,
        "dtype": resolve_dtype(cfg.compute),
        "memory_format": resolve_memory_format(cfg.compute),
        "attention": cfg.compute.attention,
        "compile": cfg.compute.compile,
    }
    return parse(Animatediff, whole)


def mask_detector(cfg: Dance, controls: Mapping[str, ControlSettings]) -> str:
    """The detector whose poses masks and compositing need; empty: they need none.

    Args:
        controls: the flow's own, or as compiled for a clip: only then is it known which a schedule leaves at 0.
    """
    return cfg.stylize.detector if needs_poses(cfg.stylize.composite, controls, cfg.regions) else ""


def map_makers(
    cfg: Dance, controls: Mapping[str, ControlSettings], more: Iterable[str] = ()
) -> dict[str, tuple[Op, Config]]:
    """Every preprocessor in use with its settings: those that controls name, and the detectors behind them.

    Args:
        controls: as `mask_detector` takes them.
        more: names of further ones, that metrics ask for.
    """
    settings = cfg.preprocess
    found: dict[str, tuple[Op, Config]] = {}
    names = {cfg.controls[name].preprocess for name in live_controls(controls)}
    todo = sorted({*names, *more, *filter(None, [mask_detector(cfg, controls)])})
    while todo:
        name = todo.pop()
        if name in found:
            continue
        op = get("preprocess", name)
        chosen = parse(op.config, settings.get(name, {}), f"preprocess.{name}")
        found[name] = (op, chosen)
        if op.gives == "poses":
            todo.append("pose_map")
        elif op.takes("poses") and name != "pose_map":
            todo.append(_detector(chosen))
    return found


def _detector(settings: Config) -> str:
    name = getattr(settings, "detector", "")
    if get("preprocess", name).gives != "poses":
        raise UserError(f"preprocess: detector {name!r} finds no poses", fix="blazepose, dwpose and openpose do")
    return name


@dataclass(frozen=True)
class Material:
    """Digests of what a render is drawn from: frames, a map for each live control, mask files, poses by detector."""

    frames: str
    maps: Mapping[str, str]
    masks: Mapping[str, str]
    poses: Mapping[str, str]


@dataclass(frozen=True)
class Drawn:
    """Digest of the drawn frames, and the key of their denoising: the fact by which a render is known."""

    frames: str
    key: str


def run(plan: Plan, cfg: Dance, ctx: Context, note: Callable[[Stage], Stage]) -> Rendered:
    """Run every stage up to the files in order, or take it from the cache.

    Args:
        note: told of every finished stage; hands it back.
    """
    made = material(plan, ctx, note)
    drawn = draw(plan, made, ctx, note)
    ends = {"frames": drawn.frames, "original": made.frames, "source": plan.source.digest}
    settings = _assemble(cfg, drawn.key, plan.prompt)
    own = replace(ctx, files={"source": plan.source.path})
    files = note(call(get("assemble", "assemble"), settings, {**ends, **made.maps}, own)).digest
    return Rendered(made.frames, made.poses, drawn.frames, files)


def material(plan: Plan, ctx: Context, note: Callable[[Stage], Stage]) -> Material:
    """The stages before the renderer: frames, maps, masks, poses."""

    def run_op(op: Op, settings: Config, **inputs: str) -> str:
        return note(call(op, settings, inputs, ctx)).digest

    def extract(source: Source) -> str:
        own = replace(ctx, files={"source": source.path})
        return note(call(get("extract", "extract"), source.extract, {"source": source.digest}, own)).digest

    made: dict[str, str] = {}

    def make(maker: str) -> str:
        if maker not in made:
            op, settings = plan.makers[maker]
            poses = {"poses": make(_detector(settings))} if op.takes("poses") else {}
            made[maker] = run_op(op, settings, frames=frames, **poses)
        return made[maker]

    def draw_map(maker: str) -> str:
        if plan.makers[maker][0].gives != "poses":
            return make(maker)
        return run_op(*plan.makers["pose_map"], poses=make(maker))

    frames = extract(plan.source)
    maps = {f"map_{control}": draw_map(maker) for control, maker in plan.maps.items()}
    masks = {name: extract(mask) for name, mask in plan.masks.items()}
    if plan.detector:
        make(plan.detector)
    return Material(frames, maps, masks, {n: d for n, d in made.items() if plan.makers[n][0].gives == "poses"})


def draw(plan: Plan, made: Material, ctx: Context, note: Callable[[Stage], Stage]) -> Drawn:
    """The renderer's stages: encode, embed, denoise, decode."""
    encode, embed, denoise, decode = _ops(plan.stylize)
    latents = note(call(*encode, {"frames": made.frames}, ctx)).digest
    embeddings = note(call(*embed, {}, ctx)).digest
    guides = {**made.maps, **made.masks}
    if plan.detector:
        guides["poses"] = made.poses[plan.detector]
    denoised = note(call(*denoise, {"latents": latents, "embeddings": embeddings, **guides}, ctx))
    return Drawn(note(call(*decode, {"latents": denoised.digest}, ctx)).digest, denoised.key)


def measure(plan: Plan, rendered: Rendered, ctx: Context, note: Callable[[Stage], Stage]) -> None:
    """Run the metrics on a finished render, or take their figures from the cache.

    Args:
        note: told of every finished stage; hands it back.
    """
    noted = {(detector, rendered.original): digest for detector, digest in rendered.poses.items()}

    def detect_once(detector: str, frames: str) -> str:
        if (detector, frames) not in noted:
            noted[detector, frames] = detect(plan, detector, frames, ctx, note)
        return noted[detector, frames]

    made = {"frames": rendered.frames, "original": rendered.original}
    measures.run(plan.measures, ctx, note, made, detect_once)


def detect(plan: Plan, detector: str, frames: str, ctx: Context, note: Callable[[Stage], Stage]) -> str:
    """Digest of the poses that a detector of the plan finds in a clip."""
    op, settings = plan.makers[detector]
    return note(call(op, settings, {"frames": frames}, ctx)).digest


def _assemble(cfg: Dance, key: str, prompt: str) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    facts = {"render": key, "prompt": prompt, "seed": str(cfg.seed), "model": cfg.model.name}
    return cfg.assemble.model_copy(update={"metadata": {**(facts if cfg.embed_facts else {}), **cfg.assemble.metadata}})
