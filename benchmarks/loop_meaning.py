"""What `text2video`, `loop` and `timeframe` make of words and pictures, on the embedded family and read by its probe.

    python -m benchmarks.loop_meaning                              # all of it
    python -m benchmarks.loop_meaning --only loop sparsectrl       # text, hold, blend, loop, tile, sparsectrl
    python -m benchmarks.loop_meaning --n 60 --sheet /tmp/sheets --json rows.json

text       16 frames from words alone: the share of frames that show each attribute
hold       two prompts that differ in the top's colour, the second from frame 8 on: where the frames change
blend      the same two, mixed from the first frame to the last: rank correlation of the colour with the weights
loop       two drawings of one pose, one garment's colour changed, at 0 and 8 of 16 frames: how near the given frames
           come to their round trip through the VAE, the joint against the steps within, flashes after the guard
tile, sparsectrl   `timeframe`: four drawings on four ranges of 16 frames: the attributes of each, how far a change lies
           from its border

Figures are of unseen drawings and words. Every render goes through the project's own ops in a store of its own. It
exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import renderer
from benchmarks.runs import ROOT, SPRITE
from benchmarks.schedule_meaning import rank_correlation
from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.config import parse
from reel.schedule.compile import PromptTrack
from reel.store import Store
from tasks.measure.first_frame import psnr
from tasks.measure.flash import outside
from tasks.preprocess.tile import Tile
from tasks.sprite import probe
from tasks.sprite.attributes import Attributes, random_attributes
from tasks.sprite.captions import FACE, plain_caption
from tasks.sprite.clips import sampling_of
from tasks.sprite.drawing import draw_figure
from tasks.sprite.poses import person_of
from tasks.stylize.blank import Blank
from tasks.stylize.match_colour import MatchColour
from tasks.stylize.ordered import Ordered

FRAMES = 16
RANGES = ((0, 4), (4, 8), (8, 12), (12, 16))
LATE = 2
"""Frames that a change may lie from its border."""


@dataclass
class Bench:
    """The family, a store, and the rows of the table so far."""

    n: int
    seed: int
    store: Store
    sheets: Path | None
    sparsectrl: str
    threads: int
    rows: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = yaml.safe_load((ROOT / "conf" / "model" / "sprite.yaml").read_text())
        if self.sparsectrl:
            self.model["sparsectrls"] = {"rgb": {"kind": "embedded", "id": self.sparsectrl}}
        self.probe = probe.load(SPRITE / "probe.safetensors")
        self.spec, self.sampling = self.probe.spec, sampling_of(SPRITE)
        self.ctx = op.Context(self.store, Compute(device="cpu", threads=self.threads))

    def row(self, what: str, figure: str, bar: str, met: bool) -> None:
        self.rows.append((what, figure, bar, met))
        print(f"{what:62s} {figure:40s} {bar}{'' if met else '   missed'}", flush=True)

    def run(self, kind: str, name: str, cfg: Any, given: dict[str, str]) -> str:
        return op.get(kind, name).fn(cfg, given, self.ctx)

    def clip(self, pictures: np.ndarray, kind: Any = "rgb") -> str:
        side = self.spec.frame
        with ClipWriter(self.store, kind, width=side, height=side, time_base=Fraction(1, 8)) as writer:
            for index, picture in enumerate(pictures):
                writer.add(picture, index)
        return writer.digest

    def drawings(self, number: int, count: int) -> tuple[np.ndarray, list[Attributes]]:
        """Drawings ``(count, S, S, 3)`` of one figure in one pose, each with a top of another colour."""
        rng = np.random.default_rng([self.seed, number])
        person, first = person_of(rng, self.spec), random_attributes(rng, self.spec.choices)
        if first.bottom == "dress":  # top and bottom in one
            first = replace(first, bottom="trousers")
        colours = rng.permutation([name for name in self.spec.choices["top_color"] if name != first.bottom_color])[
            :count
        ]
        wanted = [replace(first, top_color=str(colour)) for colour in colours]
        return np.stack([draw_figure(person, one, self.spec.frame).rgb for one in wanted]), wanted

    def second_colour(self, clip: np.ndarray, wanted: Sequence[Attributes]) -> np.ndarray:
        """Probability ``(F,)`` that the probe gives to the second one's top, of the two."""
        import torch

        from tasks.sprite.stage_vae import to_signed

        colours, column = self.spec.choices["top_color"], list(self.spec.choices).index("top_color")
        with torch.no_grad():
            logits = self.probe(to_signed(clip))[0][column][:, [colours.index(one.top_color) for one in wanted]]
        found: np.ndarray = logits.softmax(1)[:, 1].double().numpy()
        return found

    def words(self, wanted: Attributes) -> str:
        return plain_caption(wanted, self.spec.choices)

    def render(
        self, track: PromptTrack, given: Mapping[str, str] | None = None, seed: int | None = None, **more: Any
    ) -> tuple[Any, np.ndarray]:
        """Stages, and a clip ``(F, S, S, 3)`` from noise by the words of a track."""
        given = given or {}
        how = {"num_inference_steps": self.sampling.steps, "guidance_scale": self.sampling.guidance_scale}
        stages = renderer.stages(
            self.model, track, strength=1.0, seed=self.seed if seed is None else seed, **how, **more
        )
        side = self.spec.frame
        size = parse(Blank, {"width": side, "height": side, "frames": len(track.a), "fps": 8})
        inputs = {
            "latents": self.run("stylize", "blank", size, {}),
            "embeddings": self.run("stylize", "embed", stages.embed, {}),
            **{name: self._told(stages, name, digest) for name, digest in given.items()},
        }
        denoised = self.run("stylize", "denoise", stages.denoise, inputs)
        decoded = self.run("stylize", "decode", stages.decode, {"latents": denoised})
        return stages, Clip.open(self.store, decoded).array()

    def _told(self, stages: Any, name: str, digest: str) -> str:
        """A SparseCtrl's pictures as latents, maps as they are."""
        return (
            self.run("stylize", "encode", stages.encode, {"frames": digest}) if name.startswith("sparse_") else digest
        )

    def trip(self, stages: Any, pictures: np.ndarray) -> np.ndarray:
        """Pictures through the VAE and back."""
        from tasks.networks import stored

        tensors, meta = stored.take(
            self.store, self.run("stylize", "encode", stages.encode, {"frames": self.clip(pictures)}), "latents"
        )
        times = {name: meta[name] for name in stored.TIMES}
        scaled = {"latents": tensors["mean"] * meta["scaling_factor"]}
        latents = stored.put(self.store, "latents", scaled, stage="denoised", **times)
        return Clip.open(self.store, self.run("stylize", "decode", stages.decode, {"latents": latents})).array()

    def sheet(self, name: str, *clips: np.ndarray) -> None:
        if self.sheets is not None:
            from PIL import Image

            self.sheets.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.vstack([np.hstack(list(clip)) for clip in clips])).save(self.sheets / f"{name}.png")


