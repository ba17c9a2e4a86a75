"""What a family's licence asks of its user, which is told once a store."""

from __future__ import annotations

import pytest

from flows.animate.plan import tell_licence
from flows.commands.models import family, painter
from reel.models.source import ModelSource
from reel.store import Store

EMBEDDED = ModelSource(kind="embedded", id="sprite")
BY_KEY = {"model": family, "keyframe": painter}


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("model", "hunyuan", "its licence does not allow it in the European Union"),
        ("model", "svd", "its files are handed out to those who have agreed to that on the hub (HF_TOKEN)"),
        (
            "keyframe",
            "flux",
            "keyframe flux: FLUX.1 dev non-commercial; its terms hold for what you make with it; its files",
        ),
        ("model", "ltx_2b", "model ltx_2b: OpenRAIL-M; its terms hold for what you make with it"),
        ("model", "wan22_5b", ""),
        ("keyframe", "picture", ""),
    ],
    ids=["territory", "gated animator", "gated painter", "terms", "free", "no files"],
)
def test_a_licence_is_told_once_a_store(key: str, name: str, told: str, store: Store, caplog: pytest.LogCaptureFixture):
    chosen = BY_KEY[key](name)
    tell_licence(key, chosen, store)
    assert told in caplog.text
    assert len(caplog.records) == bool(told)
    tell_licence(key, chosen, store)
    assert len(caplog.records) == bool(told)


def test_files_that_are_here_are_asked_for_nowhere(store: Store, caplog: pytest.LogCaptureFixture):
    here = painter("flux").model_copy(update={"base": EMBEDDED, "parts": {}, "license": "Apache-2.0"})
    tell_licence("keyframe", here, store)
    assert not caplog.records


def test_an_animator_and_a_painter_of_one_name_are_two(store: Store, caplog: pytest.LogCaptureFixture):
    gated = painter("flux")
    for key in ("model", "keyframe"):
        tell_licence(key, gated, store)
    assert len(caplog.records) == 2
