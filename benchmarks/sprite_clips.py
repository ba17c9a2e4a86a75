"""The bars of the embedded family that need clips: steadiness, speed, live-action people. Run by sprite_bars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.sprite_bench import Bench
from tasks.sprite import networks, probe
from tasks.sprite.attributes import random_attributes
from tasks.sprite.captions import plain_caption
from tasks.sprite.clips import Sampling, drawn_clip, flicker, load_pipeline, pose_maps, render_clip, travel
from tasks.sprite.poses import sized
from tasks.sprite.skeleton import CLIP_FRAMES, random_clip
from tasks.sprite.spec import Spec

MODES = {f"adapter {adapter}, {noise} noise": (adapter == "on", noise == "shared")
         for noise in ("independent", "shared") for adapter in ("on", "off")}  # fmt: skip
PAIRS = (("independent", "independent"), ("shared", "shared"), ("independent", "shared"))  # noise: adapter on, off
OPEN = {"background": ("background",), "skin": (), "bottom": ("skirt", "trousers", "dress")}
"""Attribute that a prompt leaves open -> the words of the clauses that are left out. The skin is never named."""
REAL = "a girl with long pink hair in a red top and a blue skirt, green background, dancing"
REAL_WANTED = {"hair_length": "long", "bottom": "skirt", "background": "green", "top_color": "red"}


def steadiness(bench: Bench) -> None:
    """The motion adapter against none, the same seeds and prompts; and the time of a render.

    "Off" is an adapter whose output projections are zero. Shared noise: every frame starts from the first frame's.
    Joints of renders and of the drawn truth are read by the probe, so that its own jitter is on both sides of the
    ratio of their travel; the ratio to the skeleton's own travel stands beside it.
    """
    teacher = bench.sampling.teacher
    pipes = {True: load_pipeline(bench.folder, ["openpose"], teacher=teacher),
             False: load_pipeline(bench.folder, ["openpose"], networks.build_motion_adapter(), teacher)}  # fmt: skip
    rng = np.random.default_rng([bench.seed, 5])
    spec = bench.spec
    clips = [
        (sized(random_clip(rng), spec.frame), random_attributes(rng, spec.choices))
        for _ in range(max(3, -(-bench.n // CLIP_FRAMES)))
    ]
    found: dict[str, list[tuple[float, float, float]]] = {mode: [] for mode in (*MODES, "drawn truth")}
    wall, processor = [], []
    for number, (people, wanted) in enumerate(clips):
        truth = drawn_clip(people, wanted, spec)
        own, skeleton = travel(probe.read(bench.probe, truth).joints), travel(people[:, : probe.JOINTS, :2])
        found["drawn truth"].append((flicker(truth), 1.0, own / skeleton))
        for mode, (adapter, shared) in MODES.items():
            how = (people, wanted, bench.seed + number, shared, spec, bench.sampling)
            parts = ["controlnet_openpose", *(["motion_adapter"] if adapter else [])]
            video, *seconds = bench.renders.video(partial(_dance, pipes[adapter], *how), parts, *how)
            wall.append(seconds[0])
            processor.append(seconds[1])
            moved = travel(probe.read(bench.probe, video).joints)
            found[mode].append((flicker(video), moved / own, moved / skeleton))
    for mode, values in found.items():
        mean = np.mean(values, axis=0)
        bench.row(f"{mode}: flicker; travel / drawn's, / skeleton's",
                  f"{mean[0]:.2f}; {mean[1]:.2f}, {mean[2]:.2f} (n={len(values)} clips)")  # fmt: skip
    for on, off in PAIRS:
        _against(bench, on, off, *(np.array(found[f"adapter {state}, {noise} noise"])
                                   for state, noise in (("on", on), ("off", off))))  # fmt: skip
    spent = f"{np.median(wall):.1f} s, of processor {np.median(processor):.1f} s"
    bench.row(f"stock, 16 frames x {bench.sampling.steps} steps, pose only", spent, "<= 15 s on 2 idle cores")


def left_open(bench: Bench) -> None:
    """How steady a clip is in what its prompt leaves open; each third of the prompts leaves out another thing."""
    pipe = load_pipeline(bench.folder, ["openpose"], teacher=bench.sampling.teacher)
    rng, spec = np.random.default_rng([bench.seed, 6]), bench.spec
    shares: dict[str, list[float]] = {name: [] for name in OPEN}
    for number in range(max(60, bench.n // CLIP_FRAMES)):
        people, wanted = sized(random_clip(rng), spec.frame), random_attributes(rng, spec.choices)
        name = list(OPEN)[number % len(OPEN)]
        shared = bench.sampling.constant_noise
        how = (people, wanted, bench.seed + number, shared, spec, bench.sampling, OPEN[name])
        parts = ["controlnet_openpose", "motion_adapter"]
        video, *_ = bench.renders.video(partial(_dance, pipe, *how), parts, *how)
        labels = probe.read(bench.probe, video).labels[:, list(spec.choices).index(name)]
        shares[name].append(float(np.unique(labels, return_counts=True)[1].max() / len(labels)))
    for name, each in shares.items():
        bench.row(
            f"left open: {name} the same in a clip's frames", f"{np.mean(each):.3f} (n={len(each)} clips)", ">= 0.95"
        )


def _against(bench: Bench, noise: str, control_noise: str, on: np.ndarray, off: np.ndarray) -> None:
    """Rows of one comparison, clip by clip; on, off: (flicker, travel, ...) of each clip `(n, 3)`."""
    fall = off[:, 0] - on[:, 0]
    low, high = bench.interval(fall)
    what = f"adapter on, {noise} noise, against off, {control_noise}"
    bench.row(f"{what}: flicker falls by", f"{fall.mean():.2f} [{low:.2f}, {high:.2f}], "
              f"in {(fall > 0).sum()} of {len(fall)} clips", "> 0")  # fmt: skip
    bench.row(f"{what}: travel", f"{(on[:, 1] / off[:, 1]).mean():.2f} of the control's", "0.8-1.2")


def _dance(pipe: Any, people: np.ndarray, wanted: Any, seed: int, shared: bool, spec: Spec, sampling: Sampling,
           without: Sequence[str] = ()) -> np.ndarray:  # fmt: skip
    """without: words that mark the clauses of the prompt to leave out."""
    maps = pose_maps(people, spec.frame)
    noise = _noise(seed, len(people), spec, shared)
    clauses = plain_caption(wanted, spec.choices).split(", ")
    prompt = ", ".join(clause for clause in clauses if not any(word in clause for word in without))
    gray = np.full_like(maps, 128)
    return render_clip(pipe, prompt, gray, maps, seed=seed, latents=noise, sampling=sampling)


def _noise(seed: int, frames: int, spec: Spec, shared: bool) -> torch.Tensor:
    """What a clip begins from `(1, 8, F, h, w)`; shared: the same in all frames."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((1, networks.LATENT_CHANNELS, frames, spec.cells, spec.cells), generator=generator)
    return noise[:, :, :1].expand_as(noise).contiguous() if shared else noise


