"""Settings files of animatediff-cli-prompt-travel: JSON with a ``prompt_map``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from reel.imports import schedules
from reel.imports.file import number
from reel.imports.found import Fact, Found, Group, Leaf, Source

FORMAT = "prompt travel"
_FACTS = {
    "name": "name",
    "path": "checkpoint",
    "vae_path": "vae",
    "motion_module": "motion",
    "context_schedule": "windows.schedule",
    "scheduler": "sampler",
    "steps": "steps",
    "guidance_scale": "cfg",
    "clip_skip": "clip_skip",
    "output.format": "format",
    "output.fps": "fps",
    "output.encode_param.crf": "crf",
}
"""The fact that each key says."""
_NO_EFFECT = {
    "compile": "changes no picture: compute.compile is the machine's own",
    "unet_batch_size": "changes no picture: frames that the network takes at a time",
    "tensor_interpolation_slerp": "prompts are mixed along an arc, as here",
    "controlnet_map.max_samples_on_vram": "changes no picture: memory",
    "controlnet_map.max_models_on_vram": "changes no picture: memory",
    "controlnet_map.preprocess_on_gpu": "changes no picture: memory",
    "controlnet_map.save_detectmap": "maps are kept anyway",
}
_LEFT = {
    "upscale_config": "a second pass in tiles has no counterpart; finish=[upscale] makes the film larger",
    "stylize_config": "the settings of its own way from a film; dance does that",
    "gradual_latent_hires_fix_map": "the latents' size is one for all steps here",
    "lcm_map": "a LoRA whose weight changes over the layers; model=animatelcm has the like",
    "region_map": "regions of mask files; `regions` of dance has them: {name: {prompt: ..., mask: {region: file}}}",
    "result": "what a past render came to",
    "lora_map": "a LoRA's weight is one number",
    "seed": "a render has one seed; the others: -m seed=1,2,3",
    "controlnet_map.input_image_dir": "each control draws its maps from the clip",
    "controlnet_map.is_loop": "the clip is not repeated when it is shorter than the film",
}
"""Why keys and all below them are not mapped."""
_UNITS = {
    "controlnet_tile": ("control_v11f1e_sd15_tile", "tile_resample"),
    "controlnet_openpose": ("control_v11p_sd15_openpose", "dwpose"),
    "controlnet_softedge": ("control_v11p_sd15_softedge", "softedge_pidsafe"),
    "controlnet_depth": ("control_v11f1p_sd15_depth", "depth_midas"),
    "controlnet_canny": ("control_v11p_sd15_canny", "canny"),
    "controlnet_lineart": ("control_v11p_sd15_lineart", "lineart_realistic"),
    "controlnet_lineart_anime": ("control_v11p_sd15s2_lineart_anime", "lineart_anime"),
}
"""The ControlNet that each unit loads from the hub, and what draws its maps where the file names nothing."""
_CONTROL = {
    "controlnet_conditioning_scale": "weight",
    "control_guidance_start": "start",
    "control_guidance_end": "end",
    "preprocessor.type": "maker",
}
_CONTROL_LEFT = {
    "control_scale_list": "how far a map reaches to the frames beside it; here every frame has its map",
    "control_region_list": "the control counts everywhere: controls.NAME.mask leaves a region out",
    "guess_mode": "the negative prompt's branch is controlled too",
    "preprocessor": "the map maker's settings are those of conf/preprocess/",
}


def is_this(data: Any) -> bool:
    """Whether plain data is such a file."""
    if not isinstance(data, Mapping):
        return False
    if isinstance(data.get("prompt_map"), Mapping):
        return True
    return {"motion_module", "path"} <= data.keys() and bool({"n_prompt", "lora_map", "guidance_scale"} & data.keys())


def read(data: Mapping[str, Any], source: Source) -> Found:
    """What such a file says."""
    found = Found(FORMAT, "text2video", source)
    for key, name in _FACTS.items():
        leaf = source.take(*key.split("."))
        if leaf is not None and leaf.value in ("", None):
            found.used(leaf, "empty: the default")
        else:
            found.say(name, leaf)
    if data.get("context_schedule", "uniform") == "uniform":
        found.imply("windows.schedule", "looped-uniform", "the tool's windows always run over the clip's end")
        found.imply("windows.closed_loop", True, "the tool's windows always run over the clip's end")
    _prompts(data, found)
    _seed(found)
    _adapters(found)
    _controls(data, found)
    _source_pictures(data, found)
    for key, why in _NO_EFFECT.items():
        found.used(source.take(*key.split(".")), why)
    for key, why in _LEFT.items():
        for leaf in source.under(*key.split(".")):
            found.left(leaf, why)
    if found.flow == "text2video":
        found.notes.append(
            "length and size are not in the file: the tool takes them from its command line (-L 16, -W 512, -H 512); "
            "16 frames of 512x512 px are taken"
        )
        for name, value in (("frames", 16), ("width", 512), ("height", 512)):
            found.imply(name, value, "the tool's default")
    return found


def _prompts(data: Mapping[str, Any], found: Found) -> None:
    """The prompt map with what stands around it, in the tool's own dialect."""
    source = found.source
    keyed = source.under("prompt_map")
    around = {name: source.take(name) for name in ("head_prompt", "tail_prompt", "prompt_fixed_ratio")}
    negatives = source.under("n_prompt")
    if not keyed or not isinstance(data.get("prompt_map"), Mapping) or not data["prompt_map"]:
        for leaf in [*keyed, *filter(None, around.values())]:
            found.left(leaf, "there are no prompts in prompt_map")
    else:
        _map(data, [*keyed, *filter(None, around.values())], found)
    for at, leaf in enumerate(negatives):
        if at or not isinstance(leaf.value, str):
            found.left(leaf, "the first negative prompt holds for the whole film")
        else:
            found.say("negative", leaf)


