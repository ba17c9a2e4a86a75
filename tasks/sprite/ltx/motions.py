"""What a figure and the camera do over a clip: named motions that begin at the first frame's pose.

A motion turns the angles of one pose into angles of every frame, a way of the body and a way of the camera. Each is
done in one way: picture and words say what happens, and nothing is left to chance that a small network would have to
choose, or would blur. The names are what prompts say (`captions`), what the reader finds (`reader`) and what the gates
count. Left and right of a step and of a pan are the picture's; left and right of an arm are the figure's own, as in
prompts for films.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tasks.sprite.skeleton import (
    ANGLES,
    FRAME,
    NOSE,
    place,
    pose_joints,
    random_angles,
    random_placement,
    random_proportions,
)

CLIP_FRAMES = 25  # 8k+1, as LTX's VAE takes them: 4 latent frames
ACTIONS = ("stand_still", "wave_right", "wave_left", "wave_both", "step_left", "step_right", "jump", "bow", "turn")
CAMERAS = ("static", "push_in", "pan_left", "pan_right")
LEG = 0.47  # thigh and shin of a real adult, as a fraction of the height
POSED = 0.15  # share of clips that begin in any pose instead of standing


@dataclass(frozen=True)
class Motion:
    """What happens in a clip: one of `ACTIONS` under one of `CAMERAS`."""

    action: str
    camera: str = "static"

    def __post_init__(self) -> None:
        for value, known in ((self.action, ACTIONS), (self.camera, CAMERAS)):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {', '.join(known)}")

    def to_indices(self) -> np.ndarray:
        """Positions in `ACTIONS` and `CAMERAS`: int64 `(2,)`."""
        return np.array([ACTIONS.index(self.action), CAMERAS.index(self.camera)], dtype=np.int64)

    @classmethod
    def from_indices(cls, indices: np.ndarray) -> Motion:
        """The reverse of `to_indices`."""
        return cls(ACTIONS[int(indices[0])], CAMERAS[int(indices[1])])


def random_motion(rng: np.random.Generator) -> Motion:
    """Every action is as likely; the camera moves in half of the clips. Steps are never panned: the two ways would
    melt into one before a flat background."""
    action = ACTIONS[rng.integers(len(ACTIONS))]
    moves = CAMERAS[1:2] if action.startswith("step") else CAMERAS[1:]
    camera = moves[rng.integers(len(moves))] if rng.random() < 0.5 else CAMERAS[0]
    return Motion(action, camera)


def standing_angles(rng: np.random.Generator) -> np.ndarray:
    """Angles `(20,)` of a figure that stands and faces the camera, arms down, no two alike."""
    u, n = rng.uniform, rng.normal

    def arm() -> list[float]:
        return [abs(n(0.15, 0.1)), u(-0.2, 0.5), abs(n(0.2, 0.15)), n(1.2, 0.3)]

    def leg() -> list[float]:
        return [u(0.02, 0.16), u(-0.1, 0.2), u(0.0, 0.06)]

    trunk = [n(0, 0.25), n(0.02, 0.03), n(0, 0.04), n(0, 0.15), n(0, 0.06), n(0, 0.06)]
    return np.array(trunk + arm() + arm() + leg() + leg())


def moving_person(
    rng: np.random.Generator, motion: Motion, count: int = CLIP_FRAMES, posed: float = POSED
) -> np.ndarray:
    """One figure that does `motion`: `(count, 18, 4)` px in a frame of 128 px.

    The whole way lies inside the frame, except that a push-in, which aims at the face, may send the feet out of it.

    posed: share of figures that begin in any pose instead of standing.
    """
    body = random_proportions(rng)
    first = random_angles(rng) if rng.random() < posed else standing_angles(rng)
    angles, root = act(motion.action, first, count)
    shift, zoom = film(motion.camera, count)
    joints = np.stack([pose_joints(row, body) for row in angles])
    joints[..., :2] += (root + shift)[:, None]
    x, y, height = random_placement(rng, joints, close_ups=0.0)
    people = np.stack([place(frame, x, y, height) for frame in joints])
    aim = people[0, NOSE, :2] + 0.25 * (FRAME / 2 - people[0, NOSE, :2])  # near the face, which so stays in the picture
    people[..., :2] = aim + (people[..., :2] - aim) * zoom[:, None, None]
    people[..., 2] *= zoom[:, None]
    return people


def act(action: str, first: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles `(count, 20)` and the body's way `(count, 2)` in fractions of the height, from the pose `first`."""
    t = np.linspace(0, 1, count)
    a = {name: np.full(count, value) for name, value in zip(ANGLES, first, strict=True)}
    root = np.zeros((count, 2))
    if action.startswith("wave"):
        arms = ("r", "l") if action == "wave_both" else (action[len("wave_")],)
        _wave(a, t, arms)
    elif action.startswith("step"):
        _step(a, t, root, -1.0 if action == "step_left" else 1.0)
    elif action == "jump":
        _jump(a, t, root)
    elif action == "bow":
        _bow(a, t)
    elif action == "turn":
        a["yaw"] = a["yaw"] + math.pi * _ease(t, 0.06, 0.88)
    return np.stack([a[name] for name in ANGLES], axis=1), root