def read_clip(path: Path, frame: int, count: int = 16, every: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Frames around the person `(F, frame, frame, 3)` uint8 and that person `(F, 18, 4)` px, found by BlazePose.

    Frames in which nobody is found are left out.
    """
    import av
    import cv2

    from tasks.preprocess.blazepose import BlazePose, finder

    frames: list[np.ndarray] = []
    find, people = finder(BlazePose()), []
    with av.open(str(path)) as container:
        for number, decoded in enumerate(container.decode(video=0)):
            if number % every == 0 and len(frames) < count:
                picture = decoded.to_ndarray(format="rgb24")
                found = find(picture).people
                if found:
                    frames.append(picture)
                    people.append(np.asarray(found[0], np.float64))
    points = np.stack(people)[:, :14, :2].reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    side = float((high - low).max() * 1.3)  # room for the drawn head
    corner = (low + high) / 2 - side / 2 - np.array([0, 0.05 * side])
    scale = frame / side
    warp = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    small = [
        cv2.warpAffine(f, warp, (frame, frame), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE) for f in frames
    ]
    moved = np.stack(people)
    moved[:, :, :2] = (moved[:, :, :2] - corner) * scale
    moved[:, :, 2] *= scale
    return np.stack(small), moved.astype(np.float32)


def real(bench: Bench) -> None:
    """Live-action clips (--clips): does the figure follow the person and wear what the prompt says?

    The contact sheet shows skeletons and renders alone: the clips' own pictures may not be ours to show.
    """
    pipe = load_pipeline(bench.folder, ["openpose"], teacher=bench.sampling.teacher)
    sheets, side = [], bench.spec.frame
    for path in bench.clips:
        frames, people = read_clip(path, side)
        maps = pose_maps(people, side)
        sheets.append(maps)
        for strength in bench.strengths:
            shared = strength == 1 and bench.sampling.constant_noise  # of less the stock pipeline makes no such noise
            latents = _noise(bench.seed, len(frames), bench.spec, shared=True) if shared else None
            render = partial(render_clip, pipe, REAL, frames, maps, seed=bench.seed, strength=strength,
                             latents=latents, sampling=bench.sampling)  # fmt: skip
            key = (REAL, frames, maps, bench.seed, strength, shared)
            video, *_ = bench.renders.video(render, ["controlnet_openpose", "motion_adapter"], *key)
            sheets.append(video)
            reading = probe.read(bench.probe, video)
            each = np.array([bench.error(j[None], p[None]) for j, p in zip(reading.joints, people, strict=True)])
            chance = bench.error(reading.joints, np.roll(people, len(people) // 2, axis=0))
            near = float((each <= 10).mean())
            name = f"{path.stem}, strength {strength:g}"
            bench.row(f"{name}: frames within 10 %", f"{near:.2f}, mean {each.mean():.1f} %"
                      f" (shuffled {chance:.1f} %)", ">= 0.90")  # fmt: skip
            for attribute, value in REAL_WANTED.items():
                i = list(bench.spec.choices).index(attribute)
                share = (reading.labels[:, i] == bench.spec.choices[attribute].index(value)).mean()
                bench.row(f"{name}: {attribute} {value}", f"{share:.2f} of frames", "seen")
    if bench.sheet and sheets:
        import cv2

        width = min(len(sheet) for sheet in sheets)
        rows = [np.hstack(list(sheet[:width:2])) for sheet in sheets]
        cv2.imwrite(str(bench.sheet), np.vstack(rows)[..., ::-1])
