"""Do pictures follow a prompt schedule? The sample clip with the embedded family, from a red top to a blue one.

``python -m benchmarks.schedule_meaning --work /tmp/meaning --picture /tmp/red-to-blue.png`` renders the clip
twice with `dance`, switching (hold) and mixing (blend), lets the family's probe say at every frame how probable a blue
top is against a red one, and exits with 1 when a bar is missed: the switch within 2 frames of its place, and a rank
correlation with the compiled weights of at least 0.8.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import runs
from reel.clip import Clip
from reel.schedule.compile import PromptTrack, compile_prompts
from reel.schedule.read import read
from reel.store import Store

FRAMES = 16
WORDS = "a girl with short black hair in a {} top and a green skirt, yellow background, dancing"  # long hair hides tops
RED, BLUE = WORDS.format("red"), WORDS.format("blue")
WITHIN, CORRELATION = 2, 0.8


def schedules(frames: int) -> dict[str, str]:
    """A switch in the middle of the clip, and a mix from its first frames to its last."""
    return {
        "hold": f"0: {RED}; {frames // 2}: {BLUE}",
        "blend": f"then: blend; 0-2: {RED}; {frames - 2}: {BLUE}",
    }


def pictures(store: Path, schedule: str, frames: int, more: Sequence[str] = ()) -> np.ndarray:
    """Frames ``(F, H, W, 3)`` uint8 of the sample clip rendered with a prompt schedule."""
    runs.dance(
        store, [f"prompt_schedule={schedule}", "tracking=none", "measure=none", f"extract.max_frames={frames}", *more]
    )
    clip = Clip.open(Store(store), runs.digests(store)["stylize.decode"])
    return np.stack([clip.frame(i) for i in range(len(clip))])


def blueness(frames: np.ndarray) -> np.ndarray:
    """(F,) probability 0..1 that the probe gives to a blue top, of blue and red."""
    import torch

    from tasks.sprite import probe
    from tasks.sprite.stage_vae import to_signed

    reader = probe.load(runs.SPRITE / "probe.safetensors")
    with torch.no_grad():
        logits = reader(to_signed(frames))[0]
    colours = reader.spec.choices["top_color"]
    both = logits[list(reader.spec.choices).index("top_color")][:, [colours.index("red"), colours.index("blue")]]
    return both.softmax(1)[:, 1].double().numpy()


def track(schedule: str, frames: int) -> PromptTrack:
    return compile_prompts(read(schedule), frames)


def wanted(track: PromptTrack) -> np.ndarray:
    """(F,) compiled weight of the blue prompt."""
    return track.weights(track.texts.index((BLUE, "")))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, ties sharing their mean rank."""

    def ranks(values: np.ndarray) -> np.ndarray:
        _, number, count = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(count) - (count - 1) / 2)[number]

    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def figures(name: str, found: np.ndarray, weights: np.ndarray) -> tuple[str, bool]:
    """One line of the table, and whether its bar is reached."""
    if name == "hold":
        switched = int(np.argmax(found > 0.5)) if (found > 0.5).any() else len(found)
        switch = int(np.argmax(weights > 0.5))
        return f"hold: blue from frame {switched}, scheduled at {switch} (bar: within {WITHIN})", (
            abs(switched - switch) <= WITHIN
        )
    correlation = rank_correlation(found, weights)
    return f"blend: rank correlation {correlation:.3f} (bar: {CORRELATION})", correlation >= CORRELATION


def sheet(rows: list[np.ndarray], path: Path, every: int = 2) -> None:
    """Each ``every``-th frame of every render, one row a render."""
    from PIL import Image

    Image.fromarray(np.concatenate([np.concatenate(list(row[::every]), axis=1) for row in rows], axis=0)).save(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the store; a second run reuses it")
    parser.add_argument("--picture", type=Path, help="contact sheet: hold above, blend below")
    parser.add_argument("more", nargs="*", help="further overrides of dance")
    args = parser.parse_args()
    missed, rows = False, []
    for name, schedule in schedules(FRAMES).items():
        frames = pictures(args.work / "store", schedule, FRAMES, args.more)
        found = blueness(frames)
        line, good = figures(name, found, wanted(track(schedule, FRAMES)))
        print(f"{line}\n  probability of blue: {' '.join(f'{p:.2f}' for p in found)}", flush=True)
        missed |= not good
        rows.append(frames)
    if args.picture is not None:
        sheet(rows, args.picture)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