def worded(prompts: Sequence[str], a: Sequence[int], b: Sequence[int], blend: Sequence[float]) -> PromptTrack:
    """Frame f has the words ``prompts[a[f]]``, mixed with those of ``b[f]`` by ``blend[f]``."""
    return PromptTrack(tuple((one, "") for one in prompts), np.array(a), np.array(b), np.array(blend, float))


def held(prompts: Sequence[str], which: Sequence[int]) -> PromptTrack:
    """Frame f has the words ``prompts[which[f]]``."""
    return worded(prompts, which, which, np.zeros(len(which)).tolist())


def text(bench: Bench) -> None:
    """Bar: 0.9 of the frames show what the prompt says, the worst attribute too."""
    found: list[dict[str, float]] = []
    for number in range(bench.n):
        rng = np.random.default_rng([bench.seed, 1, number])
        wanted = random_attributes(rng, bench.spec.choices)
        _, clip = bench.render(held([bench.words(wanted)], [0] * FRAMES), seed=bench.seed + number)
        labels = np.broadcast_to(wanted.to_indices(bench.spec.choices), (FRAMES, len(bench.spec.choices)))
        seen = probe.read(bench.probe, clip).right(labels)
        found.append({name: float(share.mean()) for name, share in seen.items() if name not in ("skin", *FACE)})
        if number < 4:
            bench.sheet(f"text-{number}", clip)
    each = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    worst, mean = min(each, key=lambda name: each[name]), float(np.mean(list(each.values())))
    bench.row("text2video: attributes, mean; worst", f"{mean:.3f}; {each[worst]:.3f} ({worst})", ">= 0.9", mean >= 0.9)


