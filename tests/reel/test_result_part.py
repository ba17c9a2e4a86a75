"""What a result is made of, as settings say it: markers at fields, for all that stands under them; what classes add."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import pytest

from reel.compute import Compute
from reel.config import FIGURES, FILES, OPERATIONAL, Config, Field, Marker, counts
from reel.content import content, with_content


class Machine(Config):
    threads: Annotated[int | None, OPERATIONAL] = Field(default=None, ge=1)
    kernel: str = "auto"

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        return {**super().result_part(without), "kernel": "math" if self.kernel == "auto" else self.kernel}


class Layer(Config):
    weight: float = 1.0
    mask: Path | None = None
    notes: str = Field(default="", exclude=True)


class Render(Config):
    seed: int = 0
    picture: Path = Path("a.png")
    layers: dict[str, Layer] = {}
    more: list[Layer] = []
    options: dict[str, dict[str, Any]] = {}
    machine: Machine = Machine()
    film: Annotated[Layer, FILES] = Layer()
    measure: Annotated[dict[str, Any], FIGURES] = {}
    paths: Annotated[Layer, OPERATIONAL] = Layer()


def test_all_counts_but_what_is_marked_and_what_is_for_people():
    cfg = Render(layers={"a": Layer(weight=0.6000000000000001, notes="x")}, more=[Layer()], options={"o": {"p": 1}})
    assert cfg.result_part() == {
        "seed": 0,
        "picture": "a.png",
        "layers": {"a": {"weight": 0.6, "mask": None}},
        "more": [{"weight": 1.0, "mask": None}],
        "options": {"o": {"p": 1}},
        "machine": {"kernel": "math"},
        "film": {"weight": 1.0, "mask": None},
        "measure": {},
    }
    assert cfg.result_part({FILES, FIGURES}).keys() == cfg.result_part().keys() - {"film", "measure"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("seed", True),
        ("layers.a.weight", True),
        ("machine", True),  # a group with something in it that counts
        ("machine.kernel", True),
        ("machine.threads", False),
        ("paths", False),
        ("paths.weight", False),
        ("film", True),
        ("nothing.known", True),
    ],
)
def test_a_key_counts_unless_all_under_it_is_marked(key: str, expected: bool):
    assert counts(Render, key) is expected


def test_what_files_hold_counts_and_not_what_they_are_called(tmp_path: Path):
    first, second, other = tmp_path / "first.png", tmp_path / "second.png", tmp_path / "other.png"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    other.write_bytes(b"other")

    def seen(path: Path) -> Any:
        cfg = Render(picture=path, layers={"a": Layer(mask=path)}, more=[Layer(mask=path)])
        return with_content(Render, cfg.result_part())

    assert seen(first) == seen(second) != seen(other)
    assert seen(first)["layers"]["a"]["mask"] == seen(first)["more"][0]["mask"] == content(first)
    assert seen(tmp_path / "none.png")["picture"] == str(tmp_path / "none.png")
    assert with_content(Render, {"seed": 3, "machine": {"kernel": str(first)}})["machine"]["kernel"] == str(first)


def test_a_folder_counts_with_the_names_in_it(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    before = content(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert content(tmp_path) != before
    (tmp_path / "b").rename(tmp_path / "a")
    assert content(tmp_path) == before


def test_how_to_compute_does_not_count_as_far_as_no_key_holds_it():
    kept = Compute().result_part()
    assert kept.keys() == {"dtype", "memory_format", "attention", "compile", "max_memory"}
