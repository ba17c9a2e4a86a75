"""Measures the embedded family and prints the table of its bars.

    python -m benchmarks.sprite_bars                          # everything, n = 200
    python -m benchmarks.sprite_bars --only attributes pose --n 64

Every figure comes from fresh attributes and poses (seed --seed) and is read by the probe; the probe's own accuracy on
the drawn truth of the same figures stands in the table beside it. "Stock" rows run diffusers' own
AnimateDiffVideoToVideoControlNetPipeline on the exported folders.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.preprocess.pose_map import draw_poses
from tasks.sprite import networks, probe
from tasks.sprite.attributes import CHOICES, Attributes, random_attributes
from tasks.sprite.captions import plain_caption
from tasks.sprite.diffusion import Control, Family, sample
from tasks.sprite.drawing import Drawing, draw_figure
from tasks.sprite.latents import to_map
from tasks.sprite.maps import control_map
from tasks.sprite.skeleton import FRAME, random_clip, random_person
from tasks.sprite.stage_vae import psnr, to_pictures, to_signed

STEPS = 16
GUIDANCE = 4.0
NAMED = [name for name in probe.NAMES if name != "skin"]


@dataclass
class Bench:
    """The family, n figures to render and the rows of the table so far."""

    folder: Path
    n: int
    seed: int
    clips: list[Path] = field(default_factory=list)
    sheet: Path | None = None
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = ("tokenizer", "text_encoder", "unet", "vae", "scheduler")
        self.family = Family(*(networks.load(self.folder, part) for part in parts))
        self.probe = probe.load(self.folder / "probe.safetensors")
        rng = np.random.default_rng([self.seed, 99])
        self.wanted = [random_attributes(rng) for _ in range(self.n)]
        self.people = np.stack([_whole_person(rng) for _ in range(self.n)])
        self.truth = self._drawn(self.wanted)

    def _drawn(self, attributes: list[Attributes]) -> list[Drawing]:
        return [draw_figure(p, a) for p, a in zip(self.people, attributes, strict=True)]

    def maps(self, kind: str, drawn: list[Drawing]) -> Any:
        return to_map([control_map(kind, p, d.rgb, d.mask) for p, d in zip(self.people, drawn, strict=True)])

    def render(self, controls: list[tuple[str, Any, float]]) -> np.ndarray:
        """Pictures `(n, 128, 128, 3)` uint8 of the wanted figures under (kind, maps, weight)."""
        nets = {kind: networks.load(self.folder, f"controlnet_{kind}") for kind, _, _ in controls}
        prompts, out = [plain_caption(a) for a in self.wanted], []
        for i in range(0, self.n, 32):
            part = slice(i, i + 32)
            used = [Control(nets[kind], maps[part], weight) for kind, maps, weight in controls]
            pictures = sample(
                self.family, prompts[part], used, steps=STEPS, guidance_scale=GUIDANCE, seed=self.seed + i
            )
            out.append(to_pictures(pictures))
        return np.concatenate(out)

    def labels(self) -> np.ndarray:
        return np.stack([a.to_indices() for a in self.wanted])

    def row(self, what: str, figure: str, bar: str = "") -> None:
        self.rows.append((what, figure, bar))
        print(f"{what:58s} {figure:34s} {bar}", flush=True)


def _whole_person(rng: np.random.Generator) -> np.ndarray:
    """A person with every joint inside the frame."""
    while True:
        person = random_person(rng)
        if ((person[:, :2] > 2) & (person[:, :2] < FRAME - 2)).all():
            return person


def balanced(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean over classes of the share read right: every class counts the same."""
    return float(np.mean([(found[wanted == c] == c).mean() for c in np.unique(wanted)]))


