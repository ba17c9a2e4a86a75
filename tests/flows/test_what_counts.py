"""What counts for a result is said once, at the field: each setting of each flow is changed, and all who ask agree.

Sweeps, DVC's file, comparisons and searches are held against the cache keys of a dry run. A setting that has no effect
beside others (a mask's size without a mask) may count all the same, but each must have an effect somewhere or a marker.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runs import ROOT
from flows import cli
from flows import flow as flows
from flows.commands import resolve
from flows.config.compose import settings
from flows.config.root import Root
from flows.flow import Flow
from flows.render import measures
from flows.search.plan import Job
from flows.search.settings import EXTENT, Searched
from flows.sweep.axes import digest
from reel.canonical import canonical
from reel.config import FIGURES, FILES, INDEX, NAME, OPERATIONAL, Config, Marker, Place, arms, leaves, parse, places
from reel.errors import UserError
from reel.history.comparison import settings as compared
from reel.history.record import RenderRecord
from reel.models.source import ModelSource
from reel.op import Context, get
from reel.store import Store
from tasks.cached import dry_run
from tests.comfyui.server import serving
from tests.other_values import others
from tests.tasks import animate_models, sprite_sparse


def pair(layer: str, width: int) -> dict[str, tuple[int, ...]]:
    """A LoRA's two matrices of rank 2 for a square layer."""
    return {f"{layer}.lora_A.weight": (2, width), f"{layer}.lora_B.weight": (width, 2)}


