"""The settings of the renderer's ops for varied renders, by their digests.

Where one changes, so do keys, and every cached render of that kind is computed anew. After a change that is meant to do
that: ``python -m tests.flows.test_dance_settings``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.config.compose import plain_settings
from flows.config.root import Root
from flows.dance.plan import plan
from flows.dance.settings import Dance
from reel.config import parse
from reel.files import canonical_json, sha256_bytes
from reel.keys import canonical, executed
from reel.store import Store

GOLDEN = Path(__file__).parents[1] / "golden" / "dance_settings.json"
OPS = ("encode", "embed", "denoise", "decode")
BASE = {
    "compute": {"device": "cpu", "dtype": "float32", "memory_format": "contiguous"},
    "extract": {"max_frames": 8},
    "stylize": {"guidance_scale": 4.0},  # so that negative words and schedules of guidance count
}
"""The same on every machine, for a clip of a second."""

LINES = {"preprocess": "lineart_standard", "kind": "lineart", "weight": 0.5}
KEYFRAMES = [{"at": 0, "scale": 1}, {"at": 0.5, "scale": 0.3, "interpolate": "linear"}]
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "a weight": {"controls": {"pose": {"weight": 0.6}}},
    "two controls": {"controls": {"lineart": {**LINES, "weight": 0.3}}},
    "a dead control": {"controls": {"lineart": {**LINES, "weight": 0}}},
    "a control that its schedule leaves at 0": {"controls": {"lineart": {**LINES, "weight_schedule": "0: 0"}}},
    "no control": {"controls": {"pose": {"weight": 0}}, "stylize": {"control_every": 3}},
    "part of the steps": {"controls": {"pose": {"control_guidance_end": 0.6, "control_on": "cond"}}},
    "keyframes": {"controls": {"pose": {"timestep_keyframes": KEYFRAMES, "soft": 0.825}}},
    "layers": {"controls": {"pose": {"layer_weights": [1, 1, 1, 1, 0.5, 0.5, 0.5]}}},
    "a mask": {"controls": {"lineart": {**LINES, "mask": {"region": "hair", "dilate": 2}}}},
    "a file of masks": {"controls": {"pose": {"mask": {"region": "file", "feather": 3}, "mask_file": "mask.png"}}},
    "a region": {"regions": {"wall": {"prompt": "yellow background", "mask": {"region": "background"}, "weight": 0.7}}},
    "a dead region": {"regions": {"wall": {"prompt": "nothing", "mask": {"region": "face"}, "weight": 0}}},
    "schedules": {
        "controls": {"pose": {"weight_schedule": "0: 1; 100%: 0.3"}},
        "strength_schedule": "0: 1; 4: 0.4",
        "guidance_schedule": "0: 1; 100%: 0.5",
    },
    "prompts": {"prompt_schedule": "0 blend: a red top; -1: a blue top", "negative_prompt": "green"},
    "prompts and a region": {
        "prompt_schedule": "0: a red top; 4: a blue top",
        "regions": {"hat": {"prompt": "a hat", "mask": {"region": "hair"}}},
    },
    "a negative prompt": {"negative_prompt": "blurred", "seed": 7, "stylize": {"clip_skip": 1}},
    "no guidance": {"negative_prompt": "blurred", "stylize": {"guidance_scale": 1, "guidance_end": 0.5}},
    "the filmed place": {"stylize": {"composite": "keep_background", "composite_dilate": 4}},
    "FreeInit": {"stylize": {"strength": 0.8, "free_init": {"iterations": 2, "method": "gaussian", "order": 7}}},
    "windows": {
        "extract": {"max_frames": 24, "fps": 12},
        "stylize": {"windows": {"context_length": 8, "context_overlap": 2, "fuse_method": "flat"}},
    },
    "less work": {"stylize": {"control_every": 2, "first_block_cache": 0.1, "guidance_end": 0.7}},
    "chunks": {"stylize": {"encode_chunk_size": 4, "decode_chunk_size": 2, "decode_tiling": True, "frame_block": 4}},
    "number formats": {
        "compute": {"dtype": "bfloat16", "memory_format": "channels_last", "attention": "math"},
    },
    "a budget": {"extract": {"short_side": 256}, "compute": {"max_memory": "900MiB"}},
    "another VAE": {"stylize": {"vae": {"kind": "embedded", "id": "sprite", "subfolder": "vae"}}},
    "another sampler": {"stylize": {"scheduler": "euler_a", "num_inference_steps": 9, "strength": 0.7}},
    "emphasis": {"prompt": "a (red:1.2) top, [green] hair", "seed": 9},
}


def composed() -> dict[str, Any]:
    """The settings of `dance` as conf/ has them."""
    return plain_settings(Root("dance", Dance))


def merged(base: Any, change: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(change, Mapping)):
        return change
    return {**base, **{name: merged(base.get(name), value) for name, value in change.items()}}


def digests(defaults: Mapping[str, Any], change: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Digest of each op's settings in the form that its key has them."""
    data = merged(merged(copy.deepcopy(dict(defaults)), BASE), change)
    data["paths"] = {**data["paths"], "store": str(folder / "store")}
    for control in data["controls"].values():
        if control.get("mask_file"):
            control["mask_file"] = str(folder / control["mask_file"])
    stages = plan(parse(Dance, data), Store(folder / "store")).stylize
    return {name: sha256_bytes(canonical_json(canonical(executed(getattr(stages, name)))))[:16] for name in OPS}


def prepared(folder: Path) -> Path:
    Image.new("RGB", (128, 128), "white").save(folder / "mask.png")
    return folder


@pytest.fixture(scope="module")
def defaults() -> dict[str, Any]:
    return composed()


@pytest.mark.parametrize("name", CASES)
def test_the_settings_of_the_ops_stay_what_they_were(name: str, defaults: dict[str, Any], tmp_path: Path) -> None:
    assert digests(defaults, CASES[name], prepared(tmp_path)) == json.loads(GOLDEN.read_text("utf-8"))[name]


def test_what_has_no_effect_is_the_same_render() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert golden.keys() == CASES.keys()
    same = {name for name, found in golden.items() if found == golden["default"]}
    assert same == {"default", "a dead control", "a control that its schedule leaves at 0", "a dead region"}


def main() -> None:
    """Write the golden file for the settings as they stand."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place, defaults = prepared(Path(folder)), composed()
        found = {name: digests(defaults, change, place) for name, change in CASES.items()}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
