"""Model families: which class a file is of, and what of it has to be fetched."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest

from reel.config import parse
from reel.errors import UserError
from reel.models import catalogue
from reel.models.animatediff import AnimateDiff
from reel.models.family import Family
from reel.models.source import ModelSource, sources_in


def source(name: str) -> dict[str, Any]:
    return {"kind": "embedded", "id": name}


DATA: dict[str, Any] = {
    "name": "mine",
    "architecture": "sd15",
    "base": source("base"),
    "motion": source("motion"),
    "controlnets": {"openpose": source("pose"), "depth": source("depth")},
    "loras": [{"source": {"kind": "file", "id": "a.safetensors"}}],
    "ip_image_encoder": source("eyes"),
    "motion_window": 16,
}


class Other(Family):
    """A family of an architecture of its own, with nothing of AnimateDiff's."""

    kind: ClassVar[str] = "Other"

    architecture: Literal["other"]
    transformer: ModelSource
    parts: list[dict[str, ModelSource]] = []


def test_the_architecture_decides_the_class() -> None:
    assert catalogue.class_of("sd15") is AnimateDiff
    assert catalogue.class_of("sdxl") is AnimateDiff


@pytest.mark.parametrize(
    ("architecture", "says"),
    [("sd51", "model=x: 'sd51' is not known; nearest: sd15"), (None, "model=x: is missing"), (3, "model=x: 3 is not")],
)
def test_an_unknown_architecture_is_refused_with_the_known_ones(architecture: object, says: str) -> None:
    with pytest.raises(UserError) as caught:
        catalogue.class_of(architecture, "model=x")
    assert caught.value.message.startswith(says)
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("known: sd15 (AnimateDiff), sdxl (AnimateDiff), ")
    assert {"ltx (animator)", "ltx2 (animator)", "vace (animator)"} <= set(caught.value.fix.split(", "))


def test_a_further_class_is_found_by_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "CLASSES", (AnimateDiff, Other))
    assert catalogue.class_of("other") is Other


def test_a_family_of_another_class_is_one_error_and_not_one_for_each_key() -> None:
    with pytest.raises(UserError) as caught:
        parse(AnimateDiff, {"name": "far", "architecture": "other", "transformer": source("t")}, "model")
    message = (
        "model: far is of architecture 'other', AnimateDiff families are of sd15 or sdxl; choose one with model=NAME"
    )
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message


def test_a_family_says_its_architecture() -> None:
    with pytest.raises(UserError, match=r"^model\.architecture: a value is needed$"):
        parse(AnimateDiff, {name: value for name, value in DATA.items() if name != "architecture"}, "model")


def test_sources_are_found_wherever_a_field_holds_one() -> None:
    assert {key: one.id for key, one in parse(AnimateDiff, DATA).sources().items()} == {
        "base": "base",
        "motion": "motion",
        "controlnets.openpose": "pose",
        "controlnets.depth": "depth",
        "loras.0.source": "a.safetensors",
        "ip_image_encoder": "eyes",
    }
    other = {"name": "o", "architecture": "other", "transformer": source("t"), "parts": [{}, {"vae": source("v")}]}
    assert {key: one.id for key, one in sources_in(parse(Other, other))} == {"transformer": "t", "parts.1.vae": "v"}


WHEEL = {"member": "a/b.safetensors", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("kind", "id"),
    [
        *(("embedded", name) for name in ("..", ".", "../x", ".hidden", "", "a/b")),
        *(("hub", name) for name in ("../..", "./x", "x/..", "x/.", "/x", "x/y/z", "-x/y")),
        *(("wheel", name) for name in ("-r==x", "--index-url==x", "..==1", "x==-1", "x")),
    ],
)
def test_an_id_is_a_name_and_neither_a_way_to_another_folder_nor_an_option(kind: str, id: str) -> None:
    data = {"kind": kind, "id": id, **(WHEEL if kind == "wheel" else {})}
    with pytest.raises(UserError, match="is not"):
        parse(ModelSource, data)


@pytest.mark.parametrize(
    ("kind", "id"), [("embedded", "sprite-2.x"), ("hub", "guoyww/animatediff-v1.5"), ("wheel", "mediapipe==0.10.21")]
)
def test_usual_ids_are_taken(kind: str, id: str) -> None:
    assert parse(ModelSource, {"kind": kind, "id": id, **(WHEEL if kind == "wheel" else {})}).id == id
