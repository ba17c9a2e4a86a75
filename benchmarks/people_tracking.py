"""Are the right people followed? Composed clips whose people are known, before and after in one run.

    python -m benchmarks.people_tracking                            # drawn figures
    python -m benchmarks.people_tracking --clips a.mp4 b.mp4        # cut out of clips of one person each, too
    python -m benchmarks.people_tracking --against ../main          # the same clips read by another checkout first
    python -m benchmarks.people_tracking --sheets /tmp/sheets       # the skeletons, to look at

Two people stand; cross, one behind the other; one leaves; one fills the picture; one is 40 px high, alone and behind
somebody near. Printed for each: share of the frames with the right number of people, ghosts (drawn, and nobody there),
losses (there, and not drawn) and exchanges (a skeleton that goes over to somebody else), per 100 people to be seen.
Who is cut by the border for more than half may be drawn or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.runs import SPRITE

if TYPE_CHECKING:
    from reel.store import Store

WIDTH, HEIGHT, COUNT, FPS = 640, 360, 24, 12
FLOOR = 340.0  # y of the feet, px
_HALF, _GONE = 0.5, 0.1  # shares of a person inside the picture: must be drawn; must not
_FILLS = 2.5  # who covers a fifth of the picture must be drawn, however much lies outside

Cut = tuple[np.ndarray, np.ndarray]
"""A person without surroundings: picture `(h, w, 3)` uint8 and outline `(h, w)` float 0..1."""


@dataclass
class Actor:
    """Somebody in a scene: pictures over time, where the feet are in each frame, and how tall (px)."""

    cuts: Sequence[Cut]
    where: Callable[[float], tuple[float, float]]
    height: float


@dataclass
class Scene:
    """A composed clip: frames `(F, 360, 640, 3)`; boxes `(F, people, 4)` px, and the share inside the picture."""

    name: str
    frames: np.ndarray
    boxes: np.ndarray
    inside: np.ndarray


def compose(name: str, actors: Sequence[Actor], ground: np.ndarray) -> Scene:
    """Paints the actors in order, so that the last is nearest.

    Args:
        ground: the empty picture `(360, 640, 3)` uint8.
    """
    frames, boxes = np.repeat(ground[None], COUNT, axis=0), np.zeros((COUNT, len(actors), 4))
    inside = np.zeros((COUNT, len(actors)))
    for number, actor in enumerate(actors):
        scale = actor.height / float(np.median([len(mask) for _, mask in actor.cuts]))
        for index in range(COUNT):
            x, y = actor.where(index / (COUNT - 1))
            boxes[index, number], inside[index, number] = _paint(frames[index], actor.cuts[index], scale, x, y)
    return Scene(name, frames, boxes, inside)


def _paint(frame: np.ndarray, cut: Cut, scale: float, x: float, y: float) -> tuple[np.ndarray, float]:
    import cv2

    height, width = (round(side * scale) for side in cut[1].shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture, mask = (cv2.resize(part, (width, height), interpolation=how) for part in cut)
    left, top = round(x - width / 2), round(y - height)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + width), min(HEIGHT, top + height)
    box = np.array([left, top, left + width, top + height], float)
    if x0 >= x1 or y0 >= y1:
        return box, 0.0
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    alpha = mask[part].clip(0, 1)[..., None]
    frame[y0:y1, x0:x1] = np.rint(alpha * picture[part] + (1 - alpha) * frame[y0:y1, x0:x1]).astype(np.uint8)
    share, covered = float(mask[part].sum() / max(mask.sum(), 1e-9)), float(mask[part].sum() / (WIDTH * HEIGHT))
    return box, max(share, _FILLS * covered)


def scenes(people: Sequence[Sequence[Cut]], ground: np.ndarray, tag: str) -> Iterator[Scene]:
    """Every scene with two of the people in turn."""

    def still(x: float, y: float = FLOOR) -> Callable[[float], tuple[float, float]]:
        return lambda t: (x, y)

    def going(start: float, stop: float) -> Callable[[float], tuple[float, float]]:
        return lambda t: (start + (stop - start) * t, FLOOR)

    for number, (one, other) in enumerate(zip(people, [*people[1:], *people[:1]], strict=True)):
        name = f"{tag} {number}"
        yield compose(f"two stand, {name}", [Actor(one, still(190), 260), Actor(other, still(450), 280)], ground)
        crossing = [Actor(one, going(120, 520), 230), Actor(other, going(540, 100), 280)]
        yield compose(f"two cross, {name}", crossing, ground)
        yield compose(f"one leaves, {name}", [Actor(one, still(200), 270), Actor(other, going(420, 900), 270)], ground)
        yield compose(f"close-up, {name}", [Actor(one, still(320, 900), 860)], ground)
        yield compose(f"far, 40 px, {name}", [Actor(one, still(420, 250), 40)], ground)
        yield compose(f"near and far, {name}", [Actor(one, still(480, 250), 40), Actor(other, still(200), 300)], ground)


def drawn(count: int, seed: int = 3) -> tuple[list[list[Cut]], np.ndarray]:
    """Dancing figures as the embedded family draws them, and a ground.

    Of some cartoons the detector finds nothing even when they stand alone, which no tracking mends: they are passed
    over, and how many were is printed.
    """
    from tasks.preprocess.blazepose import BlazePose, finder
    from tasks.sprite.backdrops import random_backdrop

    find = finder(BlazePose(search="whole"))
    backdrop = np.ascontiguousarray(random_backdrop(np.random.default_rng(seed), WIDTH)[:HEIGHT])
    people: list[list[Cut]] = []
    number = 0
    while len(people) < count:
        cuts = figure(np.random.default_rng([seed, number]))
        alone = compose("", [Actor(cuts, lambda _: (WIDTH / 2, FLOOR), 270)], backdrop).frames[::4]
        if all(len(find(frame).people) == 1 for frame in alone):
            people.append(cuts)
        number += 1
    if count:
        print(f"{number - count} of {number} drawn figures passed over: not found in each of {len(alone)} frames alone")
    return people, backdrop


def figure(rng: np.random.Generator) -> list[Cut]:
    """One drawn figure that dances towards the camera."""
    from tasks.sprite import spec
    from tasks.sprite.attributes import random_attributes
    from tasks.sprite.drawing import draw_figure
    from tasks.sprite.skeleton import place, pose_joints, random_dance, random_proportions

    family, side = spec.load(SPRITE), 256
    angles, _ = random_dance(rng, COUNT)
    angles[:, 0] *= 0.2
    body, looks = random_proportions(rng), random_attributes(rng, family.choices)
    joints = [place(pose_joints(row, body), side / 2, 0.56 * side, 0.72 * side) for row in angles]
    pictures = [draw_figure(person, looks, side) for person in joints]
    return [_cropped(one.rgb, one.mask > 127) for one in pictures]


def cut_out(path: Path) -> list[Cut]:
    """The person of a clip, in every second frame or so, as BlazePose outlines them."""
    import av
    import cv2

    from tasks.preprocess.blazepose import BlazePose, finder

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    find = finder(BlazePose(max_people=1, search="whole", min_detection_confidence=0.3))
    chosen = [frames[i] for i in np.linspace(0, min(len(frames), 3 * COUNT) - 1, COUNT).astype(int)]
    cuts: list[Cut] = []
    for frame in chosen:
        mask = find(frame).mask > 0
        if mask.any():
            _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            cuts.append(_cropped(frame, labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())))
        else:
            cuts.append(cuts[-1])
    return cuts


def _cropped(picture: np.ndarray, mask: np.ndarray) -> Cut:
    import cv2

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    return picture[part], soft[part]


def read(folder: Path, store: Store) -> None:
    """The people whom this checkout draws in a folder's scenes, as JSON: scene, frame, track, points."""
    from reel.clip import ClipWriter
    from reel.errors import UserError
    from reel.op import Context, get
    from reel.pose import Poses
    from tasks.preprocess.pose_map import PoseMap

    try:
        from tasks.preprocess.steady import at, steady
    except ImportError:  # older checkouts
        from tasks.preprocess.tracks import at, steady  # type: ignore[attr-defined, no-redef]
    made: list[Any] = []
    for path in sorted(folder.glob("*.npy")):
        with ClipWriter(store, "rgb", width=WIDTH, height=HEIGHT, time_base=Fraction(1, FPS)) as writer:
            for index, frame in enumerate(np.load(path)):
                writer.add(frame, index)
        ctx = Context(store)
        detector = get("preprocess", "blazepose")
        poses = Poses.open(store, detector.fn(detector.config(), {"frames": writer.digest}, ctx))
        try:
            tracks = steady(poses, PoseMap(), ctx, "pose_map")
        except UserError:  # nobody in any frame
            tracks = []
        made.append([
            [[number, at([track], index)[0].tolist()] for number, track in enumerate(tracks) if index in track.people]
            for index in range(poses.count)
        ])  # fmt: skip
    (folder / "read.json").write_text(json.dumps(made))


