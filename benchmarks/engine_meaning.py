"""What the engine's controls do to pictures, on the embedded family and read by its probe.

    python -m benchmarks.engine_meaning                        # every group
    python -m benchmarks.engine_meaning --only seams masks --n 8 --sheet /tmp/sheets --json rows.json

seams    a clip of 96 frames in windows: flicker at the windows' borders and inside, figure and colours early and late
masks    the hair taken out of the maps of a figure with the other hair: lineart alone; with depth beside the pose
regions  other words for the background, and for the person: what each part of the picture shows
weights  the pose's weight falling from 1 to 0 over a clip
options  what each saving costs: time, difference to the full picture, prompt and pose

Every render goes through the project's own ops in a store of its own; the figures are those of ``--seed``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import renderer
from benchmarks.runs import ROOT, SPRITE
from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.pose import dump, mask_name, pack_outlines
from reel.store import Store
from tasks.sprite import probe
from tasks.sprite.attributes import Attributes, Choices, random_attributes
from tasks.sprite.captions import plain_caption
from tasks.sprite.clips import flicker, sampling_of
from tasks.sprite.drawing import draw_figure
from tasks.sprite.maps import control_map
from tasks.sprite.poses import sized
from tasks.sprite.skeleton import random_clip


@dataclass
class Dancer:
    """A clip to render: joints ``(F, 18, 4)`` px, what it shall show, and what the drawn source shows."""

    people: np.ndarray
    wanted: Attributes
    drawn: Attributes


@dataclass
class Bench:
    """The family, a store, and the rows of the table so far."""

    n: int
    seed: int
    steps: int
    store: Store
    sheets: Path | None
    threads: int
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = yaml.safe_load((ROOT / "conf" / "model" / "sprite.yaml").read_text())
        self.probe = probe.load(SPRITE / "probe.safetensors")
        self.spec = self.probe.spec
        self.side = self.spec.frame

    def row(self, what: str, figure: str, bar: str = "") -> None:
        self.rows.append((what, figure, bar))
        print(f"{what:62s} {figure:44s} {bar}", flush=True)

    def dancer(self, number: int, count: int, opposite: bool = False) -> Dancer:
        """Dancer ``number``, with every joint in the frame in most frames."""
        rng = np.random.default_rng([self.seed, number])
        while True:
            people = sized(random_clip(rng, count), self.side)
            if ((people[..., :2] > 2) & (people[..., :2] < self.side - 2)).all(axis=(1, 2)).mean() > 0.9:
                break
        wanted = random_attributes(rng, self.spec.choices)
        return Dancer(people, wanted, wanted.opposite() if opposite else wanted)

    def render(self, dancer: Dancer, controls: dict[str, dict[str, Any]], **more: Any) -> tuple[np.ndarray, float]:
        """Pictures ``(F, S, S, 3)`` and the CPU seconds of the denoising."""
        given = {
            "prompt": plain_caption(dancer.wanted, self.spec.choices),
            "strength": 1.0,
            "num_inference_steps": self.steps,
            "guidance_scale": sampling_of(SPRITE).guidance_scale,
            "memory_format": "channels_last",
            "seed": self.seed,
            "controls": controls,
        }
        stages = renderer.stages(self.model, **{**given, **more})
        ctx = op.Context(self.store, Compute(device="cpu", threads=self.threads))
        drawings = [draw_figure(person, dancer.drawn, self.side) for person in dancer.people]
        inputs = {
            f"map_{name}": self._clip(
                "map",
                [control_map(control["kind"], p, d.rgb, d.mask) for p, d in zip(dancer.people, drawings, strict=True)],
            )
            for name, control in controls.items()
        }
        run = lambda name, given: op.get("stylize", name).fn(getattr(stages, name), given, ctx)  # noqa: E731
        gray = self._clip("rgb", [np.full((self.side, self.side, 3), 128, np.uint8)] * len(drawings))
        inputs |= {"latents": run("encode", {"frames": gray}), "embeddings": run("embed", {})}
        if any(placed.get("mask") for placed in (*controls.values(), *more.get("regions", {}).values())):
            inputs["poses"] = self._poses(dancer.people, [d.mask for d in drawings])
        began = time.process_time()
        denoised = run("denoise", inputs)
        seconds = time.process_time() - began
        return Clip.open(self.store, run("decode", {"latents": denoised})).array(), seconds

    def _clip(self, kind: Any, pictures: list[np.ndarray]) -> str:
        with ClipWriter(self.store, kind, width=self.side, height=self.side, time_base=Fraction(1, 12)) as writer:
            for index, picture in enumerate(pictures):
                writer.add(picture, index)
        return writer.digest

    def _poses(self, people: np.ndarray, masks: list[np.ndarray]) -> str:
        with self.store.draft("poses") as draft:
            draft.add("poses.json", dump([[person] for person in people], self.side, self.side, "drawn"))
            for index, mask in enumerate(masks):
                inside = mask > 0
                draft.add(mask_name(index), pack_outlines([inside], *inside.shape[::-1]))
            facts = {"time_base": "1/12", "pts": list(range(len(people))), "color": "bt709", "detector": "drawn"}
            return draft.commit(width=self.side, height=self.side, count=len(people), **facts)

    def sheet(self, name: str, *clips: np.ndarray) -> None:
        """Every so many frames of some clips, a row each."""
        if self.sheets is None:
            return
        from PIL import Image

        self.sheets.mkdir(parents=True, exist_ok=True)
        chosen = np.linspace(0, len(clips[0]) - 1, min(12, len(clips[0]))).astype(int)
        picture = np.vstack([np.hstack(list(clip[chosen])) for clip in clips])
        Image.fromarray(picture).save(self.sheets / f"{name}.png")

    def right(self, pictures: np.ndarray, wanted: Attributes, name: str) -> np.ndarray:
        """Whether each frame shows the attribute as wanted ``(F,)``."""
        every = np.broadcast_to(wanted.to_indices(self.spec.choices), (len(pictures), len(self.spec.choices)))
        return probe.read(self.probe, pictures).right(every)[name]

    def error(self, pictures: np.ndarray, people: np.ndarray) -> np.ndarray:
        """Joint error of each frame ``(F,)``, in percent of the frame's side."""
        joints = probe.read(self.probe, pictures).joints
        each = [probe.joint_error(j[None], p[None], self.side) for j, p in zip(joints, people, strict=True)]
        return 100 * np.array(each) / self.side


