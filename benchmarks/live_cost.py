"""What live pictures cost: the part of a denoising that goes into them, and whether the result is the same.

    python -m benchmarks.live_cost --overrides stylize.num_inference_steps=16

Renders the sample clip twice, with pictures and without, each on a store of its own, and compares the digests of what
was denoised. The part is counted inside the one run (seconds in pictures against seconds of the denoising), since the
wall times of two runs on a busy machine differ by more than a hundredth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import cli
from flows.render import render
from reel.history.record import list_records
from reel.live import Live
from reel.store import Store


class Timed(Live):
    """Counts the seconds that go into pictures."""

    spent: list[float]
    size = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.spent = []
        made.append(self)

    def picture(self, write: Any) -> None:
        def sized(path: Path) -> None:
            write(path)
            self.size = path.stat().st_size

        started = time.perf_counter()
        super().picture(sized)
        self.spent.append(time.perf_counter() - started)


made: list[Timed] = []


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two pictures")
    parser.add_argument("--overrides", nargs="*", default=[], help="settings of both renders")
    chosen = parser.parse_args(argv)
    render.Live = Timed  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        digests = [rendered(Path(folder) / name, every, chosen.overrides) for name, every in
                   (("with", chosen.every), ("without", 0.0))]  # fmt: skip
    (one, seconds), (other, _) = digests
    spent = made[0].spent
    print(
        f"\n{len(spent)} pictures of {made[0].size / 1000:.0f} kB, {1000 * sum(spent) / len(spent):.1f} ms each: "
        f"{sum(spent) / seconds:.2%} of {seconds:.1f} s of denoising; "
        f"{'the same' if one == other else 'ANOTHER'} digest"
    )
    return int(one != other)


def rendered(folder: Path, every: float, overrides: Sequence[str]) -> tuple[str, float]:
    """Digest and seconds of the denoising."""
    store = Store(folder / "store")
    own = [f"paths.store={store.root}", f"paths.output={folder / 'out'}", f"live.every={every}"]
    if cli.main(["dance", *own, "measure=none", "tracking=none", *overrides]):
        raise SystemExit(1)
    stage = next(stage for stage in list_records(store)[0][0].stages if stage.op == "stylize.denoise")
    return stage.digest, stage.seconds


if __name__ == "__main__":
    sys.exit(main())
