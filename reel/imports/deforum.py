"""Settings files of Deforum: JSON, mostly in a .txt, with ``prompts`` and an ``animation_mode``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reel.imports import schedules
from reel.imports.file import number
from reel.imports.found import Fact, Found, Group, Leaf, Source
from reel.schedule.expressions import parse_expression
from reel.schedule.model import Key, Schedule

FORMAT = "Deforum settings"
_FACTS = {
    "W": "width",
    "H": "height",
    "sampler": "sampler",
    "scheduler": "spacing",
    "steps": "steps",
    "fps": "fps",
    "max_frames": "frames",
    "sd_model_name": "checkpoint",
    "batch_name": "name",
}
_WARP = "Deforum bends each frame into the next; AnimateDiff makes all frames together: motion LoRAs move the camera"
_MEMORY = "each frame goes on from the one before it there; here all frames are made together"
_LEFT: tuple[tuple[str, str], ...] = (
    (
        "animation_mode border angle zoom translation_ transform_center rotation_3d enable_perspective "
        "perspective_flip fov_schedule aspect_ratio near_schedule far_schedule padding_mode sampling_mode "
        "use_depth_warping depth_algorithm midas_weight save_depth_maps",
        _WARP,
    ),
    (
        "strength noise_ noise_type perlin_ contrast_schedule diffusion_cadence optical_flow cadence_flow redo_flow "
        "diffusion_redo color_coherence color_force legacy_colormatch enable_noise_multiplier amount_schedule "
        "kernel_schedule sigma_schedule threshold_schedule use_init init_image init_images use_looper "
        "image_strength_schedule blendFactor tweening_frames color_correction reroll_",
        _MEMORY,
    ),
    ("hybrid_", "a film that is mixed into the frames before has no counterpart; controls draw maps from a clip"),
    ("parseq_", "Parseq's manifest lies elsewhere; its prompts can be given as prompt_schedule"),
    (
        "seed_behavior seed_iter_N seed_schedule seed_resize enable_subseed subseed_",
        "one seed makes all frames, which are then alike; another seed for each frame would flicker",
    ),
    (
        "steps_schedule enable_steps sampler_schedule enable_sampler checkpoint_schedule enable_checkpoint "
        "clipskip_schedule enable_clipskip ddim_eta enable_ddim_eta ancestral_eta enable_ancestral",
        "it is one for the whole film here: all frames are made together",
    ),
    (
        "use_mask use_alpha mask_ invert_mask overlay_mask fill full_res_mask use_noise_mask use_mask_video video_mask",
        "stylize.composite and controls.NAME.mask leave a part of the picture out",
    ),
    (
        "frame_interpolation_",
        "frames in between are made by finish=[interpolate]",
    ),
    ("r_upscale_", "films are made larger by finish=[upscale]"),
    ("add_soundtrack soundtrack_", "sound comes from a source alone; docs/film.md has music"),
    ("tiling restore_faces", "frames are not treated like that"),
    ("pix2pix", "of another kind of model"),
    ("sd_model_hash deforum_git", "of the program that wrote the file"),
    ("cn_", "a control that is switched off, or what a control here has no setting for"),
)  # fmt: skip
"""Why keys are not mapped, by how they begin."""
_SWITCHES: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("use_mask", (False,), "mask_ use_alpha_as_mask invert_mask overlay_mask fill full_res_mask"),
    ("use_mask_video", (False,), "video_mask_path"),
    ("use_noise_mask", (False,), "noise_mask_schedule"),
    ("use_init", (False,), "init_image strength_0_no_init"),
    ("use_looper", (False,), "init_images image_strength_schedule blendFactor tweening_frames color_correction_factor"),
    ("frame_interpolation_engine", ("None", None), "frame_interpolation_"),
    ("r_upscale_video", (False,), "r_upscale_"),
    ("add_soundtrack", ("None", None), "soundtrack_path"),
    ("parseq_manifest", ("", None), "parseq_"),
    ("enable_steps_scheduling", (False,), "steps_schedule"),
    ("enable_sampler_scheduling", (False,), "sampler_schedule"),
    ("enable_checkpoint_scheduling", (False,), "checkpoint_schedule"),
    ("enable_clipskip_scheduling", (False,), "clipskip_schedule"),
    ("enable_subseed_scheduling", (False,), "subseed_"),
    ("enable_ddim_eta_scheduling", (False,), "ddim_eta_schedule"),
    ("enable_ancestral_eta_scheduling", (False,), "ancestral_eta_schedule"),
    ("enable_perspective_flip", (False,), "perspective_flip_"),
    ("tiling", (False,), ""),
    ("restore_faces", (False,), ""),
)
"""Keys that switch others off: the values that do, and how those others begin."""
_NO_EFFECT = (
    *("show_info", "motion_preview", "save_", "skip_video", "make_gif", "delete_", "store_frames", "overwrite_"),
    *("resume_", "batch_size", "outdir"),
)
_CONTROL = {"module": "maker", "model": "model", "control_mode": "mode"}
_RANGE = {"guidance_start": "start", "guidance_end": "end"}
_VIDEO = "Video Input"


def is_this(data: Any) -> bool:
    """Whether plain data is such a file."""
    if not isinstance(data, Mapping):
        return False
    prompts = any(isinstance(data.get(name), Mapping) for name in ("prompts", "animation_prompts"))
    return prompts or {"animation_mode", "max_frames"} <= data.keys()


def read(data: Mapping[str, Any], source: Source) -> Found:
    """What such a file says."""
    found = Found(FORMAT, "text2video", source)
    mode = source.leaves.get(("animation_mode",))
    of_video = mode is not None and mode.value == _VIDEO
    _prompts(data, found)
    for key, name in _FACTS.items():
        leaf = source.take(key)
        if leaf is None or leaf.value in (None, "", "None"):
            found.used(leaf, "empty: the default")
        else:
            found.say(name, leaf)
    found.say("seed", source.take("seed"))
    _guidance(found)
    for number_ in range(1, 6):
        _control(f"cn_{number_}_", found)
    if of_video:
        _video(found)
    else:
        for key in ("video_init_path", "extract_nth_frame", "extract_from_frame", "extract_to_frame"):
            found.used(source.take(key), f"not used in animation_mode {mode.value if mode else ''}".rstrip())
    for switch, off, starts in _SWITCHES:
        one = source.leaves.get((switch,))
        if one is None or one.value not in off:
            continue
        found.used(source.take(switch), "switched off")
        for path in source.leaves:
            if any(path[0].startswith(start) for start in starts.split()):
                found.used(source.take(*path), f"{switch} is off")
    if found.flow == "dance" and not any(fact.name == "strength_schedule" for fact in found.facts):
        found.imply("strength", 1.0, "only the controls' maps come from the source")
    for path in source.leaves:
        if any(path[0].startswith(start) for start in _NO_EFFECT):
            found.used(source.take(*path), "changes no picture of the film")
        elif (why := _why(path[0])) is not None:
            found.left(source.take(*path), why)
    return found


def _why(key: str) -> str | None:
    return next((why for starts, why in _LEFT if any(key.startswith(start) for start in starts.split())), None)


def _prompts(data: Mapping[str, Any], found: Found) -> None:
    """Prompts with the words that all of them have, in the tool's own dialect: each holds until the next."""
    names = ("prompts", "animation_prompts")
    common = ("animation_prompts_positive", "positive_prompts", "animation_prompts_negative", "negative_prompts")
    name = next((one for one in names if isinstance(data.get(one), Mapping) and data[one]), None)
    if name is None:
        return
    leaves = [*found.source.under(name), *filter(None, (found.source.take(one) for one in common))]
    part = {one: data[one] for one in (name, *common) if one in data and data[one] is not None}
    try:
        schedule, told = schedules.read(json.dumps(part, ensure_ascii=False), "deforum", "prompt")
    except ValueError as error:
        for leaf in leaves:
            found.left(leaf, str(error))
        return
    found.facts.append(Fact("prompt_schedule", (schedule, told), tuple(leaves)))


