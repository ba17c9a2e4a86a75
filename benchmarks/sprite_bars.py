"""Measures the embedded family and prints the table of its bars.

    python -m benchmarks.sprite_bars                          # everything, n = 200
    python -m benchmarks.sprite_bars --only attributes pose --n 64

Every figure comes from fresh attributes and poses (seed --seed) and is read by the probe; the probe's own accuracy on
the drawn truth of the same figures stands in the table beside it. Clips run through diffusers' own
AnimateDiffVideoToVideoControlNetPipeline on the exported folders (benchmarks/sprite_clips.py). --json keeps the rows of
earlier calls, so groups can be run one by one; --cache keeps the renders (benchmarks/sprite_renders.py).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sprite_bench import Bench
from benchmarks.sprite_clips import left_open, real, steadiness
from tasks.sprite import probe
from tasks.sprite.captions import FACE
from tasks.sprite.maps import grown, head_region
from tasks.sprite.progress import set_threads
from tasks.sprite.stage_vae import psnr, to_pictures, to_signed

if TYPE_CHECKING:
    from torch import Tensor


WEIGHTS = (0.3, 0.6, 1.0)  # of lineart and depth in the trade-off


def balanced(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean over classes of the share read right: every class counts the same."""
    return float(np.mean([(found[wanted == c] == c).mean() for c in np.unique(wanted)]))


def shares(bench: Bench, labels: np.ndarray) -> dict[str, tuple[float, int]]:
    """Of each attribute the balanced share of labels `(n, A)` that are as wanted, and of how many figures: those whose
    eyes and mouth the drawing shows."""
    seen = probe.visible(np.stack([d.parts for d in bench.truth]), bench.spec)
    wanted = bench.labels()
    return {name: (balanced(labels[seen[:, i], i], wanted[seen[:, i], i]), int(seen[:, i].sum()))
            for i, name in enumerate(bench.spec.choices)}  # fmt: skip


def vae(bench: Bench) -> None:
    """How well pictures survive the autoencoder, and how well the probe reads."""
    import torch

    pictures = np.stack([d.rgb for d in bench.truth])
    with torch.no_grad():
        net = bench.renders.family.vae
        parts = [net.decode(net.encode(x).latent_dist.mean).sample.clamp(-1, 1)
                 for x in to_signed(pictures).split(32)]  # fmt: skip
    decoded = torch.cat(parts)
    error = float((decoded - to_signed(pictures)).square().mean())
    bench.row("VAE, unseen drawn pictures", f"{psnr(error):.1f} dB", ">= 28 dB")
    for kind, shown in (("drawn", pictures), ("decoded", to_pictures(decoded))):
        reading = probe.read(bench.probe, shown)
        for name, (share, n) in shares(bench, reading.labels).items():
            bench.row(f"probe on {kind}: {name}", f"{share:.3f} (n={n})", ">= 0.97")
        bench.row(f"probe on {kind}: joint error", f"{bench.error(reading.joints):.1f} %")


def attributes(bench: Bench) -> None:
    """Does each attribute named in the prompt appear?"""
    for tag, weight in (("text only", 0.0), ("pose weight 1", 1.0)):
        labels = bench.posed(weight).labels
        for name, (share, n) in shares(bench, labels).items():
            # the reference wording does not name the skin; without a skeleton the model chooses whether a face is seen
            if name != "skin" and (weight or name not in FACE):
                bench.row(f"{tag}: {name}", f"{share:.3f} (n={n})", ">= 0.90")


def pose(bench: Bench) -> None:
    """Joint error against the pose weight; weight 0 is text alone."""
    shuffled = np.roll(bench.people, 1, axis=0)
    for weight in (0.0, 0.5, 1.0):
        joints = bench.posed(weight).joints
        error, chance = (bench.error(joints, people) for people in (bench.people, shuffled))
        bar = "<= 6 %" if weight == 1 else ""
        bench.row(f"pose weight {weight:g}: joint error", f"{error:.1f} % (other's joints {chance:.1f} %)", bar)


def trade(bench: Bench) -> None:
    """Lineart and depth of a figure with the opposite hair and garment fight the prompt."""
    source = bench.drawn([a.opposite() for a in bench.wanted])
    line, depth = bench.maps("lineart", source), bench.maps("depth", source)
    obeyed = {weight: _unmasked(bench, line, depth, weight) for weight in WEIGHTS}
    for weight, (right, error) in obeyed.items():
        hair, garment = right.mean(0)
        bench.row(f"lineart + depth {weight:g}: hair, garment as prompted; joints",
                  f"{hair:.3f}, {garment:.3f}; {error:.1f} % (n={bench.n})")  # fmt: skip
    low, high = obeyed[WEIGHTS[0]], obeyed[WEIGHTS[-1]]
    fall = low[0] - high[0]
    for name, values in (("hair", fall[:, 0]), ("garment", fall[:, 1]), ("both, mean", fall.mean(1))):
        least, most = bench.interval(values)
        bench.row(f"prompt success lost from {WEIGHTS[0]:g} to 1: {name}",
                  f"{values.mean():.3f} [{least:.3f}, {most:.3f}]", ">= 0.20, interval off 0")  # fmt: skip
    bench.row("joint error gained from it", f"{low[1] - high[1]:+.1f} points", "> 0")
    if bench.plot:
        _plot(bench.plot, obeyed)


