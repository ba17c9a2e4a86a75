"""Infotexts of AUTOMATIC1111's web UI and its relatives, with what AnimateDiff and ControlNet write into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reel.imports import schedules
from reel.imports.found import Fact, Found, Group, Leaf, Source
from reel.infotext import Infotext, split_file

FORMAT = "web UI infotext"
_KEYED = re.compile(r"^\d+:\s", re.MULTILINE)
_FACTS = {
    "steps": "steps",
    "cfg scale": "cfg",
    "seed": "seed",
    "sampler": "sampler",
    "schedule type": "spacing",
    "clip skip": "clip_skip",
    "model": "checkpoint",
    "vae": "vae",
    "animatediff model": "motion",
    "animatediff video_length": "frames",
    "animatediff fps": "fps",
    "animatediff batch_size": "windows.length",
    "animatediff overlap": "windows.overlap",
    "animatediff stride": "windows.stride",
    "animatediff freeinit_filter": "free_init.method",
    "animatediff freeinit_ds": "free_init.spatial",
    "animatediff freeinit_dt": "free_init.temporal",
    "animatediff freeinit_iters": "free_init.iterations",
}
"""The fact that each parameter says, by its name in small letters."""
_UNIT = {
    "module": "maker",
    "preprocessor": "maker",
    "model": "model",
    "weight": "weight",
    "guidance start": "start",
    "guidance end": "end",
    "control mode": "mode",
}
_UNIT_NO_EFFECT = ("low vram", "pixel perfect", "save detected map", "hr option")
_LEFT = {
    "model hash": "the checkpoint is known by its name; a hash of another kind stands in the render's own record",
    "version": "of the program that wrote it",
    "hires": "a second, larger pass has no counterpart; finish=[upscale] makes the film larger",
    "eta": "the scheduler's own",
    "ensd": "noise is drawn from the seed as it is",
    "variation": "noise is drawn from one seed",
    "mask blur": "there is no mask",
    "lora hashes": "LoRAs are known by their names",
    "ti hashes": "textual inversions are known by their names",
    "face restoration": "faces are not repaired afterwards",
    "animatediff closed_loop": "whether the end leads into the beginning: stylize.windows.closed_loop",
    "animatediff loop_number": "how often a player repeats it",
    "animatediff interp": "frames in between: finish=[interpolate]",
    "animatediff latent": "a still's strength over the frames has no counterpart",
    "animatediff mm_hash": "the motion module is known by its name",
    "animatediff version": "of the program that wrote it",
    "animatediff request_id": "of the program that wrote it",
    "tiling": "frames do not repeat like tiles",
}
"""Why parameters are not mapped, by how their names begin."""


_MOST = 20_000
"""Characters of parameters that are read."""
_PIECE = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^,\n])+')
_INNER = re.compile(r"(?:\([^()]*\)|[^,])+")
_NAMED = re.compile(r"\s*([A-Za-z][\w /+.-]{0,60}?)\s*:\s*(.*)", re.DOTALL)
_NESTED = re.compile(r"(animatediff|controlnet(?: \d+)?)$", re.IGNORECASE)


def is_this(text: str) -> bool:
    """Whether a text is an infotext."""
    return split_file(text) is not None


def opened(text: str, name: str, folder: Path) -> Source:
    """An infotext's leaves: the prompt, the negative prompt, and each parameter; those of AnimateDiff and of
    ControlNet units one by one.

    Raises:
        ValueError: the text is none.
    """
    taken = split_file(text)
    if taken is None:
        raise ValueError("this is not an infotext")
    return Source(name, folder, _leaves(text, taken))


def _leaves(text: str, taken: Infotext) -> Iterator[Leaf]:
    if taken.positive:
        yield Leaf(("prompt",), "line 1: the prompt", taken.positive)
    if taken.negative:
        line = text.count("\n", 0, taken.negative_at[0]) + 1
        yield Leaf(("negative prompt",), f"line {line}: the negative prompt", taken.negative)
    behind = text[taken.negative_at[1] :]
    seen: dict[str, int] = {}
    for match in _PIECE.finditer(behind, 0, _MOST):
        if match[0].strip():
            line = text.count("\n", 0, taken.negative_at[1] + match.start()) + 1
            yield from _parameter(match[0].strip(), f"line {line}", seen)
    if behind[_MOST:].strip():
        yield Leaf(("rest",), f"behind the first {_MOST} characters of parameters", behind[_MOST : _MOST + 40])


def _parameter(piece: str, line: str, seen: dict[str, int]) -> Iterator[Leaf]:
    named = _NAMED.fullmatch(piece)
    name, value = (named[1], named[2].strip()) if named else ("", piece)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"')
    key = name.lower()
    seen[key] = seen.get(key, 0) + 1
    path = key if seen[key] == 1 else f"{key} #{seen[key]}"
    if _NESTED.fullmatch(key) and ":" in value and seen[key] == 1:
        yield from _inner(path, name, value, line)
    else:
        yield Leaf((path,), f"{line}: {name or _shown(piece)}", value)


def _inner(path: str, name: str, value: str, line: str) -> Iterator[Leaf]:
    seen: set[str] = set()
    for number, match in enumerate(_INNER.finditer(value)):
        if not match[0].strip():
            continue
        named = _NAMED.fullmatch(match[0])
        inner = named[1] if named else _shown(match[0].strip())
        key = inner.lower() if inner.lower() not in seen else f"{inner.lower()} #{number}"
        seen.add(key)
        yield Leaf((path, key), f"{line}: {name}: {inner}", named[2].strip() if named else match[0].strip())


def _shown(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:26]}..."


def read(source: Source) -> Found:
    """What an infotext says."""
    found = Found(FORMAT, "text2video", source)
    _texts(found)
    _size(found)
    _denoising(found)
    _motion(found)
    _units(found)
    for name, fact in _FACTS.items():
        leaf = source.take(*name.split(" ", 1)) if name.startswith("animatediff") else source.take(name)
        found.say(fact, leaf)
    for start, why in _LEFT.items():
        for path in [path for path in source.leaves if " ".join(path).startswith(start)]:
            found.left(source.take(*path), why)
    return found


def _texts(found: Found) -> None:
    leaf = found.source.take("prompt")
    if leaf is not None and _KEYED.search(leaf.value):
        try:
            found.facts.append(Fact("prompt_schedule", schedules.read(leaf.value, "webui", "prompt"), (leaf,)))
        except ValueError as error:
            found.left(leaf, str(error))
    else:
        found.say("prompt", leaf)
    found.say("negative", found.source.take("negative prompt"))


def _size(found: Found) -> None:
    leaf = found.source.take("size")
    match = re.fullmatch(r"\s*(\d{1,6})\s*[x\u00d7]\s*(\d{1,6})\s*", str(leaf.value)) if leaf is not None else None
    if leaf is not None and match is None:
        found.left(leaf, "no size, such as 512x768")
    elif leaf is not None and match is not None:
        found.say("width", leaf, int(match[1]))
        found.say("height", leaf, int(match[2]))


def _denoising(found: Found) -> None:
    """Of a picture's second pass, or of what a film goes from."""
    leaf = found.source.take("denoising strength")
    hires = any(path[0].startswith("hires") for path in found.source.leaves)
    if leaf is not None and hires:
        found.left(leaf, _LEFT["hires"])
    elif leaf is not None:
        found.flow = "dance"
        found.say("strength", leaf)
        found.notes.append("the source is not in an infotext: dance needs its clip")