def _schedule(leaf: Leaf) -> Schedule:
    """A value schedule of a leaf, which may be a plain number.

    Raises:
        ValueError: it cannot be read.
    """
    if (plain := number(leaf.value)) is not None:
        return schedules.read(f"0:({plain:g})", "fizz-value", "value")[0]
    return schedules.read(str(leaf.value), "fizz-value", "value")[0]


def _guidance(found: Found) -> None:
    for key in ("cfg_scale_schedule", "scale"):
        leaf = found.source.take(key)
        if leaf is None:
            continue
        try:
            found.say("cfg_schedule", leaf, _schedule(leaf))
        except ValueError as error:
            found.left(leaf, str(error))


def _control(start: str, found: Found) -> None:
    """One of its ControlNet units, where it is switched on."""
    source = found.source
    on = source.take(f"{start}enabled")
    if on is None or on.value is not True:
        found.used(on, "switched off")
        for path in source.leaves:
            if path[0].startswith(start):
                found.used(source.take(*path), f"{start}enabled is off")
        return
    found.flow = "dance"
    group = Group("control", place=f"{start}enabled")
    found.groups.append(group)
    found.used(on, "on")
    for key, name in _CONTROL.items():
        found.say(name, source.take(f"{start}{key}"), group=group)
    _over_frames(source.take(f"{start}weight"), "weight_schedule", group, found)
    for key, name in _RANGE.items():
        _constant(source.take(f"{start}{key}"), name, group, found)
    for key in ("low_vram", "pixel_perfect", "overwrite_frames"):
        found.used(source.take(f"{start}{key}"), "changes no picture of the film")
    clip = source.take(f"{start}vid_path")
    if clip is not None and clip.value and found.get("clip") is None:
        found.say("clip", clip)
    elif clip is not None:
        found.left(clip, "one clip is the source of all controls" if clip.value else "no clip is named")