def scheduled(bench: Bench, kind: str) -> None:
    """Bars: the switch within 2 frames of its place; rank correlation 0.8."""
    half, figures = FRAMES // 2, []
    mixed = np.linspace(0, 1, FRAMES)
    for number in range(bench.n):
        _, wanted = bench.drawings(number, 2)
        words = [bench.words(one) for one in wanted]
        track = (
            held(words, [0] * half + [1] * half)
            if kind == "hold"
            else worded(words, [0] * FRAMES, [1] * FRAMES, mixed.tolist())
        )
        _, clip = bench.render(track, seed=bench.seed + number)
        second = bench.second_colour(clip, wanted)
        if kind == "hold":
            switched = int(np.argmax(second > 0.5)) if (second > 0.5).any() else FRAMES
            figures.append(float(abs(switched - half) <= LATE))
        else:
            figures.append(rank_correlation(second, mixed))
        if number < 4:
            bench.sheet(f"{kind}-{number}", clip)
    mean = float(np.mean(figures))
    if kind == "hold":
        bench.row(f"text2video: switches within {LATE} frames of their place", f"{mean:.3f}", ">= 0.9", mean >= 0.9)
    else:
        bench.row("text2video: rank correlation of a blend with its weights", f"{mean:.3f}", ">= 0.8", mean >= 0.8)