@dataclass
class Score:
    """What was drawn of a scene, against who is there."""

    right: int = 0
    frames: int = 0
    people: int = 0
    ghosts: int = 0
    losses: int = 0
    exchanges: int = 0

    def add(self, other: Score) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def row(self) -> str:
        each = [100 * part / max(self.people, 1) for part in (self.ghosts, self.losses, self.exchanges)]
        return " | ".join([f"{100 * self.right / self.frames:.1f} %", *(f"{one:.1f}" for one in each)])


def score(scene: Scene, found: Sequence[Sequence[tuple[int, Any]]]) -> Score:
    """Counts a scene's frames."""
    from scipy.optimize import linear_sum_assignment

    total, last = Score(), dict[int, int]()
    for index, here in enumerate(found):
        people = [(track, np.array(points)) for track, points in here]
        costs = np.array([[_miss(box, points) for box in scene.boxes[index]] for _, points in people])
        costs = costs.reshape(len(people), scene.boxes.shape[1])
        pairs = [(a, b) for a, b in zip(*linear_sum_assignment(costs), strict=True) if costs[a, b] < 1]
        met = {b for _, b in pairs}
        must = {b for b, share in enumerate(scene.inside[index]) if share >= _HALF}
        never = {b for b, share in enumerate(scene.inside[index]) if share < _GONE}
        ghosts = len(people) - len(pairs) + len(met & never)
        losses = len(must - met)
        for a, b in pairs:
            total.exchanges += last.get(b, people[a][0]) != people[a][0]
            last[b] = people[a][0]
        total.right += not ghosts and not losses
        total.frames, total.people = total.frames + 1, total.people + len(must)
        total.ghosts, total.losses = total.ghosts + ghosts, total.losses + losses
    return total