def _over_frames(leaf: Leaf | None, name: str, group: Group, found: Found) -> None:
    if leaf is not None:
        try:
            found.say(name, leaf, _schedule(leaf), group=group)
        except ValueError as error:
            found.left(leaf, str(error))


def _constant(leaf: Leaf | None, name: str, group: Group, found: Found) -> None:
    if leaf is None:
        return
    try:
        taken = schedules.values(_schedule(leaf))[0]
    except ValueError as error:
        return found.left(leaf, str(error))
    if taken.constant is None:
        return found.left(leaf, "a control begins and ends at the same step for all frames here")
    return found.say(name, leaf, taken.constant, group=group)


def _video(found: Found) -> None:
    """A film that each frame is begun from, as far as its strength lets it."""
    source = found.source
    found.flow = "dance"
    found.used(source.take("animation_mode"), "frames of a film are redrawn, as dance does it")
    if found.get("clip") is None:
        found.say("clip", source.take("video_init_path"))
    if (kept_part := source.take("strength_schedule")) is not None:
        try:
            kept = _schedule(kept_part)
            turned = kept.with_keys(tuple(_turned(key) for key in kept.keys))
            found.say(
                "strength_schedule", kept_part, turned, "1 less Deforum's strength; frames before are not mixed in"
            )
        except ValueError as error:
            found.left(kept_part, str(error))
    every = source.take("extract_nth_frame")
    if every is not None and every.value == 1:
        found.used(every, "every frame, as here")
    else:
        found.left(every, "say how many frames a second: extract.fps")
    for key, plain in (("extract_from_frame", 0), ("extract_to_frame", -1)):
        end = source.take(key)
        if end is not None and end.value == plain:
            found.used(end, "the whole clip, as here")
        else:
            found.left(end, "say it in seconds: extract.start, extract.end")


def _turned(key: Key) -> Key:
    """How far a frame goes from its source, of how much of it is kept."""
    return replace(key, value=parse_expression(f"1-({key.value.text})")) if key.value is not None else key
