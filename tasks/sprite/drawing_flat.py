"""The drawing of the second generation: flat, without a mouth that opens. It goes when that family's weights go.

Everything is painted at twice the size with sub-pixel coordinates and area-resized: 2-3 ms a figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tasks.sprite.attributes import BACKGROUND_COLORS, CLOTH_COLORS, HAIR_COLORS, RGB, SKIN_TONES, Attributes
from tasks.sprite.parts import BOTTOM, HAIR, SHOES, SKIN, TOP, Drawing, standing_height, unit
from tasks.sprite.skeleton import (
    L_ANKLE,
    L_EAR,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)  # fmt: skip

OVERSAMPLE = 2
SHIFT = 4  # fractional bits of cv2's coordinates
OUTLINE: RGB = (30, 24, 30)
SHOE: RGB = (70, 52, 48)


def draw(person: np.ndarray, attributes: Attributes, size: int) -> Drawing:
    """See `drawing.draw_figure`."""
    canvas = _Canvas(BACKGROUND_COLORS[attributes.background], size)
    _Figure(person, attributes, canvas).draw()
    return canvas.finish()


class _Canvas:
    """Paints the same shape into the picture (with an outline) and the part map."""

    def __init__(self, background: RGB, size: int) -> None:
        self.size = size
        side = size * OVERSAMPLE
        self.rgb = np.empty((side, side, 3), np.uint8)
        self.rgb[:] = background
        self.parts = np.zeros((side, side), np.uint8)
        self.line = OVERSAMPLE  # outline px on each side

    def _fixed(self, points: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        limit = 8 * self.size
        clipped = np.clip(np.asarray(points, dtype=np.float64)[:, :2], -limit, limit)
        return np.round(clipped * OVERSAMPLE * (1 << SHIFT)).astype(np.int32)

    def limb(
        self, points: Sequence[np.ndarray], widths: Sequence[float], colors: Sequence[RGB], parts: Sequence[int]
    ) -> None:
        """A chain of thick segments (`widths` px) with one outline around all of them."""
        import cv2

        q = self._fixed(points)
        thick = [max(2, round(w * OVERSAMPLE)) for w in widths]
        for a, b, t in zip(q[:-1], q[1:], thick, strict=True):
            cv2.line(self.rgb, tuple(map(int, a)), tuple(map(int, b)), OUTLINE, t + 2 * self.line, cv2.LINE_8, SHIFT)
        for a, b, t, color, part in zip(q[:-1], q[1:], thick, colors, parts, strict=True):
            cv2.line(self.rgb, tuple(map(int, a)), tuple(map(int, b)), color, t, cv2.LINE_8, SHIFT)
            cv2.line(self.parts, tuple(map(int, a)), tuple(map(int, b)), part, t + 2 * self.line, cv2.LINE_8, SHIFT)

    def polygon(self, points: Sequence[np.ndarray] | np.ndarray, color: RGB, part: int, outline: bool = True) -> None:
        import cv2

        q = [self._fixed(points)]
        if outline:
            cv2.polylines(self.rgb, q, True, OUTLINE, 2 * self.line, cv2.LINE_8, SHIFT)
        cv2.fillPoly(self.rgb, q, color, cv2.LINE_8, SHIFT)
        cv2.fillPoly(self.parts, q, part, cv2.LINE_8, SHIFT)

    def ellipse(self, centre: np.ndarray, axes: tuple[float, float], angle: float, color: RGB, part: int,
                arc: tuple[float, float] = (0.0, 2 * math.pi), outline: bool = True) -> None:  # fmt: skip
        """`axes` are half lengths in px, `angle` turns the first one from x towards y (radians)."""
        t = np.linspace(arc[0], arc[1], 28)
        x, y = axes[0] * np.cos(t), axes[1] * np.sin(t)
        c, s = math.cos(angle), math.sin(angle)
        self.polygon(np.stack([c * x - s * y + centre[0], s * x + c * y + centre[1]], 1), color, part, outline)

    def finish(self) -> Drawing:
        import cv2

        rgb = cv2.resize(self.rgb, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return Drawing(rgb, np.ascontiguousarray(self.parts[::OVERSAMPLE, ::OVERSAMPLE]))


class _Figure:
    """One figure, painted from back to front."""

    def __init__(self, person: np.ndarray, attributes: Attributes, canvas: _Canvas) -> None:
        self.p, self.a, self.canvas = person, attributes, canvas
        self.xy = person[:, :2]
        self.h = standing_height(person)
        self.hair, self.skin = HAIR_COLORS[attributes.hair_color], SKIN_TONES[attributes.skin]
        self.top, self.bottom = CLOTH_COLORS[attributes.top_color], CLOTH_COLORS[attributes.bottom_color]
        self.hips = (self.xy[R_HIP] + self.xy[L_HIP]) / 2
        ears = (person[R_EAR, :3] + person[L_EAR, :3]) / 2
        self.up = unit(ears[:2] - self.xy[NECK])
        self.right = np.array([-self.up[1], self.up[0]])  # along the head's width, to the picture's right when upright
        self.radius = 0.135 * self.h
        self.head = self.xy[NECK] + self.up * (self.radius + 0.012 * self.h)
        face = person[NOSE, :3] - ears
        face = face / (float(np.linalg.norm(face)) + 1e-6)
        self.turn = float(np.clip(np.dot(face[:2], self.right), -1, 1))  # -1 looks to the left, 1 to the right
        self.away = face[2] > 0.25  # seen from the back

    def draw(self) -> None:
        if self.a.hair_length == "long" and not self.away:
            self._long_hair()
        arms = [(R_SHOULDER, R_ELBOW, R_WRIST), (L_SHOULDER, L_ELBOW, L_WRIST)]
        depth = [self.p[list(arm), 2].mean() for arm in arms]
        middle = (self.p[NECK, 2] + self.p[[R_HIP, L_HIP], 2].mean()) / 2
        behind = [d > middle + 0.03 * self.h for d in depth]
        for arm, back in zip(arms, behind, strict=True):
            if back:
                self._arm(arm)
        self._legs()
        self._trunk()
        front = sorted((i for i in range(2) if not behind[i]), key=lambda i: -depth[i])
        if self.away:  # the back of the head and its hair lie over everything
            for i in front:
                self._arm(arms[i])
        self._head()
        if not self.away:
            for i in front:
                self._arm(arms[i])

    def _arm(self, joints: tuple[int, int, int]) -> None:
        shoulder, elbow, wrist = (self.xy[j] for j in joints)
        w = 0.062 * self.h
        self.canvas.limb([shoulder, elbow, wrist], [w * 1.15, w * 0.85], [self.top, self.skin], [TOP, SKIN])
        self.canvas.ellipse(wrist, (0.034 * self.h, 0.034 * self.h), 0.0, self.skin, SKIN)

    def _legs(self) -> None:
        legs = [(R_HIP, R_KNEE, R_ANKLE), (L_HIP, L_KNEE, L_ANKLE)]
        for hip, knee, ankle in sorted(legs, key=lambda leg: -self.p[list(leg), 2].mean()):
            points = [self.xy[hip], self.xy[knee], self.xy[ankle]]
            foot = unit(points[2] - points[1], (0.0, 1.0)) * 0.02 * self.h
            toe = np.array([self.turn * 0.03 * self.h, 0.0])
            self.canvas.ellipse(points[2] + foot + toe, (0.055 * self.h, 0.034 * self.h), 0.0, SHOE, SHOES)
            if self.a.bottom == "trousers":
                w = 0.098 * self.h
                self.canvas.limb(points, [w, w], [self.bottom] * 2, [BOTTOM] * 2)
            else:
                w = 0.066 * self.h
                self.canvas.limb(points, [w, w * 0.85], [self.skin] * 2, [SKIN] * 2)

    def _trunk(self) -> None:
        up = unit(self.xy[NECK] - self.hips)
        across = np.array([-up[1], up[0]])
        h = self.h
        shoulder = max(abs(float(np.dot(self.xy[L_SHOULDER] - self.xy[R_SHOULDER], across))) / 2, 0.055 * h) + 0.015 * h
        waist = max(abs(float(np.dot(self.xy[L_HIP] - self.xy[R_HIP], across))) / 2, 0.045 * h) + 0.03 * h
        neck, hips = self.xy[NECK], self.hips
        self.canvas.limb([neck - up * 0.02 * h, self.head], [0.05 * h], [self.skin], [SKIN])
        self.canvas.polygon([neck - across * shoulder, neck + across * shoulder, hips + across * waist,
                             hips - across * waist], self.top, TOP)  # fmt: skip
        belt = hips + up * 0.05 * h
        if self.a.bottom == "trousers":
            self.canvas.polygon([belt - across * waist, belt + across * waist, hips + across * waist - up * 0.035 * h,
                                 hips - up * 0.06 * h, hips - across * waist - up * 0.035 * h],
                                self.bottom, BOTTOM)  # fmt: skip
            return
        hems = [self.xy[a] + (self.xy[b] - self.xy[a]) * 0.8 for a, b in ((R_HIP, R_KNEE), (L_HIP, L_KNEE))]
        hems.sort(key=lambda q: float(np.dot(q, across)))
        flare, drop = across * 0.15 * h, -up * 0.02 * h
        self.canvas.polygon([belt - across * waist * 0.9, belt + across * waist * 0.9, hems[1] + flare,
                             (hems[0] + hems[1]) / 2 + drop, hems[0] - flare], self.bottom, BOTTOM)  # fmt: skip

    def _long_hair(self) -> None:
        """A wide mass from the crown to the hips; it hangs between the body's and gravity's direction."""
        r, right, up = self.radius, self.right, self.up
        down = unit(0.5 * unit(self.hips - self.xy[NECK], (0.0, 1.0)) + np.array([0.0, 0.5]), (0.0, 1.0))
        back = -self.turn * r * 0.75 * right  # in a side view it falls behind the back
        across = np.array([down[1], -down[0]]) * (1 if float(np.dot(np.array([down[1], -down[0]]), right)) > 0 else -1)
        end = self.xy[NECK] + back + down * 0.27 * self.h
        points = [self.head - right * r * 1.12 + up * r * 0.35, self.head + right * r * 1.12 + up * r * 0.35,
                  self.head + right * r * 1.25 - up * r * 0.6 + back * 0.4, end + across * r * 1.5,
                  end + down * 0.05 * self.h, end - across * r * 1.5,
                  self.head - right * r * 1.25 - up * r * 0.6 + back * 0.4]  # fmt: skip
        self.canvas.polygon(points, self.hair, HAIR)

    def _head(self) -> None:
        r, right, up = self.radius, self.right, self.up
        angle = math.atan2(right[1], right[0])
        if self.away:
            if self.a.hair_length == "long":
                self._long_hair()
            self.canvas.ellipse(self.head, (r * 1.08, r * 1.08), angle, self.hair, HAIR)
            return
        self.canvas.ellipse(self.head, (r, r * 1.02), angle, self.skin, SKIN)
        back = -self.turn  # the side of the head where hair covers the ear
        cap = self.head + up * r * 0.1 + right * back * r * 0.12
        self.canvas.ellipse(cap, (r * 1.12, r * 1.08), angle, self.hair, HAIR, (math.pi * 0.97, math.pi * 2.03))
        if abs(self.turn) > 0.35:  # hair over the far side of a turned head
            side = self.head + right * back * r * 0.78 - up * r * 0.1
            self.canvas.ellipse(side, (r * 0.36, r * 0.55), angle, self.hair, HAIR, outline=False)
        face = self.head + right * self.turn * r * 0.55
        spread = r * 0.4 * math.sqrt(max(0.12, 1 - self.turn**2))
        for sign in (-1, 1):
            eye = face + right * sign * spread - up * r * 0.2
            self.canvas.ellipse(eye, (r * 0.13, r * 0.22), angle, OUTLINE, SKIN, outline=False)
        self.canvas.ellipse(face - up * r * 0.62, (r * 0.16, r * 0.07), angle, (190, 60, 70), SKIN, outline=False)
