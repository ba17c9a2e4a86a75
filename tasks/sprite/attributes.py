"""The named attributes of a drawn figure: few, big and far apart, so that a tiny model can learn each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RGB = tuple[int, int, int]
Choices = Mapping[str, tuple[str, ...]]
"""Attribute name -> values, in the column order of label arrays."""

HAIR_COLORS: dict[str, RGB] = {
    "black": (32, 28, 36), "blonde": (250, 212, 70), "pink": (255, 105, 185), "blue": (45, 150, 245),
    "red": (214, 62, 28), "brown": (116, 66, 36),
}  # fmt: skip
CLOTH_COLORS: dict[str, RGB] = {
    "red": (222, 35, 40), "blue": (35, 70, 215), "green": (35, 150, 60),
    "yellow": (250, 220, 40), "white": (248, 248, 248), "black": (40, 40, 46),
}  # fmt: skip
SKIN_TONES: dict[str, RGB] = {"light": (255, 222, 192), "dark": (150, 96, 62)}
BACKGROUND_COLORS: dict[str, RGB] = {
    "white": (250, 250, 250), "gray": (150, 150, 156), "blue": (135, 190, 250),
    "green": (125, 210, 125), "pink": (255, 180, 205), "yellow": (255, 236, 150),
}  # fmt: skip
OPEN_CLOSED = ("open", "closed")

CHOICES: Choices = {
    "hair_length": ("short", "long"),
    "hair_color": tuple(HAIR_COLORS),
    "top_color": tuple(CLOTH_COLORS),
    "bottom": ("trousers", "skirt", "dress"),
    "bottom_color": tuple(CLOTH_COLORS),
    "background": tuple(BACKGROUND_COLORS),
    "skin": tuple(SKIN_TONES),
    "eyes": OPEN_CLOSED,
    "mouth": OPEN_CLOSED,
}
"""All that can be drawn. What one family knows of it stands in its own folder: `tasks.sprite.spec`."""


@dataclass(frozen=True)
class Attributes:
    """One figure's attributes; each value is one of `CHOICES`. A dress is top and bottom in one, in one colour."""

    hair_length: str
    hair_color: str
    top_color: str
    bottom: str
    bottom_color: str
    background: str
    skin: str
    eyes: str = "open"
    mouth: str = "closed"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in CHOICES[field.name]:
                raise ValueError(f"{field.name}: {value!r} is not one of {', '.join(CHOICES[field.name])}")
        if self.bottom == "dress" and self.top_color != self.bottom_color:
            raise ValueError(f"a dress has one colour, not a {self.top_color} top and a {self.bottom_color} bottom")

    def to_indices(self, choices: Choices = CHOICES) -> np.ndarray:
        """The values as positions in `choices`: int64 `(len(choices),)`.

        Raises:
            ValueError: a family that does not know one of the values.
        """
        import numpy as np

        return np.array([values.index(getattr(self, name)) for name, values in choices.items()], dtype=np.int64)

    @classmethod
    def from_indices(cls, indices: np.ndarray, choices: Choices = CHOICES) -> Attributes:
        """The reverse of `to_indices`; what the family has no column for is as by default."""
        named = zip(choices.items(), indices, strict=True)
        return cls(**{name: values[int(i)] for (name, values), i in named})

    def opposite(self) -> Attributes:
        """The same figure with the other hair length and another garment (the source of the trade-off test)."""
        hair = "short" if self.hair_length == "long" else "long"
        bottom = "skirt" if self.bottom == "trousers" else "trousers"
        return replace(self, hair_length=hair, bottom=bottom)


def random_attributes(rng: np.random.Generator, choices: Choices = CHOICES) -> Attributes:
    """Uniform over all values, except that top and bottom never share a colour (they would melt into one shape).

    A dress has the bottom's colour.
    """
    while True:
        drawn = {name: values[rng.integers(len(values))] for name, values in choices.items()}
        if drawn["bottom"] == "dress":
            return Attributes(**drawn | {"top_color": drawn["bottom_color"]})
        if drawn["top_color"] != drawn["bottom_color"]:
            return Attributes(**drawn)