def loop(bench: Bench) -> None:
    """Bars: 26 dB, the joint not above the steps within, 2 of 255. Words blend round and round, as `loop` has them."""
    at = [0, FRAMES // 2]
    near, joints, flashes, before = [], [], [], []
    half = FRAMES // 2
    there, back = [0] * half + [1] * half, [1] * half + [0] * half
    ramp = [frame / half for frame in range(half)] * 2
    for number in range(bench.n):
        pictures, wanted = bench.drawings(number, 2)
        sparse = {"pictures": {"kind": "rgb", "at": at, "strength": [1.0] * FRAMES}}
        windows = {"context_length": FRAMES, "context_schedule": "looped-uniform", "closed_loop": True}
        given = {"sparse_pictures": bench.clip(pictures)}
        track = worded([bench.words(one) for one in wanted], there, back, ramp)
        stages, clip = bench.render(track, given, sparse=sparse, windows=windows)
        match = MatchColour(at=at, closed=True)
        both = {"frames": bench.clip(clip), "pictures": bench.clip(pictures)}
        matched = Clip.open(bench.store, bench.run("stylize", "match_colour", match, both)).array()
        known = pictures.reshape(2, -1, 3).mean(axis=1)
        before.append(flash(clip, known))
        flashes.append(flash(matched, known))
        near += [psnr(clip[frame], trip) for frame, trip in zip(at, bench.trip(stages, pictures), strict=True)]
        steps = np.abs(np.diff(clip.astype(np.int16), axis=0, append=clip[:1].astype(np.int16))).mean(axis=(1, 2, 3))
        joints.append(float(steps[-1] - np.median(steps[:-1])))
        if number < 4:
            bench.sheet(f"loop-{number}", clip, matched)
    low, high = interval(np.array(joints), bench.seed)
    share = float(np.mean(np.array(near) >= 26))
    bench.row("loop: given frames to their round trip, mean; share of 26 dB", f"{np.mean(near):.1f} dB; {share:.3f}",
              ">= 26 dB", float(np.mean(near)) >= 26)  # fmt: skip
    bench.row("loop: step over the joint less the median step, /255", f"{np.mean(joints):.2f} [{low:.2f}, {high:.2f}]",
              "lower end of 95 % <= 0", low <= 0)  # fmt: skip
    bench.row("loop: flash before and after the guard, worst clip, /255", f"{max(before):.2f}, {max(flashes):.2f}",
              "<= 2 after", max(flashes) <= 2)  # fmt: skip


def flash(clip: np.ndarray, known: np.ndarray) -> float:
    """How far the luminance of any frame ``(F, H, W, 3)``, or its farthest channel, lies outside the pictures', /255.

    Args:
        known: mean colours of the pictures ``(P, 3)``.
    """
    return float(max(map(max, outside(clip.reshape(len(clip), -1, 3).mean(axis=1), known))))


def timeframe(bench: Bench, by: str) -> None:
    """Bars: attributes 0.9, borders within 2 frames."""
    right, near = [], []
    for number in range(bench.n):
        pictures, wanted = bench.drawings(number, len(RANGES))
        which = [index for index, (start, stop) in enumerate(RANGES) for _ in range(start, stop)]
        words = [bench.words(one) for one in wanted]
        more: dict[str, Any] = {}
        given: dict[str, str] = {}
        if by == "tile":
            drawn = bench.run("preprocess", "tile", Tile(downscale=4), {"frames": bench.clip(pictures)})
            given["map_tile"] = bench.run("stylize", "ordered", Ordered(which=which, fps=8), {"frames": drawn})
            more["controls"] = {"tile": {"kind": "tile"}}
        else:
            places = [frame for start, stop in RANGES for frame in range(start, stop, 2)]
            more["sparse"] = {"pictures": {"kind": "rgb", "at": places, "strength": [1.0] * FRAMES}}
            given["sparse_pictures"] = bench.clip(pictures[[which[frame] for frame in places]])
        _, clip = bench.render(held(words, which), given, **more)
        found = probe.read(bench.probe, clip)
        indices = np.stack([wanted[index].to_indices(bench.spec.choices) for index in which])
        seen = found.right(indices)
        right.append({name: float(share.mean()) for name, share in seen.items() if name not in ("skin", *FACE)})
        column = list(bench.spec.choices).index("top_color")
        for (start, stop), index in zip(RANGES[1:], range(1, len(RANGES)), strict=True):
            changed = np.flatnonzero(found.labels[:, column] == wanted[index].to_indices(bench.spec.choices)[column])
            inside = changed[(changed >= start - LATE) & (changed < stop)]
            near.append(bool(len(inside)) and abs(int(inside[0]) - start) <= LATE)
        if number < 4:
            bench.sheet(f"timeframe-{by}-{number}", clip, pictures[which])
    worst = min(right[0], key=lambda name: float(np.mean([one[name] for one in right])))
    mean = float(np.mean([list(one.values()) for one in right]))
    least = np.mean([one[worst] for one in right])
    told = f"{mean:.3f}; {least:.3f} ({worst})"
    bench.row(f"timeframe by {by}: attributes in their ranges, mean; worst", told, ">= 0.9", mean >= 0.9)
    close = float(np.mean(near))
    bench.row(
        f"timeframe by {by}: changes within {LATE} frames of their border", f"{close:.3f}", ">= 0.9", close >= 0.9
    )


def interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of a mean."""
    rng = np.random.default_rng(seed)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


GROUPS: dict[str, Callable[[Bench], None]] = {
    "text": text,
    "hold": lambda bench: scheduled(bench, "hold"),
    "blend": lambda bench: scheduled(bench, "blend"),
    "loop": loop,
    "tile": lambda bench: timeframe(bench, "tile"),
    "sparsectrl": lambda bench: timeframe(bench, "sparsectrl"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20281000)
    parser.add_argument("--sparsectrl", default="sprite_sparsectrl", help="id of an embedded SparseCtrl")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.n, options.seed, Store(Path(folder)), options.sheet, options.sparsectrl, options.threads)
        for name in options.only:
            GROUPS[name](bench)
    if options.json is not None:
        options.json.write_text(json.dumps(bench.rows, indent=1))
    return int(not all(met for *_, met in bench.rows))


if __name__ == "__main__":
    raise SystemExit(main())