def film(camera: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the camera does to the picture: a shift `(count, 2)` in fractions of the height, a zoom `(count,)`."""
    t = np.linspace(0, 1, count)
    shift, zoom = np.zeros((count, 2)), np.ones(count)
    if camera == "push_in":
        zoom = 1 + 0.45 * t
    elif camera.startswith("pan"):  # a camera that turns to the left sends the picture to the right
        way = 1.0 if camera == "pan_left" else -1.0
        shift[:, 0] = way * 0.38 * t
    return shift, zoom


def _ease(t: np.ndarray, begin: float, end: float) -> np.ndarray:
    """0 until `begin`, 1 from `end` on, smooth between."""
    u = np.clip((t - begin) / (end - begin), 0, 1)
    return u * u * (3 - 2 * u)


def _towards(values: np.ndarray, target: float, share: np.ndarray) -> np.ndarray:
    return values + (target - values) * share


def _wave(a: dict[str, np.ndarray], t: np.ndarray, arms: tuple[str, ...]) -> None:
    """The arm goes up to the side, then the forearm swings slowly until the end: what comes and goes within the eight
    frames of a latent cell is lost first."""
    up = _ease(t, 0.0, 0.3)
    raised, bent = 1.85, 1.3
    swing = 0.5 - 0.5 * np.cos(2 * math.pi * 1.25 * np.clip(t - 0.12, 0, None))
    for arm in arms:
        a[f"{arm}_arm_raise"] = _towards(a[f"{arm}_arm_raise"], raised, up)
        a[f"{arm}_arm_turn"] = _towards(a[f"{arm}_arm_turn"], 0.1, up)
        a[f"{arm}_elbow_turn"] = _towards(a[f"{arm}_elbow_turn"], 0.0, up)
        a[f"{arm}_elbow"] = _towards(a[f"{arm}_elbow"], 0.15, up) + up * bent * swing


def _step(a: dict[str, np.ndarray], t: np.ndarray, root: np.ndarray, way: float) -> None:
    """Two steps to the side: one foot goes ahead, the other follows; the foot that stands stays where it is."""
    spread = 0.115  # of each leg from the middle, in heights: a step is four of them long
    phase = 2 * np.clip((t - 0.04) / 0.88, 0, 1)
    within = phase - np.floor(phase)
    within[phase >= 2] = 1.0
    half = spread * np.sin(math.pi * within)
    gone = np.where(within < 0.5, half, 2 * spread - half) + 2 * spread * np.minimum(np.floor(phase), 1.0)
    root[:, 0] = way * gone
    opened = np.arcsin(half / LEG)
    root[:, 1] = LEG * (1 - np.cos(opened))
    lead = "l" if way * math.cos(a["yaw"][0]) > 0 else "r"  # the leg on the side that the step goes to
    for leg in ("r", "l"):
        a[f"{leg}_leg_raise"] = a[f"{leg}_leg_raise"] * (1 - _ease(t, 0, 0.1) * 0.5) + opened
        a[f"{leg}_leg_turn"] = _towards(a[f"{leg}_leg_turn"], 0.0, _ease(t, 0, 0.15))
        lifted = (within < 0.5) if leg == lead else (within >= 0.5)
        a[f"{leg}_knee"] = a[f"{leg}_knee"] + 0.35 * np.where(lifted, np.sin(2 * math.pi * within) ** 2, 0)
    a["lean"] = a["lean"] + 0.06 * way * np.sin(math.pi * t)


def _jump(a: dict[str, np.ndarray], t: np.ndarray, root: np.ndarray) -> None:
    """Knees bend, the body flies and lands on bent knees again."""
    height, depth = 0.215, 0.7
    bend = depth * (_bump(t, 0.0, 0.16, 0.3) + 0.8 * _bump(t, 0.7, 0.8, 0.97))
    u = np.clip((t - 0.28) / 0.44, 0, 1)
    root[:, 1] = LEG * (1 - np.cos(bend)) - height * 4 * u * (1 - u)
    for leg in ("r", "l"):
        a[f"{leg}_leg_turn"] = _towards(a[f"{leg}_leg_turn"], math.pi / 2, np.clip(bend / 0.3, 0, 1))
        a[f"{leg}_leg_raise"] = a[f"{leg}_leg_raise"] + bend
        a[f"{leg}_knee"] = a[f"{leg}_knee"] + 2 * bend
    out = _bump(t, 0.2, 0.5, 0.85)
    for arm in ("r", "l"):
        a[f"{arm}_arm_raise"] = _towards(a[f"{arm}_arm_raise"], 1.15, out)


def _bow(a: dict[str, np.ndarray], t: np.ndarray) -> None:
    """The trunk bends towards the camera, stays a moment, comes up; the arms stay at its sides."""
    down = _ease(t, 0.02, 0.38) * (1 - _ease(t, 0.62, 0.98))
    a["pitch"] = a["pitch"] + 1.1 * down
    a["head_pitch"] = a["head_pitch"] + 0.35 * down
    for arm in ("r", "l"):
        a[f"{arm}_arm_turn"] = _towards(a[f"{arm}_arm_turn"], 0.0, down)
        a[f"{arm}_arm_raise"] = _towards(a[f"{arm}_arm_raise"], 0.3, down)
        a[f"{arm}_elbow"] = _towards(a[f"{arm}_elbow"], 0.1, down)


def _bump(t: np.ndarray, begin: float, top: float, end: float) -> np.ndarray:
    return _ease(t, begin, top) * (1 - _ease(t, top, end))
