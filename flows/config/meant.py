"""What somebody probably meant who typed a key, a flag or a word that nothing reads: names of other tools included."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePath

from flows.config.quoting import TextKey
from reel.errors import UserError

OTHER_NAMES = {
    "steps": "num_inference_steps", "sampling_steps": "num_inference_steps", "ddim_steps": "num_inference_steps",
    "cfg": "guidance_scale", "cfg_scale": "guidance_scale", "guidance": "guidance_scale",
    "sampler": "scheduler", "sampler_name": "scheduler",
    "denoise": "strength", "denoising_strength": "strength",
    "negative": "negative_prompt", "neg": "negative_prompt", "n_prompt": "negative_prompt",
    "input": "clip", "video": "clip", "source": "clip", "file": "clip", "i": "clip",
    "image": "picture", "img": "picture", "init_image": "picture", "p": "prompt",
    "output": "paths.output", "out": "paths.output", "o": "paths.output", "outdir": "paths.output",
    "size": "short_side", "resolution": "short_side", "w": "width", "h": "height",
    "framerate": "fps", "frame_rate": "fps", "r": "fps", "num_frames": "max_frames", "length": "max_frames",
    "controlnet": "control", "controlnet_scale": "weight", "conditioning_scale": "weight",
    "checkpoint": "model", "ckpt": "model", "lora": "loras", "codec": "format", "quality": "crf",
}  # fmt: skip
"""What other tools call it -> the last part of our key, or a whole one."""


def nearest(key: str, known: Sequence[str], most: int = 3) -> list[str]:
    """Known keys that a key may stand for, the likeliest first: by its last part, by another tool's name for it, by a
    word of it, by its letters.
    """
    parent, _, last = key.rpartition(".")
    ours = OTHER_NAMES.get(last.lower().replace("-", "_"))
    branches = {one.rpartition(".")[0] for one in known}
    leaves = [one for one in known if one not in branches]

    def ends(name: str) -> list[str]:
        return [one for one in known if one == name or one.endswith(f".{name}")]

    def words() -> list[str]:
        return [one for one in leaves if last in one.rpartition(".")[2].split("_")] if len(last) > 2 else []

    for found in (ends(key), ends(ours) if ours else [], words()):
        if found:
            return sorted(found, key=lambda one: (one.rpartition(".")[0] != parent, one.count(".")))[:most]
    return difflib.get_close_matches(key, leaves, n=most, cutoff=0.5)


def written(key: str, value: str) -> str:
    """A setting as it is typed in a shell; without a value that is known, with dots in its place."""
    return f"{key}={_quoted(value)}" if value else f"{key}=..."


def _quoted(value: str) -> str:
    return f'"{value}"' if re.fullmatch(r"""[^"$`\\!]*[\s'()&;|<>*?#~][^"$`\\!]*""", value) else shlex.quote(value)


def flag(name: str, value: str, known: Sequence[str], flags: Sequence[str]) -> UserError:
    """For a flag that there is not.

    Args:
        name: as it was typed: ``-o``, ``--steps=20``.
        value: the word behind it, where that can be its value.
        known: keys of the settings.
        flags: those that there are.
    """
    bare, equals, own = name.lstrip("-").partition("=")
    near = difflib.get_close_matches(name, flags, n=3, cutoff=0.7)
    keys = [] if near else nearest(bare.replace("-", "_"), known, 1)
    if not keys:
        told = f"; nearest: {', '.join(near)}" if near else ""
        return UserError(f"unknown flag {name}{told}", fix="--help shows the usage")
    given = own if equals else value
    if keys[0] == "paths.output":  # a folder, and other tools name the file
        folder = str(PurePath(given).with_suffix("")) if given else "FOLDER"
        return UserError(
            f"unknown flag {name}: settings have no dashes, and a render goes into a folder of its own",
            fix=f"{written(keys[0], folder)}; the film in it is movie.mp4",
        )
    return UserError(f"unknown flag {name}: settings have no dashes", fix=written(keys[0], given))


def check_words(words: Sequence[str], texts: Sequence[TextKey], input_key: Callable[[], str | None]) -> None:
    """Words without ``=`` set nothing: they are the rest of a text that lost its quotes, or a file without its key.

    Args:
        words: overrides as they were typed.
        texts: keys whose values are literal.
        input_key: gives the key of the file that the flow works on; None: it has none.

    Raises:
        UserError: there is one; the fix is what was probably meant.
    """
    loose = [place for place, word in enumerate(words) if not word.partition("=")[0] or "=" not in word]
    loose = [place for place in loose if not words[place].startswith("~")]
    if not loose:
        return
    first = loose[0]
    message = f"not of the form key=value: {words[first]!r}"
    key, _, begun = words[first - 1].partition("=") if first else ("", "", "")
    if any(one.matches(key.lstrip("+")) for one in texts):
        last = next((place for place in range(first, len(words)) if place not in loose), len(words))
        whole = " ".join([begun, *words[first:last]])
        raise UserError(f"{message}; the shell divides a text at its spaces", fix=written(key, whole))
    if re.fullmatch(r"\.[A-Za-z]\w*", PurePath(words[first]).suffix) and (name := input_key()):
        raise UserError(message, fix=written(name, words[first]))
    raise UserError(message, fix="write a key in front of it, such as seed=3; --help lists the keys")