def pose(weight: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"kind": "openpose", "weight": weight, **more}


def seams(bench: Bench) -> None:
    """Windows of 16 with an overlap of 4 over 96 frames: starts at 0, 12, 24, ..., 80."""
    inside, border, same = [], [], []
    for number in range(max(1, bench.n // 8)):
        dancer = bench.dancer(number, 96)
        clip, _ = bench.render(dancer, {"pose": pose()})
        steps = np.array([flicker(clip[i : i + 2]) for i in range(95)])
        drawn = np.stack([draw_figure(person, dancer.wanted, bench.side).rgb for person in dancer.people])
        steps = steps - np.array([flicker(drawn[i : i + 2]) for i in range(95)])  # what the dance itself does
        borders = {edge for start in range(12, 81, 12) for edge in (start - 1, start + 3)}  # enters, leaves
        border += [steps[i] for i in range(95) if i in borders]
        inside += [steps[i] for i in range(95) if i not in borders]
        early, late = (probe.read(bench.probe, clip[part]).labels for part in (slice(2, 9), slice(87, 94)))
        vote = [[np.bincount(labels[:, i]).argmax() for i in range(labels.shape[1])] for labels in (early, late)]
        same.append(np.array(vote[0]) == np.array(vote[1]))
        bench.sheet(f"seams-{number}", clip, drawn)
    rng = np.random.default_rng(0)
    a, b = np.array(border), np.array(inside)
    drawn_means = [rng.choice(a, len(a)).mean() - rng.choice(b, len(b)).mean() for _ in range(4000)]
    low, high = np.percentile(drawn_means, [2.5, 97.5])
    figure = f"{a.mean():.2f} / {b.mean():.2f}, difference {a.mean() - b.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
    bench.row("flicker over the drawn dance's, at borders / inside (0..255)", figure, "interval holds 0 or less")
    share = np.concatenate(same).mean()
    bench.row("attributes the same around frame 5 and frame 90", f"{share:.2f} of {len(same)} x {len(same[0])}", "all")


def masks(bench: Bench) -> None:
    """Maps of a figure with the other hair: at 0.3, at 1, and at 1 with the hair taken out."""
    hair = {"region": "hair", "dilate": 14, "feather": 4}  # the family's hair is far larger than a person's
    cases: dict[str, dict[str, Any]] = {
        "0.3": {"weight": 0.3},
        "1": {"weight": 1.0},
        "1, hair taken out": {"weight": 1.0, "mask": hair},
    }
    for kinds in (["lineart"], ["pose", "lineart", "depth"]):
        what = " and ".join(kind for kind in kinds if kind != "pose") + " beside the pose" * ("pose" in kinds)
        right: dict[str, list[float]] = {name: [] for name in cases}
        errors: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(bench.n):
            dancer, shown = bench.dancer(100 + number, 16, opposite=True), []
            for name, case in cases.items():
                controls = {kind: pose() if kind == "pose" else {"kind": kind, **case} for kind in kinds}
                clip, _ = bench.render(dancer, controls)
                right[name].append(bench.right(clip, dancer.wanted, "hair_length").mean())
                errors[name].append(bench.error(clip, dancer.people).mean())
                shown.append(clip)
            bench.sheet(f"masks-{len(kinds)}-{number}", *shown)
        for name in cases:
            figure = f"{np.mean(right[name]):.3f} / {np.mean(errors[name]):.1f} %"
            bench.row(f"{what} {name}: hair length as prompted / joint error", figure)
        fall = 100 * (np.mean(right["0.3"]) - np.mean(right["1, hair taken out"]))
        worse = np.mean(errors["1, hair taken out"]) - np.mean(errors["1"])
        bench.row(f"{what}, hair taken out: hair below weight 0.3", f"{fall:+.1f} points (n={bench.n} clips)", "<= 10")
        bench.row(f"{what}, hair taken out: joint error over weight 1", f"{worse:+.2f} points", "<= 1")


GROUND = ("background",)
FIGURE = ("hair_length", "hair_color", "top_color", "bottom", "bottom_color")


def unlike(attributes: Attributes, rng: np.random.Generator, choices: Choices) -> Attributes:
    """A figure that differs in every attribute that a caption names."""
    while True:
        drawn = random_attributes(rng, choices)
        if all(getattr(drawn, name) != getattr(attributes, name) for name in (*GROUND, *FIGURE)):
            return drawn


def regions(bench: Bench) -> None:
    """Other words for one part, the same for the rest: that part shows them, the rest the prompt's. In the last row the
    background's words tell of another figure as well: what of it shows at the border."""
    cases: list[tuple[str, str, tuple[str, ...], Callable[[Attributes, Attributes], Attributes]]] = [
        ("background", "background", GROUND, lambda told, other: replace(told, background=other.background)),
        ("person", "person", FIGURE, lambda told, other: replace(other, background=told.background)),
        ("background and another figure", "background", GROUND, lambda told, other: other),
    ]
    dancers = [bench.dancer(400 + number, 16) for number in range(bench.n)]
    plain = [bench.render(dancer, {"pose": pose()})[0] for dancer in dancers]
    for what, part, inside, words in cases:
        told: list[float] = []
        kept: list[float] = []
        errors: list[float] = []
        outside = GROUND if inside == FIGURE else FIGURE
        for number, dancer in enumerate(dancers):
            shown = words(
                dancer.wanted, unlike(dancer.wanted, np.random.default_rng([bench.seed, 1, number]), bench.spec.choices)
            )
            region = {
                "prompt": plain_caption(shown, bench.spec.choices),
                "mask": {"region": part, "dilate": 4 * (part == "person")},
            }
            clip, _ = bench.render(dancer, {"pose": pose()}, regions={part: region})
            told.append(np.mean([bench.right(clip, shown, name).mean() for name in inside]))
            kept.append(np.mean([bench.right(clip, dancer.wanted, name).mean() for name in outside]))
            errors.append((bench.error(clip, dancer.people) - bench.error(plain[number], dancer.people)).mean())
            bench.sheet(f"regions-{what}-{number}", plain[number], clip)
        figure = f"{np.mean(told):.3f} / {np.mean(kept):.3f} / {np.mean(errors):+.2f} points"
        bench.row(f"words for the {what}: there as told / elsewhere as prompted / joints", figure)


def weights(bench: Bench) -> None:
    """The joint error rises as the pose's weight falls over the clip: against the same clip at weight 1 throughout,
    since the poses of a dance are not equally hard."""
    from scipy.stats import spearmanr

    count, every = 32, []
    for number in range(max(2, bench.n // 2)):
        dancer = bench.dancer(200 + number, count)
        falling = np.linspace(1, 0, count).tolist()
        clip, _ = bench.render(dancer, {"pose": pose(weight_schedule=falling)})
        constant, _ = bench.render(dancer, {"pose": pose()})
        every.append(bench.error(clip, dancer.people) - bench.error(constant, dancer.people))
        bench.sheet(f"weights-{number}", clip, constant)
    mean = np.mean(every, axis=0)
    parts = " ".join(f"{part.mean():.1f}" for part in np.array_split(mean, 8))
    bench.row("pose weight 1 -> 0: joint error over weight 1, by eighths of the clip (%)", parts)
    bench.row(
        "rank correlation of frame and joint error",
        f"{spearmanr(np.arange(count), mean).statistic:.2f} (n={len(every)} clips)",
        ">= 0.80",
    )


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "all of the work": ({}, {}),
    "control_on=cond": ({"control_on": "cond"}, {}),
    "control_every=2": ({}, {"control_every": 2}),
    "guidance_end=0.75": ({}, {"guidance_end": 0.75}),
    "first_block_cache=0.1": ({}, {"first_block_cache": 0.1}),
    "first_block_cache=0.2": ({}, {"first_block_cache": 0.2}),
}


def options(bench: Bench) -> None:
    """Each saving alone: CPU time of the denoising, and what it does to the picture."""
    full: list[tuple[np.ndarray, float]] = []
    named = [name for name in bench.spec.choices if name != "skin"]
    for option, (own, whole) in OPTIONS.items():
        seconds, change, right, errors = [], [], [], []
        for number in range(max(2, bench.n // 3)):
            dancer = bench.dancer(300 + number, 16)
            clip, took = bench.render(dancer, {"pose": pose(**own)}, **whole)
            if option == "all of the work":
                full.append((clip, took))
            seconds.append(took / full[number][1])
            change.append(np.abs(clip.astype(float) - full[number][0]).mean())
            right.append(np.mean([bench.right(clip, dancer.wanted, name).mean() for name in named]))
            errors.append(bench.error(clip, dancer.people).mean())
            bench.sheet(f"options-{number}-{option}", clip)
        figure = f"{np.median(seconds):.2f} | {np.mean(change):.1f} | {np.mean(right):.3f} | {np.mean(errors):.1f} %"
        bench.row(f"{option}: time | change of 255 | as prompted | joint error", figure)


GROUPS: dict[str, Callable[[Bench], None]] = {
    "seams": seams,
    "masks": masks,
    "regions": regions,
    "weights": weights,
    "options": options,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--n", type=int, default=8, help="clips of the masks group; the others take a part of it")
    parser.add_argument("--steps", type=int, default=sampling_of(SPRITE).steps)
    parser.add_argument("--seed", type=int, default=20270000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.n, args.seed, args.steps, Store(Path(folder)), args.sheet, args.threads)
        for name in args.only:
            GROUPS[name](bench)
    if args.json:
        args.json.write_text(json.dumps(bench.rows, indent=1))


if __name__ == "__main__":
    main()