def vae(bench: Bench) -> None:
    """How well pictures survive the autoencoder, and how well the probe reads."""
    import torch

    pictures = np.stack([d.rgb for d in bench.truth])
    with torch.no_grad():
        parts = [bench.family.vae.decode(bench.family.vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
                 for x in to_signed(pictures).split(32)]  # fmt: skip
    decoded = torch.cat(parts)
    error = float((decoded - to_signed(pictures)).square().mean())
    bench.row("VAE, unseen drawn pictures", f"{psnr(error):.1f} dB", ">= 28 dB")
    for kind, shown in (("drawn", pictures), ("decoded", to_pictures(decoded))):
        reading = probe.read(bench.probe, shown)
        for i, name in enumerate(probe.NAMES):
            share = balanced(reading.labels[:, i], bench.labels()[:, i])
            bench.row(f"probe on {kind}: {name}", f"{share:.3f}", ">= 0.97")
        error = probe.joint_error(reading.joints, bench.people)
        bench.row(f"probe on {kind}: joint error", f"{error:.1f} px = {100 * error / FRAME:.1f} %")


def attributes(bench: Bench) -> None:
    """Does each attribute named in the prompt appear?"""
    pose = bench.maps("openpose", bench.truth)
    for tag, controls in (("text only", []), ("pose weight 1", [("openpose", pose, 1.0)])):
        reading = probe.read(bench.probe, bench.render(controls))
        for name in NAMED:
            i = probe.NAMES.index(name)
            share = balanced(reading.labels[:, i], bench.labels()[:, i])
            bench.row(f"{tag}: {name}", f"{share:.3f} (n={bench.n})", ">= 0.90")


def pose(bench: Bench) -> None:
    """Joint error against the pose weight."""
    maps = bench.maps("openpose", bench.truth)
    shuffled = np.roll(bench.people, 1, axis=0)
    for weight in (0.0, 0.5, 1.0):
        pictures = bench.render([("openpose", maps, weight)])
        joints = probe.read(bench.probe, pictures).joints
        error, chance = probe.joint_error(joints, bench.people), probe.joint_error(joints, shuffled)
        bar = "<= 6 %" if weight == 1 else ""
        bench.row(
            f"pose weight {weight:g}: joint error",
            f"{100 * error / FRAME:.1f} % (shuffled {100 * chance / FRAME:.1f} %)",
            bar,
        )


def trade(bench: Bench) -> None:
    """Lineart and depth of a figure with the opposite hair and garment fight the prompt."""
    source = bench._drawn([a.opposite() for a in bench.wanted])
    line, depth = bench.maps("lineart", source), bench.maps("depth", source)
    success: dict[float, np.ndarray] = {}
    for weight in (0.3, 1.0):
        right, error = _obeyed(bench, line, depth, weight)
        success[weight] = right
        bench.row(
            f"lineart + depth {weight:g}: hair / garment as prompted",
            f"{right[:, 0].mean():.3f} / {right[:, 1].mean():.3f}",
        )
        bench.row(f"lineart + depth {weight:g}: joint error", f"{100 * error / FRAME:.1f} %")
    fall = (success[0.3] - success[1.0]).mean(1)
    rng = np.random.default_rng(0)
    means = [fall[rng.integers(len(fall), size=len(fall))].mean() for _ in range(2000)]
    low, high = np.percentile(means, [2.5, 97.5])
    bench.row(
        "prompt success lost from 0.3 to 1", f"{fall.mean():.3f} [{low:.3f}, {high:.3f}]", ">= 0.20, interval off 0"
    )
    line, depth = (_without_head(bench, maps) for maps in (line, depth))
    right, _ = _obeyed(bench, line, depth, 1.0)
    hair = success[0.3][:, 0].mean() - right[:, 0].mean()
    bench.row(
        "head taken out of the maps, weight 1: hair as prompted",
        f"{right[:, 0].mean():.3f} ({hair:+.3f} below 0.3)",
        "within 0.10",
    )


def _obeyed(bench: Bench, line: Any, depth: Any, weight: float) -> tuple[np.ndarray, float]:
    """Whether hair length and garment are as prompted `(n, 2)`, and the joint error (px)."""
    reading = probe.read(bench.probe, bench.render([("lineart", line, weight), ("depth", depth, weight)]))
    columns = [probe.NAMES.index("hair_length"), probe.NAMES.index("bottom")]
    right = (reading.labels == bench.labels())[:, columns]
    return right.astype(float), probe.joint_error(reading.joints, bench.people)


def _without_head(bench: Bench, maps: Any) -> Any:
    """Maps with a box around head and hair set to 0."""
    masked = maps.clone()
    for i, drawing in enumerate(bench.truth):
        ys, xs = np.nonzero(drawing.parts == 2)
        head = bench.people[i, :1, :2].round().astype(int)[0]
        x0, x1 = min([*xs, head[0] - 22]), max([*xs, head[0] + 22])
        y0, y1 = min([*ys, head[1] - 26]), max([*ys, head[1] + 12])
        masked[i, :, max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = 0
    return masked


def stock_pipeline(folder: Path, kinds: list[str], adapter: Any = None) -> Any:
    """diffusers' own video-to-video ControlNet pipeline on the exported family."""
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    nets = [networks.load(folder, f"controlnet_{kind}") for kind in kinds]
    parts = {part: networks.load(folder, part) for part in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
    pipe = diffusers.AnimateDiffVideoToVideoControlNetPipeline(
        **parts,
        motion_adapter=adapter or networks.load(folder, "motion_adapter"),
        controlnet=nets if len(nets) > 1 else nets[0],
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def render_clip(
    pipe: Any, prompt: str, frames: np.ndarray, maps: np.ndarray, seed: int, strength: float = 1.0
) -> np.ndarray:
    """A clip `(F, 128, 128, 3)` uint8 under the pose maps of the same shape."""
    import torch
    from PIL import Image

    def pictures(stack: np.ndarray) -> list[Image.Image]:
        return [Image.fromarray(picture) for picture in stack]

    result = pipe(video=pictures(frames), prompt=prompt, negative_prompt="", conditioning_frames=pictures(maps),
                  strength=strength, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                  controlnet_conditioning_scale=1.0, generator=torch.Generator().manual_seed(seed),
                  output_type="np")  # fmt: skip
    return np.asarray(result.frames[0] * 255).round().astype(np.uint8)


def flicker(clip: np.ndarray) -> float:
    """Mean absolute difference (0..255) of each frame and the one before, warped by the optical flow between them."""
    import cv2

    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    y, x = np.mgrid[: clip.shape[1], : clip.shape[2]].astype(np.float32)
    values = []
    for before, after in itertools.pairwise(clip):
        gray = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (after, before)]
        flow = dis.calc(gray[0], gray[1], None)
        warped = cv2.remap(
            before, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        values.append(np.abs(warped.astype(float) - after).mean())
    return float(np.mean(values))


def steadiness(bench: Bench) -> None:
    """The motion adapter against none, the same seeds and prompts; and the time of a render."""
    rng = np.random.default_rng([bench.seed, 5])
    pipes = {"adapter on": stock_pipeline(bench.folder, ["openpose"]),
             "adapter off": stock_pipeline(bench.folder, ["openpose"], networks.build_motion_adapter())}  # fmt: skip
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in pipes}
    seconds = []
    for clip in range(max(2, bench.n // 25)):
        people, wanted = random_clip(rng), random_attributes(rng)
        maps = np.stack([draw_poses([person], FRAME, FRAME) for person in people])
        for name, pipe in pipes.items():
            begun = time.perf_counter()
            video = render_clip(pipe, plain_caption(wanted), np.full_like(maps, 128), maps, seed=bench.seed + clip)
            seconds.append(time.perf_counter() - begun)
            joints = probe.read(bench.probe, video).joints
            travel = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean()
            asked = np.linalg.norm(np.diff(people[:, : probe.JOINTS, :2], axis=0), axis=-1).mean()
            figures[name].append((flicker(video), float(travel / max(asked, 1e-6))))
    for name, values in figures.items():
        mean = np.median(values, axis=0)
        bench.row(
            f"stock, {name}: flicker / joint travel of the control's",
            f"{mean[0]:.2f} / {mean[1]:.2f} (n={len(values)})",
        )
    bench.row("stock, 16 frames x 16 steps, pose only", f"{np.median(seconds):.1f} s", "<= 15 s")


REAL = "a girl with long pink hair in a red top and a blue skirt, green background, dancing"
REAL_WANTED = {"hair_length": "long", "bottom": "skirt", "background": "green", "top_color": "red"}


def read_clip(path: Path, count: int = 16, every: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Frames around the person `(F, 128, 128, 3)` uint8 and that person in them `(F, 18, 4)` px, found by BlazePose.

    Frames in which nobody is found are left out.
    """
    import av
    import cv2

    from tasks.preprocess.blazepose import BlazePose, finder

    find, frames, people = finder(BlazePose()), [], []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0 and len(frames) < count:
                picture = frame.to_ndarray(format="rgb24")
                found = find(picture).people
                if found:
                    frames.append(picture)
                    people.append(np.asarray(found[0], np.float64))
    points = np.stack(people)[:, :14, :2].reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    side = float((high - low).max() * 1.3)  # room for the drawn head
    corner = (low + high) / 2 - side / 2 - np.array([0, 0.05 * side])
    scale = FRAME / side
    warp = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    small = [
        cv2.warpAffine(f, warp, (FRAME, FRAME), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE) for f in frames
    ]
    moved = np.stack(people)
    moved[:, :, :2] = (moved[:, :, :2] - corner) * scale
    moved[:, :, 2] *= scale
    return np.stack(small), moved.astype(np.float32)


def real(bench: Bench) -> None:
    """Live-action clips (--clips): does the figure follow the person and wear what the prompt says?"""
    pipe = stock_pipeline(bench.folder, ["openpose"])
    sheets = []
    for path in bench.clips:
        frames, people = read_clip(path)
        maps = np.stack([draw_poses([person], FRAME, FRAME) for person in people])
        sheets += [frames, maps]
        for strength in (1.0, 0.8):
            video = render_clip(pipe, REAL, frames, maps, seed=bench.seed, strength=strength)
            sheets.append(video)
            reading = probe.read(bench.probe, video)
            each = np.array([probe.joint_error(j[None], p[None]) for j, p in zip(reading.joints, people, strict=True)])
            chance = probe.joint_error(reading.joints, np.roll(people, len(people) // 2, axis=0))
            near = float((each <= 0.1 * FRAME).mean())
            name = f"{path.stem}, strength {strength:g}"
            bench.row(f"{name}: frames within 10 %", f"{near:.2f}, mean {100 * each.mean() / FRAME:.1f} %"
                      f" (shuffled {100 * chance / FRAME:.1f} %)", ">= 0.90")  # fmt: skip
            for attribute, value in REAL_WANTED.items():
                i = probe.NAMES.index(attribute)
                share = (reading.labels[:, i] == CHOICES[attribute].index(value)).mean()
                bench.row(f"{name}: {attribute} {value}", f"{share:.2f} of frames")
    if bench.sheet and sheets:
        import cv2

        width = min(len(sheet) for sheet in sheets)
        rows = [np.hstack(list(sheet[:width])) for sheet in sheets]
        cv2.imwrite(str(bench.sheet), np.vstack(rows)[..., ::-1])


GROUPS: dict[str, Callable[[Bench], None]] = {
    "vae": vae, "attributes": attributes, "pose": pose, "trade": trade, "steadiness": steadiness,
    "real": real,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("data/models/sprite"))
    parser.add_argument("--n", type=int, default=200, help="renders of each row")
    parser.add_argument("--seed", type=int, default=20270000)
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="live-action clips of one person")
    parser.add_argument("--sheet", type=Path, help="contact sheet of the live-action clips")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    options = parser.parse_args()
    bench = Bench(options.folder, options.n, options.seed, options.clips, options.sheet)
    for name in options.only:
        GROUPS[name](bench)
    if options.json:
        options.json.write_text(json.dumps(bench.rows, indent=1))


if __name__ == "__main__":
    main()
