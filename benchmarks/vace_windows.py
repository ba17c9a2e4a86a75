"""Windows of `dance renderer=vace`: how much memory a longer clip takes, and how far its frames jump where they meet.

    python -m benchmarks.vace_windows memory     # 81 and 201 frames, each in a process of its own; seams of the latter
    python -m benchmarks.vace_windows seams      # every way in which windows can meet

Both with random weights of the real classes at toy size: they hold for what the program does with windows, and say
nothing of how trained weights go on from the frames that they are given.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

BASE = "{kind: embedded, id: tiny_vace, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
COMMON = (
    *("renderer=vace", f"model.base={BASE}", "extract.short_side=null", "control=[lineart]"),
    *("prompt=the figure waves slowly and turns to the left", "stylize.num_inference_steps=1", "measure=none"),
    *("compute.dtype=float32", "compute.threads=1", "tracking=none", "assemble.side_by_side=false"),
    *("assemble.contact_sheet=0", "live.every=0"),
)
SEEDS = (1, 2)


def source(folder: Path, frames: int, side: int) -> Path:
    """A folder of pictures: a bright square that goes round on a ground of soft colours."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True)
    ys, xs = np.mgrid[:side, :side] / side
    ground = np.stack([90 + 60 * xs, 80 + 70 * ys, 120 - 40 * xs * ys], axis=-1)
    for number in range(frames):
        turn = 2 * np.pi * number / 40
        x, y = (int(side * (0.5 + 0.25 * wave(turn))) for wave in (np.cos, np.sin))
        frame = ground.astype(np.uint8)
        frame[y - side // 8 : y + side // 8, x - side // 8 : x + side // 8] = (240, 220, 90)
        Image.fromarray(frame).save(folder / f"{number:04d}.png")
    return folder


def render(folder: Path, clip: Path, side: int, *more: str) -> dict[str, float]:
    """One render; the figures of its seams."""
    from flows import cli
    from reel.history.record import list_records
    from reel.store import Store

    store = Store(folder / "store")
    where = [f"clip={clip}", f"extract.width={side}", f"extract.height={side}", f"paths.store={store.root}"]
    assert cli.main(["dance", *COMMON, *where, f"paths.output={folder / 'out'}", *more]) == 0
    stages = list_records(store)[0][-1].stages
    return dict(next(stage.facts.get("seams", {}) for stage in stages if stage.op == "vace.join"))


def peak(frames: int, side: int = 128) -> tuple[float, dict[str, float]]:
    """Bytes by which this process grows while it renders so many frames, and the figures of the clip's seams."""
    from benchmarks.animate_memory import Watch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render(folder, source(folder / "short", 5, side), side)  # what libraries and weights take
        clip = source(folder / "long", frames, side)
        with Watch() as seen:
            found = render(folder, clip, side)
    return seen.rise, found


def memory() -> None:
    """A clip of three windows against one of a single window, and how far its frames jump where its windows meet."""
    found = {}
    for frames in (81, 201):
        command = [sys.executable, "-m", "benchmarks.vace_windows", "memory", "--one", str(frames)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[frames], jumps = json.loads(done.stdout.splitlines()[-1])
        print(f"{frames} frames of 128x128: {found[frames] / 2**20:.0f} MiB", flush=True)
        if jumps:  # a single window has none
            print(f"its largest jump {told(jumps)}", flush=True)
    print(f"201 against 81 frames: {found[201] / found[81]:.2f}")


def told(jumps: Mapping[str, float]) -> str:
    """One clip's figures of 255, and those at its seams in those inside its windows."""
    return (
        f"at seams {jumps['seam']:.2f}, inside {jumps['inner']:.2f}: {jumps['seam'] / jumps['inner']:.2f}; "
        f"medians {jumps['seam_median']:.2f}, {jumps['inner_median']:.2f}: "
        f"{jumps['seam_median'] / jumps['inner_median']:.2f}"
    )


def seams(side: int = 64, frames: int = 61, most: int = 25) -> None:
    """Jumps from frame to frame where windows meet, and inside them, for each way to join them."""
    ways = list(itertools.product(("own", "shared"), ("cut", "fade", "match"), (5, 9)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = source(folder / "clip", frames, side)
        size = (f"clip={clip}", f"extract.width={side}", f"extract.height={side}", f"paths.store={folder / 'store'}")
        points = [
            [*COMMON, *size, f"seed={seed}", f"stylize.windows.noise={noise}", f"stylize.windows.blend={blend}",
             f"stylize.windows.overlap={overlap}", f"stylize.windows.frames={most}"]
            for (noise, blend, overlap), seed in itertools.product(ways, SEEDS)
        ]  # fmt: skip
        found = iter(drawn(points))
        print("noise   blend  overlap  at seams  inside   seam/inner   medians")
        for way in ways:
            print(line(way, [next(found) for _ in SEEDS]))


def drawn(points: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """The figures of some renders' seams, every op called by itself and once, without Prefect."""
    from unittest.mock import patch

    from flows.config.compose import settings
    from flows.config.root import Root
    from flows.dance.plan import plan
    from flows.dance.settings import Dance
    from reel.canonical import canonical
    from reel.config import Config
    from reel.op import Context, Op
    from reel.store import Store
    from tasks.cached import Stage

    known: dict[str, Stage] = {}

    def call(op: Op, cfg: Config, inputs: Mapping[str, str], ctx: Context) -> Stage:
        key = json.dumps([op.id, canonical(cfg.model_dump(mode="json")), dict(inputs)])
        if key not in known:
            own = replace(ctx, facts={})
            known[key] = Stage(op.id, key, op.fn(cfg, inputs, own), reused=False, seconds=0, facts=own.facts)
        return ctx.tell(known[key])

    found: list[dict[str, float]] = []

    def tell(stage: Stage) -> None:
        found.extend([dict(stage.facts["seams"])] if stage.op == "vace.join" else [])

    cfgs = [settings(Root("dance", Dance), point).config for point in points]
    store = Store(cfgs[0].paths.store)
    with patch("flows.dance.stages.call", call), patch("flows.dance.vace_stages.call", call):
        for cfg in cfgs:
            plan(cfg, store).draw(Context(store, cfg.compute, told=tell))
    return found


def line(way: tuple[str, str, int], found: Sequence[dict[str, float]]) -> str:
    """The means of some renders' figures."""
    mean = {name: statistics.mean(one[name] for one in found) for name in found[0]}
    medians = f"{mean['seam_median'] / mean['inner_median']:.2f}"
    return (
        f"{way[0]:7} {way[1]:6} {way[2]:7}  {mean['seam']:8.2f}  {mean['inner']:6.2f}   "
        f"{mean['seam'] / mean['inner']:10.2f}   {medians:>7}"
    )


def models(folder: Path) -> None:
    """A family of random weights, where the program looks for it."""
    from tests.tasks import animate_models as tiny

    if not (folder / "tiny_vace").exists():
        tiny.write_vace(folder / "tiny_vace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "seams"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.setdefault("ROTOSCOPE_MODELS", name))
        models(folder)
        if options.one:
            print(json.dumps(peak(options.one)))
        else:
            {"memory": memory, "seams": seams}[options.what]()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