def _motion(found: Found) -> None:
    """What AnimateDiff writes, but for what is a fact by its name."""
    source, at = found.source, "animatediff"
    free = source.take(at, "freeinit_enable")
    if free is not None and str(free.value).lower() == "true":
        found.used(free, "on")
        found.imply("free_init.iterations", 3, "the extension's default")
    elif free is not None:
        found.used(free, "switched off")
        for path in [path for path in source.leaves if path[0] == at and path[-1].startswith("freeinit_")]:
            found.used(source.take(*path), "FreeInit is switched off")
    for name, plain in (("overlap", "-1"), ("video_length", "0"), ("enable", "True")):
        leaf = source.leaves.get((at, name))
        if leaf is not None and str(leaf.value) == plain:
            found.used(source.take(at, name), "the extension's default, as here")
    loop = source.take(at, "closed_loop")
    if loop is not None and loop.value == "A":
        found.say("windows.closed_loop", loop, True)
        found.imply("windows.schedule", "looped-uniform", "what a closed loop needs")
    elif loop is not None and loop.value == "N":
        found.used(loop, "no loop, as here")
    elif loop is not None:
        found.left(loop, _LEFT["animatediff closed_loop"])
    if any(path[0] == at for path in source.leaves):
        return
    found.notes.append("one picture, without AnimateDiff: here it becomes a film of 16 frames")


def _units(found: Found) -> None:
    """ControlNet's units, each a control."""
    names = sorted({path[0] for path in found.source.leaves if path[0].startswith("controlnet") and len(path) == 2})
    for name in names:
        group = Group("control", place=name)
        found.groups.append(group)
        found.flow = "dance"
        for leaf in found.source.under(name):
            _of_unit(leaf, group, found)
    if names and not any(fact.name == "strength" for fact in found.facts):
        found.imply("strength", 1.0, "the web UI begins from noise alone: only the maps come from the source")


def _of_unit(leaf: Leaf, group: Group, found: Found) -> None:
    key = leaf.path[1]
    pair = re.fullmatch(r"\(\s*([\d.]+)\s*,\s*([\d.]+)\s*\)", str(leaf.value))
    if key in _UNIT:
        group.facts.append(Fact(_UNIT[key], leaf.value, (leaf,)))
    elif key == "starting/ending" and pair is not None:
        group.facts += [Fact("start", pair[1], (leaf,)), Fact("end", pair[2], (leaf,))]
    elif key in _UNIT_NO_EFFECT:
        found.used(leaf, "has no effect on a film")
    elif key in ("processor res", "preprocessor params", "threshold a", "threshold b"):
        found.left(leaf, "the map maker's settings are those of conf/preprocess/")
    elif key == "resize mode":
        found.left(leaf, "a control's map has the frames' size and shape")
    else:
        found.left(leaf, "a control here has no such setting")
