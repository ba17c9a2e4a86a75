"""How well poses and figure depth agree with drawn figures, whose joints and depth are known.

    python benchmarks/pose_figures.py --figures 200 [--clips a.mp4 b.mp4]

Prints: how often BlazePose finds a drawn figure and how far its joints are off, against the joints of another figure
as a control; Spearman's rank correlation of figure_depth with the solid body's depth, with the true joints and with
BlazePose's; how often the nearer of two crossing arms is the brighter; the share of frames found in given clips.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.runs import SPRITE
from reel import pose
from tasks.preprocess.blazepose import BlazePose, finder
from tasks.preprocess.figure_depth import RELIEF, figure_depth_map
from tasks.sprite import spec
from tasks.sprite.attributes import random_attributes
from tasks.sprite.drawing import Drawing, draw_figure, standing_height
from tasks.sprite.skeleton import FRAME, random_person

FAMILY = spec.load(SPRITE)
ARMS = ((pose.R_SHOULDER, pose.R_ELBOW, pose.R_WRIST), (pose.L_SHOULDER, pose.L_ELBOW, pose.L_WRIST))
# The drawn body as solids, radii as fractions of the standing height: about as tasks/sprite/figure.py paints.
SOLIDS = (
    (pose.R_SHOULDER, pose.R_ELBOW, 0.041),
    (pose.R_ELBOW, pose.R_WRIST, 0.027),
    (pose.L_SHOULDER, pose.L_ELBOW, 0.041),
    (pose.L_ELBOW, pose.L_WRIST, 0.027),
    (pose.R_HIP, pose.R_KNEE, 0.052),
    (pose.R_KNEE, pose.R_ANKLE, 0.043),
    (pose.L_HIP, pose.L_KNEE, 0.052),
    (pose.L_KNEE, pose.L_ANKLE, 0.043),
)


def solid_depth(person: np.ndarray, size: int = FRAME) -> np.ndarray:
    """Depth `(size, size)` px of the surface nearest to the camera, infinite beside the body: the reference.

    Limbs are capsules, the head is a ball, the trunk five capsules across; all in the skeleton's own z.
    """
    height = standing_height(person)
    p = person[:, :3].astype(np.float64)
    depth = np.full((size, size), np.inf)
    parts = [(p[a], p[b], radius) for a, b, radius in SOLIDS]
    for t in np.linspace(0, 1, 5):
        right = p[pose.R_SHOULDER] * (1 - t) + p[pose.R_HIP] * t
        left = p[pose.L_SHOULDER] * (1 - t) + p[pose.L_HIP] * t
        parts.append((right, left, 0.055))
    up = (p[pose.R_EAR] + p[pose.L_EAR]) / 2 - p[pose.NECK]
    head = p[pose.NECK] + 0.147 * height * up / np.linalg.norm(up)
    parts.append((head, head, 0.135))
    for a, b, radius in parts:
        np.minimum(depth, _capsule(a, b, radius * height, size), out=depth)
    return depth


def _capsule(a: np.ndarray, b: np.ndarray, radius: float, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    points = np.stack([x, y], axis=-1)
    along = b[:2] - a[:2]
    t = ((points - a[:2]) @ along / max(along @ along, 1e-9)).clip(0, 1)
    apart = ((points - a[:2] - t[..., None] * along) ** 2).sum(axis=-1)
    surface = a[2] + t * (b[2] - a[2]) - np.sqrt(np.maximum(radius**2 - apart, 0))
    return np.where(apart < radius**2, surface, np.inf)


def rank_agreement(person: np.ndarray, mask: np.ndarray, depth_map: np.ndarray) -> float:
    """Spearman's correlation of brightness with nearness over the body's pixels (hair and skirts have no reference)."""
    reference = solid_depth(person)
    inside = np.isfinite(reference) & (mask > 127)
    return float(spearmanr(-reference[inside], depth_map[..., 0][inside])[0])


def crossings(person: np.ndarray) -> Iterator[tuple[np.ndarray, float, float]]:
    """Where the two arms cross in the picture: the place (2,) px, z of the nearer and of the farther arm (px)."""
    for (a, b), (c, d) in itertools.product(*(list(itertools.pairwise(arm)) for arm in ARMS)):
        p, q, r, s = (person[i, :3].astype(np.float64) for i in (a, b, c, d))
        matrix = np.stack([(q - p)[:2], (r - s)[:2]], axis=1)
        if abs(np.linalg.det(matrix)) < 1e-6:
            continue
        t, u = np.linalg.solve(matrix, (r - p)[:2])
        if 0 < t < 1 and 0 < u < 1:
            one, two = p + t * (q - p), r + u * (s - r)
            yield one[:2], min(one[2], two[2]), max(one[2], two[2])


def order_right(person: np.ndarray, depth_map: np.ndarray) -> list[bool]:
    """For each crossing of the arms whether the map shows the nearer one there.

    The brightness of the crossing is compared with that of the arm alone at the nearer and at the farther depth.
    Crossings closer in depth than a forearm is thick, or outside the frame, are left out.
    """
    height = standing_height(person)
    found = []
    for place, near, far in crossings(person):
        x, y = place.astype(int).tolist()
        if far - near < 0.06 * height or not (0 <= x < FRAME and 0 <= y < FRAME):
            continue
        expected = [_arm_alone(person, z, place) for z in (near, far)]
        value = float(depth_map[y, x, 0])
        found.append(abs(value - expected[0]) < abs(value - expected[1]))
    return found


def _arm_alone(person: np.ndarray, z: float, place: np.ndarray) -> float:
    """Brightness at `place` of a forearm that lies there at depth z, with nothing else around."""
    alone = person.copy()
    alone[:, 3] = 0
    kept = [pose.NECK, pose.R_SHOULDER, pose.L_SHOULDER, pose.R_HIP, pose.L_HIP, pose.R_ANKLE, pose.L_ANKLE]
    alone[kept, 3] = person[kept, 3]
    alone[[pose.NECK, pose.R_HIP, pose.L_HIP], 3] = 1
    alone[[pose.R_SHOULDER, pose.L_SHOULDER], 3] = 0
    reach = 0.05 * standing_height(person)
    alone[pose.R_ELBOW] = [place[0] - reach, place[1], z, 1]
    alone[pose.R_WRIST] = [place[0] + reach, place[1], z, 1]
    drawn = figure_depth_map([alone], np.full((FRAME, FRAME), 0, np.uint8), FRAME, FRAME)
    return float(drawn[int(place[1]), int(place[0]), 0])


def figures(count: int, seed: int = 0) -> Iterator[tuple[np.ndarray, Drawing]]:
    """Drawn figures with their skeletons, reproducible by number."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        person = random_person(rng)
        yield person, draw_figure(person, random_attributes(rng, FAMILY.choices))