def mask(bench: Bench) -> None:
    """A region taken out of lineart and depth at weight 1 gives its hair back to the prompt.

    Out of the map: blanked there. Out of the control: its residuals count nothing there, as in the render engine.
    """
    source = bench.drawn([a.opposite() for a in bench.wanted])
    line, depth = bench.maps("lineart", source), bench.maps("depth", source)
    free = _unmasked(bench, line, depth, WEIGHTS[0])[0][:, 0].mean()
    head = to_tensor(~np.stack([head_region(p, bench.spec.frame) for p in bench.people]))
    person = to_tensor(~np.stack([grown((a.parts > 0) | (b.parts > 0), 4)
                                  for a, b in zip(source, bench.truth, strict=True)]))  # fmt: skip
    ways = {"head out of the map": (line * head[:, None], depth * head[:, None], None),
            "head out of the control": (line, depth, head),
            "person out of the map": (line * person[:, None], depth * person[:, None], None)}  # fmt: skip
    for way, (lines, depths, keep) in ways.items():
        right, error = _obeyed(bench, lines, depths, 1.0, keep)
        hair = right[:, 0].mean()
        figure = f"{hair:.3f} ({hair - free:+.3f} of {free:.3f} at 0.3); {error:.1f} %"
        bench.row(f"{way}, weight 1: hair as prompted; joints", figure, ">= -0.10")


def _unmasked(bench: Bench, line: Tensor, depth: Tensor, weight: float) -> tuple[np.ndarray, float]:
    """`_obeyed` under the whole maps, rendered once for each weight."""
    if weight not in bench.free:
        bench.free[weight] = _obeyed(bench, line, depth, weight)
    return bench.free[weight]


def _obeyed(
    bench: Bench, line: Tensor, depth: Tensor, weight: float, keep: Tensor | None = None
) -> tuple[np.ndarray, float]:
    """Whether hair length and garment are as prompted `(n, 2)`, and the joint error (% of the frame)."""
    reading = probe.read(bench.probe, bench.render([("lineart", line, weight), ("depth", depth, weight)], keep))
    found = reading.right(bench.labels())
    right = np.stack([found["hair_length"], found["bottom"]], 1)
    return right.astype(float), bench.error(reading.joints)


def to_tensor(mask: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(mask.astype(np.float32))


def _plot(path: Path, obeyed: dict[float, tuple[np.ndarray, float]]) -> None:
    """Prompt success and joint error over the weight of lineart and depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), dpi=90, layout="constrained")
    axes = figure.subplots()
    weights = list(obeyed)
    for column, name in enumerate(("hair", "garment")):
        shares = np.array([right[:, column].mean() for right, _ in obeyed.values()])
        spread = 1.96 * np.sqrt(shares * (1 - shares) / len(next(iter(obeyed.values()))[0]))
        axes.errorbar(weights, shares, spread, marker="o", capsize=3, label=f"{name} as prompted")
    axes.set(xlabel="weight of lineart and depth", ylabel="share of renders", ylim=(0, 1.05))
    other = axes.twinx()
    other.plot(weights, [error for _, error in obeyed.values()], "k--s", label="joint error")
    other.set(ylabel="joint error (% of the frame)", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    figure.savefig(path)


GROUPS: dict[str, Callable[[Bench], None]] = {
    "vae": vae, "attributes": attributes, "pose": pose, "trade": trade, "mask": mask,
    "steadiness": steadiness, "left_open": left_open, "real": real,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("data/models/sprite"))
    parser.add_argument("--n", type=int, default=200, help="renders of each row")
    parser.add_argument("--seed", type=int, default=20270000)
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="live-action clips of one person")
    parser.add_argument("--sheet", type=Path, help="contact sheet of the live-action clips")
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0, 0.8], help="of the live-action clips")
    parser.add_argument("--plot", type=Path, help="plot of the trade-off")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="keep renders there: a killed benchmark goes on where it was")
    parser.add_argument("--teacher", action="store_true", help="16 steps with guidance, without the few-step LoRA")
    parser.add_argument("--json", type=Path, help="write each group's rows there as it ends")
    options = parser.parse_args()
    set_threads(options.threads)
    bench = Bench(
        options.folder, options.n, options.seed, options.clips, options.sheet, options.plot, options.strengths,
        options.cache, options.teacher,
    )  # fmt: skip
    for name in options.only:
        bench.rows = []
        GROUPS[name](bench)
        if options.json:
            known = json.loads(options.json.read_text()) if options.json.exists() else {}
            options.json.write_text(json.dumps(known | {name: bench.rows}, indent=1))


if __name__ == "__main__":
    main()
