"""How a figure is drawn: a chibi dancer in two tones, with a face, hands, and arms before or behind hair.

All sizes are fractions of the standing height `h` or of the head's radius `r`. 5-8 ms a figure of 192 px.
"""

from __future__ import annotations

import math

import numpy as np

from tasks.sprite.attributes import BACKGROUND_COLORS, CLOTH_COLORS, HAIR_COLORS, SKIN_TONES, Attributes
from tasks.sprite.canvas import Canvas, Piece, ellipse, rounded, shaded, tapered
from tasks.sprite.head import Head
from tasks.sprite.parts import BOTTOM, SHOES, SKIN, TOP, Drawing, standing_height, unit
from tasks.sprite.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)  # fmt: skip

SHOE = (92, 62, 54)
SHADE = 0.022  # width of the darker edge, of h
ARMS = ((R_SHOULDER, R_ELBOW, R_WRIST), (L_SHOULDER, L_ELBOW, L_WRIST))
LEGS = ((R_HIP, R_KNEE, R_ANKLE), (L_HIP, L_KNEE, L_ANKLE))


def draw(person: np.ndarray, attributes: Attributes, size: int) -> Drawing:
    """See `drawing.draw_figure`."""
    canvas = Canvas(BACKGROUND_COLORS[attributes.background], size)
    _Figure(person, attributes, canvas).draw()
    return canvas.finish()