SPARSECTRLS = "model.sparsectrls={rgb: {kind: embedded, id: sparse}, scribble: {kind: embedded, id: sparse2}}"
BASES: dict[str, Sequence[Sequence[str]]] = {
    "dance": [
        [
            *("control=[pose,lineart,depth]", "controls.lineart.mask.region=face", "controls.depth.mask.region=file"),
            *("controls.depth.mask_file=$mask", "negative_prompt=blurred", "assemble.metadata={artist: me}"),
            "controls.lineart.timestep_keyframes=[{at: 0.0, scale: 1.0}, {at: 0.5, scale: 0.5}]",
            "regions={wall: {prompt: green, mask: {region: background}}, "
            "sign: {prompt: red, mask: {region: file}, mask_file: $mask}}",
            *("measure=[flicker,motion,palette,ssim]", "finish=[interpolate,upscale,grain]"),
        ],
        [
            *("control=[lineart]", "measure=[pose,probe_attributes,probe_joints]", "measure.pose.embedded=true"),
            *("extract.short_side=null", "extract.width=64", "extract.height=64"),
            *("stylize.composite=keep_background", "stylize.strength=0.7", "stylize.free_init.iterations=2"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.guidance_scale=4"),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            "stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]",
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
            "model.scheduler_config={clip_sample: false}",
        ],
        [
            *("renderer=vace", "model.base={kind: embedded, id: tiny_vace, files: null}", "extract.max_frames=17"),
            *("control=[pose,depth]", "controls.depth.weight=1", "stylize.overlay=[depth,pose]", "measure=[flicker]"),
            *("stylize.windows.frames=9", "stylize.references=[$picture]", "stylize.composite=keep_background"),
            *("controls.pose.layer_weights=[1,0.5]", "controls.depth.layer_weights=[1,0.5]"),
            *("stylize.windows.overlap=1", "prompt=the figure waves slowly and turns to the left"),
            "model.parts={tokenizer: {kind: embedded, id: tiny_vace, subfolder: tokenizer}}",
        ],
    ],
    "animate": [
        [
            *("model.base={kind: embedded, id: tiny_ltx, files: null}", "picture=$mask", "last=$picture", "frames=17"),
            *("width=64", "height=64", "prompt=she waves", "animate.num_inference_steps=4", "background='#ffffff'"),
            *("pictures=[{picture: $picture, at: 4, strength: 0.5}]", "model.scheduler_config={shift: 1.0}"),
            *("animate.loras=[{source: {kind: file, id: $ltx_lora}}]", "assemble.metadata={artist: me}"),
            "model.parts={latent_upsampler: {kind: embedded, id: tiny_ltx, subfolder: latent_upsampler}}",
            *("animate.two_pass=true", "animate.refine_steps=4", "animate.refine_strength=0.5", "finish=[grain]"),
        ],
        [
            *("model.base={kind: embedded, id: tiny_ltx, files: null}", f"extend={ROOT}/data/source/sample.mp4"),
            *("frames=25", "width=64", "height=64", "prompt=she waves", "animate.timesteps=[1000, 500]"),
        ],
        [
            *("model=ltx_long", "model.base={kind: embedded, id: tiny_ltx, files: null}", "picture=$mask", "width=64"),
            *("height=64", "prompt=she waves", "frames=97", "+model.limits.sizes=[{width: 64, height: 64}]"),
        ],
        [
            *("model=ltx2", "model.base={kind: embedded, id: tiny_av, files: null}", "picture=$mask", "frames=17"),
            *("width=64", "height=64", "prompt=she waves"),
        ],
    ],
    "storyboard": [
        [
            *("model.base={kind: embedded, id: tiny_ltx, files: null}", "width=64", "height=64", "frames=9"),
            *("story=A girl waits. She waves.", "count=2", "keyframe.call={clip_skip: 1}"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            "keyframe.scheduler_config={clip_sample: false}",
        ],
        [
            *("model.base={kind: embedded, id: tiny_ltx, files: null}", "width=64", "height=64", "frames=9"),
            *("file=$story", "shots.1.seed=3", "shots.1.caption=Hello", "seconds=1", "film.captions.show=soft"),
            *("shots.1.transition.kind=fade", "shots.1.transition.frames=2", "shots.2.transition.kind=fade"),
        ],
        [
            *("model.base={kind: embedded, id: tiny_ltx, files: null}", "width=64", "height=64", "frames=9"),
            *("file=$story", "shots.1.frames=9", "film.captions.show=none", "background='#ffffff'", "fit=pad"),
            *("shots.1.transition.kind=fade", "shots.1.transition.seconds=0.1"),
        ],
    ],
    "text2video": [
        [
            *("frames=4", "width=64", "height=64", "negative_prompt=blurred", "assemble.metadata={artist: me}"),
            *("measure=[flicker,movement,probe_attributes]", "model.scheduler_config={clip_sample: false}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            "stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]",
            *("model.camera=true", "moves={push: {source: {kind: file, id: $motion_lora}, weight: 0.5}}"),
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
        ],
        [
            *("frames=6", "width=64", "height=64", "model.scheduler_config={rescale_betas_zero_snr: false}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.free_init.iterations=2"),
        ],
        [
            *("frames=4", "width=64", "height=64", "motion=$clip", "control=[pose,lineart]", "measure=none"),
            "controls.lineart.timestep_keyframes=[{at: 0.0, scale: 1.0}, {at: 0.5, scale: 0.5}]",
        ],
    ],
    "loop": [
        [
            *("frames=6", "width=64", "height=64", "negative_prompt=blurred", "assemble.metadata={artist: me}"),
            "pictures=[{picture: $mask, at: 0, strength: 0.5}, {picture: $picture, at: 3}]",
            *("match_colour=0.5", "model.scheduler_config={clip_sample: false}", SPARSECTRLS),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "background='#ffffff'"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            "stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]",
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
        ],
        [
            *("frames=6", "width=64", "height=64", "stills=[red top, blue top]", "prompt=a girl", SPARSECTRLS),
            *("model.scheduler_config={rescale_betas_zero_snr: false}", "keyframe.call={clip_skip: 1}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            *("keyframe.scheduler_config={clip_sample: false}", "stylize.free_init.iterations=2"),
        ],
    ],
    "comfyui": [
        [
            *("workflow=$graph", "server=$comfyui", "files.LoadImage.image=$mask", "inputs.Size.width=32"),
            *("output=Save", "prompt=grey", "assemble.metadata={artist: me}", "measure=[flicker]", "finish=[grain]"),
        ]
    ],
    "timeframe": [
        [
            "track=0-3: red top --pic $mask; 3-6: blue top --pic $picture --by sparsectrl; 6-8: green top",
            *("width=64", "height=64", "negative_prompt=blurred", "assemble.metadata={artist: me}", SPARSECTRLS),
            *("model.scheduler_config={clip_sample: false}", "background='#ffffff'", "prompt=a girl"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            "stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]",
        ],
        [
            *("track=0-3: red top; 3-6: blue top", "drawn=true", "width=64", "height=64", "by=ip_adapter"),
            *("model.scheduler_config={rescale_betas_zero_snr: false}", "keyframe.call={clip_skip: 1}", SPARSECTRLS),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.free_init.iterations=2"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            *("keyframe.scheduler_config={clip_sample: false}", "model.ip_adapter={kind: file, id: $ip_adapter}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
        ],
    ],
    "compare": [["sweep_id=x"]],
}
"""Settings to start from, by flow; a flow that is not here starts from its defaults."""
BASES["bakeoff"] = BASES["animate"]
TO_Q = "transformer_blocks.0.attn1.to_q"
MODEL_FILES: dict[str, dict[str, tuple[int, ...]]] = {
    "lora": pair(f"unet.down_blocks.0.attentions.0.{TO_Q}", 48),
    "motion_lora": pair(f"unet.down_blocks.0.motion_modules.0.{TO_Q}", 48),
    "ltx_lora": pair(f"transformer.{TO_Q}", 32),
    "embedding": {"emb_params": (1, 96)},
    "ip_adapter": {"image_proj.proj.weight": (96, 96), "ip_adapter.1.to_k_ip.weight": (96, 96)},
}
"""What makes a file's header right for the setting that names it: layers and their shapes."""
SMALL = ("extract.max_frames=4", "extract.short_side=64", "stylize.num_inference_steps=4", "paths.output=$here/out")
DECIDED = ("compute.dtype=float32", "compute.memory_format=contiguous")
"""Of every base where the flow has these settings: a dry run takes little, and nothing is left to the machine."""
VALUES: dict[str, Any] = {
    "clip": "$clip",
    "motion": f"{ROOT}/data/source/sample.mp4",
    "controls.*.kind": "openpose",
    "controls.*.preprocess": "canny",
    "controls.*.layer_weights": [0.5] * 7,
    "controls.*.mask_file": "$picture",
    "regions.*.mask_file": "$picture",
    "prompt_schedule": "0: a red top; -1: a blue top",
    "strength_schedule": "0: 1; -1: 0.5",
    "guidance_schedule": "0: 1; -1: 0.5",
    "controls.*.weight_schedule": "0: 1; -1: 0.5",
    "compute.max_memory": "96MiB",
    "model.schedulers": ["ddim", "euler"],
    "stylize.ip_adapter.picture": "$picture",
    "stylize.references": ["$mask"],
    "stylize.overlay": ["pose", "depth"],
    "stylize.windows.overlap": 5,
    "reference": "$picture",
    "finish.upscale.file": "$lora",
    "file": "$story2",
    "story": "A boy bows. He jumps.",
    "shots.*.picture": "$picture",
    "shots.*.last": "$mask",
    "shots.*.sound": "$clip",
    "shots.*.frames": 17,
    "shots.*.seconds": 2.0,
    "shots.*.transition.frames": 4,
    "seconds": 2.0,
    "picture": "$picture",
    "last": "$mask",
    "pictures.[].picture": "$mask",
    "track": "8-12: --pic $picture",
    "extend": "$clip",
    "extend_frames": 17,
    "width": 128,
    "height": 128,
    "frames": 25,
    "stills": ["red top", "green top"],
    "stills.[]": "green top",
    "kind": "scribble",
    "sparsectrl.kind": "scribble",
    "animate.timesteps": [1000, 400],
    "animate.refine_timesteps": [900, 400, 0],
    "animate.extra_frames": 16,
    "workflow": "$other_graph",
    "files.*.*": "$picture",
    "inputs.*.*": "64",
    "output": "4",
}
"""Other values of settings whose type does not tell them: names of something, files, texts in a language."""
HUB = "what else there is has its weights on a hub"
NO_OTHER = {
    "model.architecture": "families of one architecture can be rendered",
    "stylize.detector": HUB,
    "preprocess.figure_depth.detector": HUB,
    "measure.pose.detector": HUB,
    "measure.probe_joints.detector": HUB,
    "reference": HUB,
    "measure.probe_attributes.prompt": "the render's own takes its place",
    **{f"write.template.{name}": "the flow's own takes its place" for name in ("story", "shots", "style")},
}
"""Settings that can be changed to no effect here, with the reason."""
NO_SOURCE = "there is no source of which anything could be kept or encoded"
NO_OTHER_OF = {
    "dance": {"stylize.renderer": "it says which renderer the settings are for"},
    "text2video": {
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        **{f"stylize.{name}": NO_SOURCE for name in ("encode_chunk_size", "encode_tiling")},
        **{f"controls.*.mask.{name}": "a control counts everywhere" for name in ("region", "dilate", "feather")},
    },
    "timeframe": {
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        "renderer": HUB,
        "animator": HUB,
        **{f"stylize.ip_adapter{name}": "ranges have pictures of their own" for name in ("", ".picture", ".weight")},
        "model.controlnets.*": "one of them is read",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
    "loop": {
        **{f"stylize.{name}": NO_SOURCE for name in ("strength", "composite", "composite_dilate")},
        "stylize.control_every": "it has no controls",
        "model.controlnets.*": "it has no controls",
        "stylize.windows.closed_loop": "a loop is closed",
        "stylize.windows.context_schedule": "a closed loop has one",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
    "animate": {
        "compute.memory_format": "its pipelines arrange their activations themselves",
        "compute.max_memory": "its toy family fits into what the embedded one does",
    },
    "comfyui": {
        f"compute.{name}": "how the server computes is its own affair"
        for name in ("dtype", "memory_format", "attention", "compile", "max_memory")
    },
    "storyboard": {
        "compute.memory_format": "its pipelines arrange their activations themselves",
        "compute.max_memory": "its toy family fits into what the embedded one does",
        "shots.*.model": HUB,
        "draw.reference_scale": "its key pictures know no IP-Adapter",
        "keyframe.name": "it is what people call it",
        "keyframe.architecture": HUB,
        "keyframe.base": HUB,
        "keyframe.multiple_of": "it refuses what does not fit, and changes no byte of what does",
    },
}
"""The same of settings that have an effect in other flows."""
ELSEWHERE = {
    "dance": ("model.call.*", "model.limits.sizes.[].width", "model.limits.sizes.[].height", "model.sparsectrls.*"),
    "text2video": ("model.sparsectrls.*",),
}
"""Settings of model families that have no place in a flow, and that are walked for another."""
PASSED_OVER = {"storyboard": ("model", "animate", "film")}
"""Groups that are not walked again: `animate` walks the first two, and the film's settings are those of its own ops."""
OPEN = ("preprocess", "measure", "write", "finish")
"""Mappings from names of ops to their settings, which the flow's classes do not know; named like the ops' kind."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Files that settings name, by the word that stands for each."""
    import numpy as np
    from PIL import Image
    from safetensors.numpy import save_file

    here = tmp_path_factory.mktemp("files")
    for name, shade in (("mask", 0), ("picture", 255)):
        Image.new("L", (64, 64), shade).save(here / f"{name}.png")
    (here / "clip.mp4").write_bytes((ROOT / "data/source/sample.mp4").read_bytes() + b"\0\0\0\x08free")
    for kind, layers in MODEL_FILES.items():
        for number, name in enumerate((kind, f"{kind}2")):
            tensors = {layer: np.full(shape, number, np.float32) for layer, shape in layers.items()}
            save_file(tensors, here / f"{name}.safetensors")
    for name, shot in (("story", f"picture: {here}/wide.png, motion: she waves"), ("story2", "prompt: a pier")):
        (here / f"{name}.yaml").write_text(f"shots:\n  - {{{shot}}}\n  - prompt: a boat\n")
    Image.new("L", (90, 64), 128).save(here / "wide.png")
    (here / "families").mkdir()
    for name in ("sprite", "sprite2"):
        (here / "families" / name).symlink_to(ROOT / "data/models/sprite")
    for name in ("sparse", "sparse2"):
        sprite_sparse.save(here / "families" / name)
    for name in ("tiny_ltx", "tiny_ltx2"):
        animate_models.write_ltx(here / "families" / name)
    for name in ("tiny_av", "tiny_av2"):
        animate_models.write_ltx2(here / "families" / name)
    for name, size in (("graph", 16), ("other_graph", 24)):
        (here / f"{name}.json").write_text(json.dumps(comfyui_graph(size)))
    for name in ("tiny_vace", "tiny_vace2"):
        animate_models.write_vace(here / "families" / name)
    named = {f"${path.stem}": str(path) for path in here.iterdir() if path.is_file()}
    with serving() as comfyui:
        yield {**named, "$here": str(here), "$comfyui": comfyui.url}


def comfyui_graph(height: int) -> dict[str, Any]:
    """A picture scaled, and saved in two ways."""
    size = {"upscale_method": "area", "width": 16, "height": height, "crop": "disabled"}
    saved = {"images": ["2", 0], "filename_prefix": "x"}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], **size}, "_meta": {"title": "Size"}},
        "3": {"class_type": "SaveImage", "inputs": saved, "_meta": {"title": "Save"}},
        "4": {"class_type": "SaveImage", "inputs": saved},
    }


@pytest.fixture(autouse=True)
def families(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", f"{files['$here']}/families")


def filled(value: Any, files: Mapping[str, str]) -> Any:
    """A value with the files' paths in it."""
    if isinstance(value, str):
        for word, path in files.items():
            value = value.replace(word, path)
    return [filled(one, files) for one in value] if isinstance(value, list) else value


def composed(flow: Flow[Any], base: Sequence[str], files: Mapping[str, str]) -> dict[str, Any]:
    """A flow's settings as plain data, defaults included."""
    known = {place.key for place in places(flow.settings)}
    given = [text for text in (*SMALL, *DECIDED) if text.partition("=")[0] in known] + list(base)
    root = Root(flow.name, flow.settings)
    data: dict[str, Any] = settings(root, [filled(text, files) for text in given]).config.model_dump(mode="json")
    return data


@dataclass(frozen=True)
class Seen:
    """A render's ops and cache keys, as far as its frames, its files, its figures; and what those who ask say of it."""

    ops: Sequence[str]
    drawn: Sequence[str]
    made: Sequence[str]
    measured: Sequence[str]
    sweep: str
    file: Mapping[str, Any]
    page: Mapping[str, Any]
    search: Mapping[str, Any]

    def changed(self, other: Seen) -> set[str]:
        """Names of the fields in which two differ."""
        return {name for name, value in vars(self).items() if value != getattr(other, name)}


def seen(flow: Flow[Any], data: Mapping[str, Any], store: Store) -> Seen:
    """Raises: UserError for settings that the flow refuses."""
    cfg = parse(flow.settings, data)
    assert flow.plan is not None
    plan, ctx = flow.plan(cfg, store), Context(store, cfg.compute)
    with dry_run() as found:
        made = plan.draw(ctx)
        drawn = len(found)
        plan.assemble(made, ctx)
    with dry_run() as measured:
        measures.run(plan.measures, made, ctx)
    record = RenderRecord(
        run="20260101-000000-abcdef",
        flow=flow.name,
        started=datetime.now(UTC),
        config={},
        result=canonical(cfg.result_part({FIGURES})),
    )
    job = Job(flow, store, Searched(), cfg, data, axes=[], goals=[], limits=[], plan=plan, trials=1)  # type: ignore[arg-type]
    keys = [one.stage.key for one in found]
    return Seen(
        ops=[one.stage.op for one in [*found, *measured]],
        drawn=keys[:drawn],
        made=keys,
        measured=[one.stage.key for one in measured],
        sweep=digest(cfg),
        file=resolve.stages(found),
        page=compared(record),
        search=canonical(job.about()),
    )


def walk(
    cls: type[Config], data: Mapping[str, Any], ops: Sequence[str] = ()
) -> Iterator[tuple[str, Place, tuple[str, ...]]]:
    """Every setting of a class that some data has a place for: its key, itself, and the path to it in the data.

    Args:
        ops: ids of those in use; settings of others are passed over.
    """
    for place in walked(cls):
        yield from ((place.key, place, path) for path in paths(place.path, data))
    for group in OPEN:
        for name in (name for name in data.get(group, {}) if f"{group}.{name}" in ops):
            for place in leaves(get(group, name).config):
                marked = replace(place, markers=place.markers | markers(cls, group))
                yield f"{group}.{name}.{place.key}", marked, (group, name, *place.path)


def walked(cls: type[Config]) -> list[Place]:
    """The settings of a class, a model's source as one; without those of ops."""
    sources = [place for place in places(cls) if ModelSource in arms(place.annotation)]
    single = [place for place in leaves(cls) if not any(place.key.startswith(f"{source.key}.") for source in sources)]
    return [place for place in [*single, *sources] if place.path[0] not in OPEN]


def markers(cls: type[Config], name: str) -> frozenset[Marker]:
    return next(place.markers for place in places(cls) if place.key == name)


def for_people(cls: type[Config], place: Place) -> bool:
    """Whether a setting is kept out of all data, or stands under one that is."""
    return any(each.field.exclude for each in places(cls) if each.path == place.path[: len(each.path)])


def paths(path: Sequence[str], data: Any) -> Iterator[tuple[str, ...]]:
    """The ways into some data that a place's path stands for."""
    if not path:
        yield ()
        return
    head, *rest = path
    if head == NAME:
        steps: Sequence[Any] = list(data) if isinstance(data, Mapping) else []
    elif head == INDEX:
        steps = list(range(len(data))) if isinstance(data, list) else []
    else:
        steps = [head]
    for step in steps:
        inner = data.get(step) if isinstance(data, Mapping) else data[step] if isinstance(data, list) else None
        yield from ((step, *more) for more in paths(rest, inner))


def at(data: Any, path: Sequence[Any]) -> Any:
    for step in path:
        data = data[step] if isinstance(data, list) else (data or {}).get(step)
    return data


def put(data: Mapping[str, Any], path: Sequence[Any], value: Any) -> dict[str, Any]:
    """A copy of some data with another value at a path."""
    changed: Any = copy.deepcopy(data)
    place = changed
    for step in path[:-1]:
        if isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        place = place[step]
    place[path[-1]] = value
    return changed  # type: ignore[no-any-return]


def candidates(key: str, place: Place, now: Any, files: Mapping[str, str]) -> Iterator[Any]:
    """Other values for a setting; a model's source is one value, of which another is named."""
    if key in VALUES:
        yield from (value for value in [filled(VALUES[key], files)] if value != now)
    elif ModelSource in arms(place.annotation):
        source = now or {"kind": "embedded", "id": ""}
        name, dot, end = (source["id"] or "sprite").partition(".safetensors")
        yield {**source, "id": f"{name}2{dot}{end}"}
    else:
        yield from others(place, now)


ASKED = ("sweep", "file", "page", "search")


def wrong(key: str, place: Place, changed: set[str], *, quiet: bool) -> Iterator[str]:
    """What does not fit the keys that changed, and the setting's markers.

    Args:
        quiet: it must change nothing.
    """
    must = {
        "sweep": bool(changed & {"made", "measured"}),
        "file": "made" in changed,
        "page": "made" in changed,
        "search": bool(changed & {"drawn", "measured"}),
    }
    may_not = {"file"} if "made" not in changed else set()
    may_not |= {"file", "page", "made"} if FIGURES in place.markers else set()
    may_not |= {"search", "drawn"} if FILES in place.markers else set()
    may_not |= {"made", "measured", *ASKED} if quiet else set()
    for name in ASKED:
        if must[name] and name not in changed:
            yield f"{key}: cache keys change and {name} does not"
    for name in sorted(may_not & changed):
        yield f"{key}: {name} changes"


RENDERING = [name for name in flows.names() if flows.get(name).plan]


@pytest.mark.parametrize("name", RENDERING)
def test_who_asks_what_counts_agrees_with_the_cache_keys(name: str, files: dict[str, str], tmp_path: Path):
    flow, store = flows.get(name), Store(tmp_path / "store")
    mistakes: list[str] = []
    effect: dict[str, bool] = {}
    for base in BASES.get(name, [[]]):
        data = composed(flow, base, files)
        before = seen(flow, data, store)
        for key, place, path in walk(flow.settings, data, before.ops):
            quiet = OPERATIONAL in place.markers or for_people(flow.settings, place)
            if effect.get(key) or place.path[0] in PASSED_OVER.get(name, ()):
                continue
            effect.setdefault(key, quiet or key in NO_OTHER or key in NO_OTHER_OF.get(name, {}))
            for value in itertools.islice(candidates(key, place, at(data, path), files), 16):
                try:
                    changed = seen(flow, put(data, path, value), store).changed(before)
                except UserError:
                    continue
                mistakes += wrong(f"{key}={value!r}", place, changed, quiet=quiet)
                if quiet or changed & {"made", "measured"}:
                    effect[key] = True
                    break
    assert not mistakes, "\n".join(mistakes)
    idle = [key for key, found in effect.items() if not found]
    assert not idle, f"no other value of these changes a cache key; mark them, or give them a base: {', '.join(idle)}"
    here = [place for place in walked(flow.settings) if place.path[0] not in PASSED_OVER.get(name, ())]
    missing = {place.key for place in here if not for_people(flow.settings, place)} - effect.keys()
    missing -= set(ELSEWHERE.get(name, ()))
    assert not missing, f"no base has a place for {', '.join(missing)}"


@pytest.mark.parametrize("name", [name for name in flows.names() if name not in RENDERING])
def test_a_flow_that_renders_nothing_itself_counts_all_that_is_not_marked(name: str, files: dict[str, str]):
    flow = flows.get(name)
    quiet: set[str] = set()
    counts: dict[str, bool] = {}
    for base in BASES.get(name, [[]]):
        data = composed(flow, base, files)
        before = digest(parse(flow.settings, data))
        for key, place, path in walk(flow.settings, data):
            if OPERATIONAL in place.markers or for_people(flow.settings, place):
                quiet.add(key)
            for value in candidates(key, place, at(data, path), files):
                try:
                    after = digest(parse(flow.settings, put(data, path, value)))
                except UserError:
                    continue
                counts[key] = counts.get(key, False) or after != before
                break
    assert quiet
    assert {key for key, found in counts.items() if not found} == quiet & counts.keys()


def test_a_sweep_with_another_kernel_is_another_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def id(*overrides: str) -> str:
        common = ["extract.max_frames=4", "extract.short_side=64", f"paths.store={tmp_path}/store"]
        assert cli.main(["dance", "-m", "seed=1,2", "sweep.plan=true", *common, *overrides]) == 0
        return capsys.readouterr().out.split()[1].rstrip(":")

    elsewhere = ("compute.device=cpu", "compute.threads=1", "compute.batch=2", "tracking=none")
    assert id().startswith("dance-")
    assert id(*elsewhere) == id()
    assert len({id(), id("compute.attention=math"), id("compute.memory_format=contiguous")}) == 3


def test_how_far_a_search_goes_makes_no_other_search():
    before = Searched().result_part({EXTENT})
    for place in leaves(Searched):
        for value in others(place, at(Searched().model_dump(), place.path)):
            try:
                after = parse(Searched, put({}, place.path, value)).result_part({EXTENT})
            except UserError:
                continue
            assert (after == before) is (EXTENT in place.markers), f"search.{place.key}={value!r}"
            break


@pytest.mark.parametrize("name", flows.names())
def test_where_things_lie_and_who_is_told_never_counts(name: str):
    """A flow that forgets the marker of these would render everything anew in another folder."""
    for place in places(flows.get(name).settings):
        if place.key in ("paths", "tracking"):
            assert OPERATIONAL in place.markers, place.key
