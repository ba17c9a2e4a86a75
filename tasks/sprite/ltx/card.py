"""The model card of `sprite_ltx`, written from measured figures alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.files import write_atomic
from tasks.sprite.ltx.motions import ACTIONS
from tasks.sprite.ltx.networks import parameters

if TYPE_CHECKING:
    from tasks.sprite.ltx.settings import LtxSettings

BARS = (
    ("VAE, unseen drawn clips", "vae_psnr", 28.0, "dB"),
    ("first frame against the picture given", "first_key_psnr", 26.0, "dB"),
    ("first frame against the picture through the VAE once", "first_trip_psnr", 30.0, "dB"),
    ("action as named, reference wording", "action", 0.85, ""),
    ("action as named, any wording", "action_worded", 0.85, ""),
    ("camera as named", "camera", 0.85, ""),
    ("standing still: no joint farther than 1.5 % of the frame from where it was", "still", 0.9, ""),
    ("attributes at the last frame, the worst", "attributes_worst", 0.9, ""),
    ("last picture given: last frame against it", "last_psnr", 24.0, "dB"),
    ("picture at frame 12 at strength 0.5: nearer than without, gain", "middle_gain", 0.0, "dB"),
    ("the same over strengths 0, 0.25, 0.5, 0.75, 1: the least gain of a step", "middle_least_step", 0.0, "dB"),
    ("two prompts differ more than two seeds, share of pictures", "prompts_over_seeds", 0.9, ""),
)
"""What it is called, its figure, the aim, the unit."""
INSTRUMENTS = (
    ("reader of motions, drawn clips: action, camera (means over classes), both (share of clips)", "reader_drawn_{}"),
    ("the same through the VAE", "reader_decoded_{}"),
)


def write_card(folder: Path, cfg: LtxSettings, figures: Mapping[str, float], pipe: Any) -> None:
    """`README.md` of the exported family: parts, words, settings and every bar, missed ones too."""
    write_atomic(folder / "README.md", card(folder, cfg, figures, pipe).encode())
    (folder / "README.md").chmod(0o644)


def card(folder: Path, cfg: LtxSettings, figures: Mapping[str, float], pipe: Any) -> str:
    """The text of the card."""
    parts = {"transformer": pipe.transformer, "vae": pipe.vae, "text_encoder": pipe.text_encoder}
    counts = {name: parameters(part) for name, part in parts.items()}
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    rows = "\n".join(
        f"| {name} | {type(parts[name]).__name__} | {count / 1e6:.2f} M |" for name, count in counts.items()
    )
    measured = "\n".join(_row(*bar, figures) for bar in BARS if bar[1] in figures)
    read = "\n".join(_read(*one, figures) for one in INSTRUMENTS if one[1].format("action") in figures)
    each = {name: figures[f"action_{name}"] for name in ACTIONS if f"action_{name}" in figures}
    further = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in each.items())
    gates = cfg.gates
    return TEXT.format(
        total=sum(counts.values()) / 1e6, size=size / 1e6, frames=cfg.frames, rows=rows, measured=measured, read=read,
        further=further, count=gates.count, steps=gates.steps, guidance=gates.guidance, date=time.strftime("%Y-%m-%d"),
        tokens=len(pipe.tokenizer),
    )  # fmt: skip


def _read(label: str, key: str, figures: Mapping[str, float]) -> str:
    shown = ", ".join(f"{figures[key.format(kind)]:.3f}" for kind in ("action", "camera", "motion"))
    return f"| {label} | {shown} | | |"


def _row(label: str, key: str, aim: float, unit: str, figures: Mapping[str, float]) -> str:
    value = figures[key]
    shown = f"{value:.1f} {unit}" if unit else f"{value:.3f}"
    asked = f"> 0 {unit}" if aim == 0 else f"{aim:g} {unit}".strip()
    met = value > aim if aim == 0 else value >= aim
    return f"| {label} | {shown} | {asked} | {'yes' if met else '**no**'} |"


TEXT = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: image-to-video
tags: [image-to-video, ltx-video, tiny]
---
# sprite_ltx: the second half of Rotoscope's embedded model family

An image-to-video family of {total:.1f} million parameters ({size:.1f} MB): a drawn figure of 128 x 128 px comes to
life for {frames} frames as a prompt says. It is made of the classes of LTX-Video, with 8 frames a latent cell and 8k+1
frames as there, but with patches of 2 px instead of 4, so that a cell has 16 x 16 px: its pictures are so small. It is
trained from nothing, on drawn clips alone: no photograph, no film and no other model's output was used.

**What it is for**: running and testing an image-to-video workflow for meaning on a CPU in seconds. **What it is not**:
an artist. It knows one kind of figure before a flat background and the motions below. It must not be used to judge what
real models can do.

| folder | class | parameters |
|---|---|---|
{rows}
| tokenizer | T5Tokenizer of {tokens} pieces | - |
| scheduler | FlowMatchEulerDiscreteScheduler, no shift | - |

`LTXConditionPipeline.from_pretrained` loads it. Settings: {steps} steps, guidance {guidance:g}, {frames} frames at 12,
24 or 25 frames a second, `max_sequence_length` 64.

Words: she (he, the girl, a dancer ...) *stands still*, *waves* (with the right, the left, both arms), *steps to the
left* or *right*, *jumps*, *bows*, *turns around*; *push-in*, *pan left*, *pan right*, *static camera*. Left and right
of steps and pans are the picture's, of arms the figure's own. `she waves` is the right arm. Example: `she waves with
both arms, slow push-in`. The picture says how the figure looks; words for that change nothing.

## Measured ({date})
Fresh figures that stand at first, n = {count} a row, classes balanced; motions and attributes read by the first half's
probe. One command, which writes this file anew:
`rotoscope train-sprite "stages=[ltx_gates]" ltx.output=data/models/sprite_ltx ltx.gates.count={count}`.

| what | figure | aim | met |
|---|---|---|---|
{measured}
{read}

Actions as named, one by one: {further}.

Licence: Apache-2.0, as the project.
"""