def _map(data: Mapping[str, Any], leaves: list[Leaf], found: Found) -> None:
    part = {
        name: data[name] for name in ("head_prompt", "prompt_map", "tail_prompt", "prompt_fixed_ratio") if name in data
    }
    try:
        schedule, told = schedules.read(json.dumps(part, ensure_ascii=False), "travel", "prompt")
    except ValueError as error:
        for leaf in leaves:
            found.left(leaf, str(error))
        return
    found.facts.append(Fact("prompt_schedule", (schedule, told), tuple(leaves)))
    late = [int(key.at.value) for key in schedule.keys if key.at.value >= 16]
    if late:
        found.notes.append(
            f"prompt_map reaches frame {max(late)}: give the film's length, frames={max(late) + 1} or more"
        )


def _seed(found: Found) -> None:
    leaf = found.source.take("seed") or found.source.take("seed", "0")
    if leaf is not None and leaf.value in ([], -1, None):
        found.left(leaf, "another seed each time there; here every render has its seed")
    else:
        found.say("seed", leaf)


def _adapters(found: Found) -> None:
    """LoRAs of both kinds, and the picture beside the prompt."""
    for key, kind in (("lora_map", "lora"), ("motion_lora_map", "motion_lora")):
        for leaf in found.source.under(key):
            if len(leaf.path) != 2 or number(leaf.value) is None:
                found.used(leaf, "there are none") if leaf.value == {} else found.left(
                    leaf, "a LoRA's weight is one number"
                )
                continue
            group = Group(kind, [Fact("file", leaf.path[1], (leaf,)), Fact("weight", leaf.value, (leaf,))], leaf.place)
            found.groups.append(group)
    at = "ip_adapter_map"
    on = found.source.take(at, "enable")
    if on is None or on.value is not True:
        _switched_off(on, at, found)
        return
    group = Group("ip_adapter", place=at)
    found.groups.append(group)
    found.used(on, "on")
    folder = found.source.take(at, "input_image_dir")
    found.say("picture", folder, how="the first picture of the folder holds for the whole film", group=group)
    found.say("weight", found.source.take(at, "scale"), group=group)
    for leaf in found.source.under(at):
        if leaf.path[1] in ("is_plus", "is_plus_face", "is_full_face", "is_light") and leaf.value is False:
            found.used(leaf, "off")
        else:
            found.left(leaf, "the standard IP-Adapter of the family, with one picture for the whole film")