def _miss(box: np.ndarray, points: np.ndarray) -> float:
    """Below 1 where a skeleton may be that of who stands in the box: its middle is inside, its size is like theirs.

    Of both that part counts which lies in the picture; who is cut may be seen in less of it.
    """
    most = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    whole, box = np.prod(box[2:] - box[:2]), box.clip(0, most)
    ratio = 2.5 if np.prod(box[2:] - box[:2]) > 0.8 * whole else 4.0
    seen = points[points[:, 3] > 0, :2]
    inside = seen[(seen >= 0).all(axis=1) & (seen < most[:2]).all(axis=1)]
    if not len(inside):
        return 9.0
    low, high = inside.min(axis=0), inside.max(axis=0)
    apart = np.abs(np.median(inside, axis=0) - (box[:2] + box[2:]) / 2) / np.maximum(box[2:] - box[:2], 1)
    grown = abs(np.log(max(*(high - low), 1.0) / max(*(box[2:] - box[:2]), 1.0)))
    return float(max(*apart / 0.6, grown / np.log(ratio)))


def sheet(scene: Scene, found: Sequence[Sequence[tuple[int, Any]]], path: Path) -> None:
    """Every third frame with what is drawn over it."""
    import cv2

    from tasks.preprocess.pose_map import draw_poses

    tiles = []
    for index in range(0, COUNT, 3):
        drawing = draw_poses([np.array(points) for _, points in found[index]], WIDTH, HEIGHT)
        lit = drawing.any(axis=-1, keepdims=True)
        tiles.append(cv2.resize(np.where(lit, drawing, scene.frames[index] // 2), (320, 180)))
    rows = [np.hstack(tiles[start : start + 4]) for start in range(0, len(tiles), 4)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=int, default=4, help="drawn figures")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="clips of one person each, whole figures")
    parser.add_argument("--against", type=Path, help="another checkout that reads the same clips")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    parser.add_argument("--store", type=Path, help="folder to keep what the detector saw in, for the next run")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        from reel.store import Store

        read(options.read, Store(options.store))
        return
    figures, ground = drawn(options.figures)
    all_scenes = list(scenes(figures, ground, "drawn"))
    if options.clips:
        all_scenes += scenes([cut_out(path) for path in options.clips], ground, "filmed")
    ours = Path(__file__).parents[1]
    checkouts = {"before": options.against, "after": ours} if options.against else {"after": ours}
    with tempfile.TemporaryDirectory() as folder:
        for number, scene in enumerate(all_scenes):
            np.save(Path(folder) / f"{number:03d}.npy", scene.frames)
        kept = options.store or Path(folder)
        results = {name: _read_by(place, Path(folder), kept / name) for name, place in checkouts.items()}
    _report(all_scenes, results, options.sheets)


def _read_by(checkout: Path, folder: Path, store: Path) -> Any:
    out = folder / "read.json"
    command = [sys.executable, __file__, "--read", str(folder), "--store", str(store.absolute())]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    subprocess.run(command, check=True, cwd=checkout, env=environment)
    return json.loads(out.read_text())


def _report(all_scenes: Sequence[Scene], results: dict[str, Any], sheets: Path | None) -> None:
    totals: dict[tuple[str, str], Score] = {}
    for number, scene in enumerate(all_scenes):
        what, tag = scene.name.rpartition(" ")[0].rsplit(", ", 1)
        for side, found in results.items():
            for group in (f"{what}, {tag}", f"all, {tag}", "all"):
                totals.setdefault((group, side), Score()).add(score(scene, found[number]))
            if sheets:
                sheets.mkdir(parents=True, exist_ok=True)
                sheet(scene, found[number], sheets / f"{scene.name.replace(', ', '_').replace(' ', '-')}_{side}.png")
    print(
        "| clips | | right number of people | ghosts | losses | exchanges (per 100 people) |\n|---|---|---|---|---|---|"
    )
    for (group, side), total in totals.items():
        print(f"| {group} | {side} | {total.row()} |")


if __name__ == "__main__":
    main()