class _Figure:
    """One figure, painted from back to front."""

    def __init__(self, person: np.ndarray, attributes: Attributes, canvas: Canvas) -> None:
        self.p, self.a, self.canvas = person, attributes, canvas
        self.xy, self.z = person[:, :2], person[:, 2]
        self.h = standing_height(person)
        self.skin = SKIN_TONES[attributes.skin]
        self.top, self.bottom = CLOTH_COLORS[attributes.top_color], CLOTH_COLORS[attributes.bottom_color]
        self.hips = (self.xy[R_HIP] + self.xy[L_HIP]) / 2
        self.up = unit(self.xy[NECK] - self.hips)
        self.across = np.array([-self.up[1], self.up[0]])
        self.head = Head(person, attributes, canvas, self.h, HAIR_COLORS[attributes.hair_color], self.skin)

    def draw(self) -> None:
        """Arms lie in one of three depths: behind trunk and hair, between the two, or before both."""
        trunk = (self.z[NECK] + self.z[[R_HIP, L_HIP]].mean()) / 2
        hair = trunk + self._hair_side() * 0.1 * self.h
        order = sorted(ARMS, key=lambda arm: -self._depth(arm))
        far = max(trunk, hair) + 0.02 * self.h
        near = min(trunk, hair) - 0.02 * self.h if hair < trunk else trunk
        behind = [arm for arm in order if self._depth(arm) > far]
        before = [arm for arm in order if self._depth(arm) <= near]
        between = [arm for arm in order if arm not in behind and arm not in before]
        self._arms(behind)
        if hair >= trunk:  # it hangs behind the trunk
            self.head.long_hair()
            self._arms(between)
            self._body()
            self.head.draw()
        else:
            self._body()
            self._arms(between)
            self.head.long_hair()
            self.head.draw()
        self._arms(before)

    def _hair_side(self) -> float:
        """Where hair hangs, as the body faces the camera: 1 behind the trunk, -1 before it (seen from the back)."""
        shoulders, spine = self.p[L_SHOULDER, :3] - self.p[R_SHOULDER, :3], self.p[NECK, :3] - self._hips_3d()
        front = np.cross(shoulders, spine)
        length = float(np.linalg.norm(front))
        return -float(front[2]) / length if length > 1e-6 else 1.0

    def _hips_3d(self) -> np.ndarray:
        return np.asarray((self.p[R_HIP, :3] + self.p[L_HIP, :3]) / 2)

    def _depth(self, arm: tuple[int, int, int]) -> float:
        """Depth of forearm and hand, which are what is seen before or behind something."""
        return float(np.average(self.z[list(arm)], weights=(1, 2, 3)))

    def _arms(self, arms: list[tuple[int, int, int]]) -> None:
        for arm in arms:
            shoulder, elbow, wrist = (self.xy[j] for j in arm)
            h = self.h
            along = unit(wrist - elbow, (0.0, 1.0))
            thumb = np.array([-along[1], along[0]]) * (1 if arm is ARMS[0] else -1)
            palm = wrist + along * 0.018 * h
            self.canvas.shape(
                [Piece(ellipse(palm + thumb * 0.03 * h, (0.022 * h, 0.013 * h), math.atan2(along[1], along[0]) - 0.5),
                       self.skin, SKIN),
                 Piece(ellipse(palm, (0.042 * h, 0.034 * h), math.atan2(along[1], along[0])), self.skin, SKIN),
                 Piece(tapered(elbow, wrist, 0.06 * h, 0.046 * h), self.skin, SKIN),
                 Piece(tapered(shoulder, shoulder + (elbow - shoulder) * 0.92, 0.088 * h, 0.076 * h), self.top, TOP)],
                shade=SHADE * h * 0.8,
            )  # fmt: skip

    def _body(self) -> None:
        for leg in sorted(LEGS, key=lambda leg: -self.z[list(leg)].mean()):
            self._leg(*(self.xy[j] for j in leg))
        h, up, across, neck, hips = self.h, self.up, self.across, self.xy[NECK], self.hips
        throat = tapered(neck - up * 0.03 * h, self.head.centre, 0.055 * h, 0.055 * h)
        self.canvas.shape([Piece(throat, self.skin, SKIN)])
        shoulder = self._half(L_SHOULDER, R_SHOULDER, 0.06) + 0.012 * h
        hip = self._half(L_HIP, R_HIP, 0.05) + 0.028 * h
        waist = 0.5 * (shoulder + hip) * 0.86
        middle = hips + (neck - hips) * 0.42
        trunk = rounded([neck + up * 0.012 * h - across * 0.035 * h, neck + up * 0.012 * h + across * 0.035 * h,
                         neck + across * shoulder - up * 0.01 * h, middle + across * waist, hips + across * hip,
                         hips - across * hip, middle - across * waist,
                         neck - across * shoulder - up * 0.01 * h], 1)  # fmt: skip
        pieces = [Piece(trunk, self.top, TOP)]
        if self._hair_side() > -0.2:
            collar = neck + up * 0.02 * h
            pieces.append(Piece(np.stack([collar - across * 0.034 * h, collar + across * 0.034 * h,
                                          neck - up * 0.05 * h]), self.skin, SKIN))  # fmt: skip
        self.canvas.shape(pieces, shade=SHADE * h * 1.2)
        if self.a.bottom == "trousers":
            self._waistband(hip)
        else:
            self._skirt(hip)

    def _half(self, left: int, right: int, least: float) -> float:
        """Half the distance of two joints across the trunk, at least `least` of h."""
        return max(abs(float(np.dot(self.xy[left] - self.xy[right], self.across))) / 2, least * self.h)

    def _leg(self, hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray) -> None:
        h = self.h
        down = unit(ankle - knee, (0.0, 1.0))
        toe = np.array([self.head.turn * 0.03 * h, 0.0])
        angle = math.atan2(down[1], down[0]) - math.pi / 2
        foot = ellipse(ankle + down * 0.022 * h + toe, ((0.048 + 0.018 * abs(self.head.turn)) * h, 0.036 * h), angle)
        self.canvas.shape([Piece(foot, SHOE, SHOES)], shade=SHADE * h * 0.6)
        trousers = self.a.bottom == "trousers"
        color, part = (self.bottom, BOTTOM) if trousers else (self.skin, SKIN)
        widths = (0.115, 0.092, 0.078) if trousers else (0.092, 0.07, 0.05)
        thigh, calf, end = (w * h for w in widths)
        self.canvas.shape([Piece(tapered(hip, knee, thigh, calf), color, part),
                           Piece(tapered(knee, ankle, calf, end), color, part)], shade=SHADE * h)  # fmt: skip

    def _waistband(self, hip: float) -> None:
        h, up, across = self.h, self.up, self.across
        belt = self.hips + up * 0.055 * h
        low = self.hips - up * 0.04 * h
        self.canvas.shape([Piece(np.stack([belt - across * hip * 0.98, belt + across * hip * 0.98, low + across * hip,
                                           self.hips - up * 0.065 * h, low - across * hip]), self.bottom, BOTTOM)],
                          shade=SHADE * h)  # fmt: skip

    def _skirt(self, hip: float) -> None:
        """A flared skirt to above the knees, or a dress's to below them."""
        h, up, across = self.h, self.up, self.across
        dress = self.a.bottom == "dress"
        hems = [self._hem(*leg, dress) for leg in LEGS]
        hems.sort(key=lambda q: float(np.dot(q, across)))
        belt = self.hips + up * (0.1 if dress else 0.055) * h
        waist = hip * (0.84 if dress else 0.92)
        flare, drop = across * (0.13 if dress else 0.135) * h, -up * 0.022 * h
        middle = (hems[0] + hems[1]) / 2 + drop
        outline = np.stack([belt - across * waist, belt + across * waist, self.hips + across * (hip + 0.03 * h),
                            hems[1] + flare, hems[1] + flare * 0.45 + drop * 0.8, middle,
                            hems[0] - flare * 0.45 + drop * 0.8, hems[0] - flare,
                            self.hips - across * (hip + 0.03 * h)])  # fmt: skip
        self.canvas.shape([Piece(rounded(outline, 1), self.bottom, BOTTOM)], shade=SHADE * h * 1.4)
        fold = shaded(self.bottom)
        for share in (-0.4, 0.15, 0.6):
            top, end = belt + across * waist * share * 0.7 - up * 0.07 * h, middle + flare * share * 1.3
            end = end + (hems[1] - hems[0]) * share * 0.5 - drop
            self.canvas.line(np.stack([top, end]), max(1.0, 0.009 * h), fold)
        if dress:  # a sash: a dress has a waist, and no seam in another colour
            self.canvas.line(np.stack([belt - across * waist, belt + across * waist]), 0.03 * h, fold, BOTTOM)

    def _hem(self, hip: int, knee: int, ankle: int, dress: bool) -> np.ndarray:
        if dress:
            return np.asarray(self.xy[knee] + (self.xy[ankle] - self.xy[knee]) * 0.42)
        return np.asarray(self.xy[hip] + (self.xy[knee] - self.xy[hip]) * 0.8)