def _switched_off(on: Leaf | None, at: str, found: Found) -> None:
    found.used(on, "switched off")
    for leaf in found.source.under(*at.split(".")):
        found.used(leaf, f"{at} is switched off")


def _controls(data: Mapping[str, Any], found: Found) -> None:
    units = data.get("controlnet_map")
    for name, unit in units.items() if isinstance(units, Mapping) else ():
        if not isinstance(unit, Mapping):
            continue
        at = ("controlnet_map", str(name))
        on = found.source.take(*at, "enable")
        if on is None or on.value is not True:
            _switched_off(on, ".".join(at), found) if "." not in str(name) else None
            continue
        if name == "controlnet_ref":
            found.used(on, "on")
            for leaf in found.source.under(*at):
                found.left(leaf, "a reference by attention has no counterpart; stylize.ip_adapter is near")
            continue
        _control(str(name), on, at, found)


def _control(name: str, on: Leaf, at: tuple[str, str], found: Found) -> None:
    group = Group("control", place=".".join(at))
    found.groups.append(group)
    found.flow = "dance"
    model, maker = _UNITS.get(name, (name, ""))
    group.facts.append(Fact("model", model, (on,)))
    ready = found.source.take(*at, "use_preprocessor")
    if ready is not None and ready.value is False:
        found.say("maker", ready, "none", group=group)
        for leaf in found.source.under(*at, "preprocessor"):
            found.used(leaf, "not used: use_preprocessor is off")
    else:
        found.used(ready, "maps are drawn from the frames, as here")
        if maker and (*at, "preprocessor", "type") not in found.source.leaves:
            group.facts.append(Fact("maker", maker, (), "the tool's default"))
    for key, fact in _CONTROL.items():
        found.say(fact, found.source.take(*at, *key.split(".")), group=group)
    for key, why in _CONTROL_LEFT.items():
        for leaf in found.source.under(*at, *key.split(".")):
            if leaf.value in (False, [], {}):
                found.used(leaf, "has no effect")
            else:
                found.left(leaf, why)
    if not any(fact.name == "clip" for fact in found.facts):
        folder = found.source.take("controlnet_map", "input_image_dir")
        if folder is not None and isinstance(folder.value, str) and folder.value:
            found.say("clip", folder, str(PurePosixPath("data") / folder.value / name))
        else:
            found.left(folder, "no folder of pictures is named")


def _source_pictures(data: Mapping[str, Any], found: Found) -> None:
    """Pictures that the film begins from; without them, maps alone decide."""
    at = "img2img_map"
    on = found.source.take(at, "enable")
    if on is not None and on.value is True:
        found.flow = "dance"
        found.used(on, "on")
        found.facts = [fact for fact in found.facts if fact.name != "clip" or _gives_way(fact, found)]
        found.say("clip", found.source.take(at, "init_img_dir"))
        found.say("strength", found.source.take(at, "denoising_strength"))
        for leaf in found.source.under(at):
            found.used(leaf, "the source's frames are kept anyway")
        return
    _switched_off(on, at, found)
    if found.flow == "dance":
        found.imply("strength", 1.0, "the tool begins from noise alone: only the maps come from the source")


def _gives_way(fact: Fact, found: Found) -> bool:
    for leaf in fact.leaves:
        found.left(leaf, "one clip is the source: img2img_map names it")
    return False