def redetected(count: int) -> None:
    """BlazePose on drawn figures, enlarged to 512 px."""
    import cv2

    find = finder(BlazePose())
    truth, read, ranks = [], [], []
    for person, drawing in figures(count):
        found = find(cv2.resize(drawing.rgb, (512, 512), interpolation=cv2.INTER_CUBIC)).people
        if found:
            small = found[0].astype(np.float64)
            small[:, :3] *= FRAME / 512
            truth.append(person)
            read.append(small)
            ranks.append(rank_agreement(person, drawing.mask, figure_depth_map([small], drawing.mask, FRAME, FRAME)))
    if not read:
        print("BlazePose finds none of the drawn figures")
        return
    a, b = np.stack(truth)[:, 1:14, :2], np.stack(read)[:, 1:14, :2]  # neck to ankles
    error, control = (np.linalg.norm(b - other, axis=-1) for other in (a, np.roll(a, 1, axis=0)))
    print(f"BlazePose finds {len(read)} of {count} drawn figures ({100 * len(read) / count:.0f} %)")
    print(f"joint error: median {np.median(error):.1f} px of {FRAME}, mean {error.mean():.1f}; ", end="")
    print(f"against another figure's joints: median {np.median(control):.1f}, mean {control.mean():.1f}")
    print(f"figure_depth from these joints: Spearman mean {np.mean(ranks):.3f}, median {np.median(ranks):.3f}")


def depth_agreement(count: int) -> None:
    """figure_depth with the true joints."""
    ranks: list[float] = []
    seconds = 0.0
    for person, drawing in figures(count):
        start = time.process_time()
        drawn = figure_depth_map([person], drawing.mask, FRAME, FRAME)
        seconds += time.process_time() - start
        ranks.append(rank_agreement(person, drawing.mask, drawn))
    print(f"figure_depth from the true joints, {count} figures, {1e3 * seconds / count:.1f} ms of CPU each:")
    print(f"  Spearman mean {np.mean(ranks):.3f}, median {np.median(ranks):.3f}, tenth {np.quantile(ranks, 0.1):.3f}")
    order = crossing_order(20 * count)
    print(f"  order of {len(order)} crossing arms right: {100 * np.mean(order):.1f} % (relief {RELIEF})")


def crossing_order(count: int) -> list[bool]:
    """Whether crossing arms are in the right order, over `count` random figures (few of them cross their arms)."""
    order: list[bool] = []
    for number in range(count):
        rng = np.random.default_rng([1, number])
        person = random_person(rng)
        if any(True for _ in crossings(person)):
            mask = draw_figure(person, random_attributes(rng, FAMILY.choices)).mask
            order += order_right(person, figure_depth_map([person], mask, FRAME, FRAME))
    return order


def clip_agreement(path: Path, every: int) -> None:
    """Frames of a clip in which somebody is found, and the CPU time for one."""
    import av

    find = finder(BlazePose())
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i % every == 0]
    start = time.process_time()
    found = [len(find(frame).people) for frame in frames]
    each = (time.process_time() - start) / len(frames)
    share, most = 100 * np.mean(np.array(found) > 0), max(found)
    print(
        f"{path.name}: {share:.1f} % of {len(frames)} frames, {most} people at most, {1e3 * each:.0f} ms of CPU a frame"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=int, default=200, help="drawn figures to look at")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="videos with people in them")
    parser.add_argument("--every", type=int, default=1, help="look at every n-th frame of the videos")
    arguments = parser.parse_args()
    depth_agreement(arguments.figures)
    redetected(arguments.figures)
    for path in arguments.clips:
        clip_agreement(path, arguments.every)


if __name__ == "__main__":
    main()
