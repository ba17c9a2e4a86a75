"""The named attributes of a drawn figure: few, big and far apart, so that a tiny model can learn each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RGB = tuple[int, int, int]

HAIR_COLORS: dict[str, RGB] = {
    "black": (32, 28, 36), "blonde": (250, 212, 70), "pink": (255, 105, 185), "blue": (45, 150, 245),
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

CHOICES: Mapping[str, tuple[str, ...]] = {
    "hair_length": ("short", "long"),
    "hair_color": tuple(HAIR_COLORS),
    "top_color": tuple(CLOTH_COLORS),
    "bottom": ("trousers", "skirt"),
    "bottom_color": tuple(CLOTH_COLORS),
    "background": tuple(BACKGROUND_COLORS),
    "skin": tuple(SKIN_TONES),
}
"""Attribute name -> allowed values; the order is the column order of every label array of the family."""


@dataclass(frozen=True)
class Attributes:
    """One figure's attributes; each value is one of `CHOICES`."""

    hair_length: str
    hair_color: str
    top_color: str
    bottom: str
    bottom_color: str
    background: str
    skin: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in CHOICES[field.name]:
                raise ValueError(f"{field.name}: {value!r} is not one of {', '.join(CHOICES[field.name])}")

    def to_indices(self) -> np.ndarray:
        """The values as positions in `CHOICES`: int64 `(7,)`."""
        import numpy as np

        return np.array([CHOICES[f.name].index(getattr(self, f.name)) for f in fields(self)], dtype=np.int64)

    @classmethod
    def from_indices(cls, indices: np.ndarray) -> Attributes:
        """The reverse of `to_indices`."""
        return cls(*(values[int(i)] for values, i in zip(CHOICES.values(), indices, strict=True)))

    def opposite(self) -> Attributes:
        """The same figure with the other hair length and the other garment (the source of the trade-off test)."""
        hair = "short" if self.hair_length == "long" else "long"
        bottom = "trousers" if self.bottom == "skirt" else "skirt"
        return replace(self, hair_length=hair, bottom=bottom)


def random_attributes(rng: np.random.Generator) -> Attributes:
    """Uniform over all values, except that top and bottom never share a colour (they would melt into one shape)."""
    while True:
        drawn = Attributes(*(values[rng.integers(len(values))] for values in CHOICES.values()))
        if drawn.top_color != drawn.bottom_color:
            return drawn


def values_of(attributes: Attributes) -> tuple[str, ...]:
    """The values in column order."""
    return astuple(attributes)
