"""Key points of real clips for the embedded family's training: no picture is kept, see `tasks.sprite.poses`.

    python -m benchmarks.sprite_poses data/source/sample.mp4 walk.mp4     # writes data/poses/real.npz

Only frames in which BlazePose is sure of the whole body are taken; a clip is cut where others lie between.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tasks.sprite.parts import standing_height
from tasks.sprite.poses import FILE
from tasks.sprite.skeleton import CLIP_FRAMES, L_HIP, NECK, R_HIP

SURE = 0.5  # least mean score of the joints from the neck to the ankles; a hidden arm's own is low, its place guessed


def people_of(path: Path, every: int) -> list[np.ndarray | None]:
    """The largest person `(18, 4)` px of each frame, None where nobody or not the whole body is seen."""
    import av

    from tasks.preprocess.blazepose import BlazePose, finder

    find, found = finder(BlazePose()), list[np.ndarray | None]()
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every:
                continue
            picture = frame.to_ndarray(format="rgb24")
            people = find(picture).people
            whole = people and np.asarray(people[0])[NECK:14, 3].mean() >= SURE and _inside(people[0], picture)
            found.append(np.asarray(people[0], np.float64) if whole else None)
    return found


def _inside(person: np.ndarray, picture: np.ndarray) -> bool:
    """Whether every joint lies in the picture: what is outside of it is guessed."""
    height, width = picture.shape[:2]
    x, y = np.asarray(person)[:14, 0], np.asarray(person)[:14, 1]
    return bool(((x > 0) & (x < width) & (y > 0) & (y < height)).all())


def stretches(found: list[np.ndarray | None]) -> list[np.ndarray]:
    """Runs of at least 16 frames `(F, 18, 3)`, each of height 1 around its first hips."""
    runs, run = list[np.ndarray](), list[np.ndarray]()
    for person in [*found, None]:
        if person is not None:
            run.append(person)
        elif run:
            if len(run) >= CLIP_FRAMES:
                joints = np.stack(run)[..., :3]
                height = float(np.median([standing_height(p) for p in run]))
                joints[..., 2] -= joints[:, [R_HIP, L_HIP], 2].mean(1)[:, None]
                runs.append((joints - joints[:1, [R_HIP, L_HIP]].mean(1, keepdims=True)) / height)
            run = []
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take each n-th frame")
    parser.add_argument("--output", type=Path, default=FILE)
    args = parser.parse_args()
    runs = list[np.ndarray]()
    for path in args.clips:
        found = people_of(path, args.every)
        new = stretches(found)
        print(
            f"{path.name}: {len(found)} frames, {sum(map(len, new))} of them kept in {len(new)} stretches", flush=True
        )
        runs += new
    args.output.parent.mkdir(parents=True, exist_ok=True)
    starts = np.cumsum([0, *map(len, runs)])
    np.savez_compressed(args.output, joints=np.concatenate(runs).astype(np.float16), starts=starts.astype(np.int32))


if __name__ == "__main__":
    main()
