"""The head of a drawn figure: hair, face, eyes and mouth, big enough to outlive a VAE's stride of 8 px."""

from __future__ import annotations

import math

import numpy as np

from tasks.sprite.attributes import RGB, Attributes
from tasks.sprite.canvas import OUTLINE, Canvas, Piece, ellipse, rounded
from tasks.sprite.parts import EYES, HAIR, MOUTH, SKIN, unit
from tasks.sprite.skeleton import L_EAR, L_HIP, NECK, NOSE, R_EAR, R_HIP

RADIUS = 0.147  # of the standing height
LIPS: RGB = (160, 30, 46)
WHITE: RGB = (255, 255, 255)
EYE: RGB = (48, 34, 50)


class Head:
    """Head and hair; `right` runs along the head's width, to the picture's right when it is upright."""

    def __init__(
        self, person: np.ndarray, attributes: Attributes, canvas: Canvas, height: float, hair: RGB, skin: RGB
    ) -> None:
        self.a, self.canvas, self.h, self.hair, self.skin = attributes, canvas, height, hair, skin
        self.neck, self.hips = person[NECK, :2], (person[R_HIP, :2] + person[L_HIP, :2]) / 2
        ears = (person[R_EAR, :3] + person[L_EAR, :3]) / 2
        self.up = unit(ears[:2] - self.neck)
        self.right = np.array([-self.up[1], self.up[0]])
        self.angle = math.atan2(self.right[1], self.right[0])
        self.r = RADIUS * height
        self.centre = self.neck + self.up * self.r * 0.98
        face = person[NOSE, :3] - ears
        face = face / (float(np.linalg.norm(face)) + 1e-6)
        self.turn = float(np.clip(np.dot(face[:2], self.right), -1, 1))  # -1 looks to the left, 1 to the right
        self.away = bool(face[2] > 0.25)  # seen from the back

    def at(self, x: float, y: float) -> np.ndarray:
        """A point of the head: x to its right, y to its top, in radii."""
        return np.asarray(self.centre + self.right * x * self.r + self.up * y * self.r)

    def long_hair(self) -> None:
        """A mass from the crown to the waist; it hangs between the body's and gravity's direction."""
        if self.a.hair_length != "long":
            return
        r, right = self.r, self.right
        down = unit(0.5 * unit(self.hips - self.neck, (0.0, 1.0)) + np.array([0.0, 0.5]), (0.0, 1.0))
        back = -self.turn * r * 0.6 * right * (-1 if self.away else 1)  # in a side view it falls behind the back
        across = np.array([down[1], -down[0]])
        across = across if float(np.dot(across, right)) > 0 else -across
        end = self.neck + back + down * 0.29 * self.h
        wave = ((1.5, -0.02), (1.0, 0.045), (0.5, 0.0), (0.0, 0.06), (-0.5, 0.0), (-1.0, 0.045), (-1.5, -0.02))
        tips = [end + across * r * s + down * d * self.h for s, d in wave]
        low = back * 0.4
        points = [self.at(-0.7, 0.85), self.at(0.0, 1.1), self.at(0.7, 0.85), self.at(1.12, 0.2),
                  self.at(1.3, -0.7) + low, *tips, self.at(-1.3, -0.7) + low, self.at(-1.12, 0.2)]  # fmt: skip
        self.canvas.shape([Piece(rounded(points, 2), self.hair, HAIR)], shade=0.13 * r)

    def draw(self) -> None:
        if self.away:
            self._back()
            return
        self.canvas.shape([Piece(ellipse(self.centre, (self.r, self.r * 0.98), self.angle), self.skin, SKIN)],
                          shade=0.14 * self.r)  # fmt: skip
        self._blush()
        self._mouth()
        self._eyes()
        self._fringe()

    def _back(self) -> None:
        low = -0.72 if self.a.hair_length == "short" else -0.9
        points = [self.at(x, y) for x, y in
                  ((-1.02, -0.35), (-1.1, 0.3), (-0.75, 0.95), (0.0, 1.16), (0.75, 0.95), (1.1, 0.3), (1.02, -0.35),
                   (0.62, low), (0.3, low + 0.14), (0.0, low), (-0.3, low + 0.14), (-0.62, low))]  # fmt: skip
        self.canvas.shape([Piece(rounded(points, 2), self.hair, HAIR)], shade=0.13 * self.r)
        self._shine()

    def _fringe(self) -> None:
        """Hair over forehead and temples; the side that is turned away covers more of the head."""
        t = self.turn
        lock = -0.42 if self.a.hair_length == "short" else -0.78
        left, right = -1.1 - 0.06 * t, 1.1 - 0.06 * t
        near = 0.62 * abs(t)  # hair behind the face of a turned head
        inner_left = -0.74 + (0.62 * t if t < 0 else 0.3 * t) + (near if t > 0 else 0)
        inner_right = 0.74 + (0.62 * t if t > 0 else 0.3 * t) - (near if t < 0 else 0)
        inner_left, inner_right = max(inner_left, -0.96), min(inner_right, 0.96)
        points = [(left, -0.1), (left, 0.35), (-0.8, 0.98), (0.0, 1.22), (0.8, 0.98), (right, 0.35), (right, -0.1),
                  (right * 0.93, lock), (inner_right, lock * 0.5), (inner_right * 0.96, 0.18)]  # fmt: skip
        span = inner_right - inner_left
        teeth = [(0.84, 0.5), (0.66, 0.16), (0.5, 0.52), (0.34, 0.2), (0.16, 0.5)]
        points += [(inner_left + span * s, y) for s, y in teeth]
        points += [(inner_left * 0.96, 0.18), (inner_left, lock * 0.5), (left * 0.93, lock)]
        self.canvas.shape([Piece(rounded([self.at(x, y) for x, y in points], 1), self.hair, HAIR)], shade=0.13 * self.r)
        self._shine()

    def _shine(self) -> None:
        """A light band across the crown."""
        s = np.linspace(-0.62, 0.62, 12)
        band = np.stack([self.at(x, 0.68 + 0.16 * math.cos(x * 2.2)) for x in s])
        light = tuple(round(c + (255 - c) * 0.35) for c in self.hair)
        self.canvas.line(band, 0.1 * self.r, (light[0], light[1], light[2]), HAIR)

    def _features(self) -> list[tuple[float, float]]:
        """x of each visible eye and how wide it looks, 0..1."""
        spread = 0.42 * math.sqrt(max(0.1, 1 - self.turn**2))
        middle = 0.5 * self.turn
        eyes = [(middle + sign * spread, sign) for sign in (-1, 1)]
        seen = [(x, max(0.45, 1 - 0.75 * max(0.0, sign * self.turn - 0.1))) for x, sign in eyes]
        far = 0 if self.turn < 0 else 1
        return [eye for i, eye in enumerate(seen) if not (i == far and abs(self.turn) > 0.8)]

    def _eyes(self) -> None:
        r = self.r
        for x, wide in self._features():
            if self.a.eyes == "open":
                white = ellipse(self.at(x, -0.1), (0.22 * r * wide, 0.33 * r), self.angle)
                iris = ellipse(self.at(x + 0.02 * self.turn, -0.1), (0.16 * r * wide, 0.29 * r), self.angle)
                glint = ellipse(self.at(x - 0.045 * wide, 0.02), (0.06 * r * wide, 0.085 * r), self.angle)
                for shape, color in ((white, WHITE), (iris, EYE), (glint, WHITE)):
                    self.canvas.shape([Piece(shape, color, EYES)], outline=False)
            else:
                s = np.linspace(-1, 1, 9)
                lid = np.stack([self.at(x + 0.23 * wide * u, -0.06 - 0.16 * (1 - u * u)) for u in s])
                self.canvas.line(lid, 0.11 * r, OUTLINE, EYES)

    def _mouth(self) -> None:
        r, x = self.r, 0.5 * self.turn
        narrow = math.sqrt(max(0.3, 1 - self.turn**2))
        if self.a.mouth == "open":
            lips = ellipse(self.at(x, -0.6), (0.22 * r * narrow, 0.19 * r), self.angle)
            teeth = ellipse(self.at(x, -0.51), (0.14 * r * narrow, 0.06 * r), self.angle)
            self.canvas.shape([Piece(lips, LIPS, MOUTH), Piece(teeth, WHITE, MOUTH)])
        else:
            s = np.linspace(-1, 1, 7)
            smile = np.stack([self.at(x + 0.17 * narrow * u, -0.58 - 0.06 * (1 - u * u)) for u in s])
            self.canvas.line(smile, 0.075 * r, (110, 44, 48), MOUTH)

    def _blush(self) -> None:
        tone = tuple(round(0.72 * s + 0.28 * b) for s, b in zip(self.skin, (250, 100, 110), strict=True))
        for x, wide in self._features():
            side = 0.16 if x > 0.5 * self.turn else -0.16
            cheek = ellipse(self.at(x + side * wide, -0.46), (0.14 * self.r * wide, 0.085 * self.r), self.angle)
            self.canvas.shape([Piece(cheek, (tone[0], tone[1], tone[2]), SKIN)], outline=False)
