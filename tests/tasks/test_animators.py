"""Every animator against its stock pipeline: same parts, same seed, same frames, also after a break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.animate import denoise
from tasks.animate.catalogue import RECIPES
from tasks.animate.parts import built
from tasks.animate.stored import take_results
from tasks.weights.memory import LOADED
from tests.tasks import video_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401
from tests.tasks.video_films import CASES, Case, Film, stock

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny families on the disk, each written when it is first asked for."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(autouse=True)
def here(families: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(families))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))


def family(name: str, root: Path) -> tiny.Parts:
    """A case's parts, as a script loads them from where they are written, and frozen.

    Whether a weight wants a gradient decides in PyTorch, even where none is computed, which product a linear layer on
    a transposed input takes (`should_fold`), and on some processors the two round differently.
    """
    folder, parts = root / f"tiny_{name}", CASES[name].tiny()
    if not folder.exists():
        tiny.write(folder, parts)
    read = tiny.read(folder, parts)
    for part in read.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False)
    return read


@pytest.mark.parametrize("name", CASES)
def test_the_stages_draw_the_stock_pipelines_frames_also_after_a_break(
    name: str, families: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    case, parts = CASES[name], family(name, families)
    film = Film(case, tmp_path / "store", monkeypatch)
    looks: list[Any] = []
    monkeypatch.setattr(denoise, "watcher", lambda *_: lambda clean: looks.append(clean()))
    expected = (np.asarray(stock(case, parts)) * 255).round().astype(np.uint8)
    drawn = film.frames()
    assert drawn.shape == (case.frames, case.height, case.width, 3)
    assert np.array_equal(drawn, expected)
    whole = film.ctx.facts["forwards"]
    assert expected.std() > 1, "something is to be seen"
    assert looks[-1].ndim == 4
    if RECIPES[case.architecture].sections is None:
        assert_shown(case, looks[-1], take_results(film.store, film.made["denoise"])[0][0])
    film.again, film.ran = {"denoise"}, []
    sections = RECIPES[case.architecture].sections
    steps = case.steps * (len(sections({}, case.frames)) if sections else 1)
    for step in range(1, steps) if name == "wan21" else [steps - 1]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.networks.journal.SHARE", 1e9)
            patch.setattr(denoise, "_write", breaking(step))
            with pytest.raises(KeyboardInterrupt):
                film.frames()
        assert np.array_equal(film.frames(), drawn)
        assert film.ctx.facts["resumed_at_step"] == step
        assert film.ctx.facts["forwards"] < whole
    assert set(film.ran) == {"denoise"}, "it ended in the same digest, so that nothing was decoded anew"


@pytest.mark.parametrize("name", CASES)
def test_another_seed_loads_no_text_encoder(name: str, families: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor does it encode a picture, but where the pipeline draws noise over it first, by the seed."""
    case, read = CASES[name], list[str]()
    family(name, families)
    monkeypatch.setattr("tasks.animate.parts.built", lambda cfg, part: (read.append(part), built(cfg, part))[1])
    film, recipe = Film(case, tmp_path / "store", monkeypatch), RECIPES[case.architecture]
    first = film.frames()
    texts = set(recipe.text) - set(recipe.processors)
    assert texts <= set(read)
    film.ran = []
    read.clear()
    LOADED.free()  # as in a process of its own
    assert not np.array_equal(film.frames("seed=4"), first)
    assert film.ran == [*(["encode"] if "seed" in recipe.encoded_by else []), "denoise", "decode"]
    assert set(recipe.denoisers) <= set(read)
    assert not texts & set(read)


def assert_shown(case: Case, last: torch.Tensor, result: torch.Tensor) -> None:
    """The last look at the film, (C, F, h, w), is what it came to; its first frame may be the picture's own."""
    grid = RECIPES[case.architecture].grid
    latents = result[0].movedim(1, 0) if grid.layout == "fchw" else result[0]
    count, high, wide = grid.cells(case.frames, case.width, case.height)
    assert last.shape[2:] == (high, wide)
    assert last.shape[1] >= count - 1
    assert torch.allclose(last[:, -count + 1 :], latents[:, -count + 1 :], atol=1e-4)


def breaking(step: int) -> Any:
    """Writes checkpoints until that step, and then breaks the work off."""
    real = denoise._write

    def write(file: Any, state: Any, done: int) -> None:
        real(file, state, done)
        if state.calls == step:
            raise KeyboardInterrupt

    return write


def test_what_saves_memory_is_named_as_the_flow_has_it_and_only_where_it_is_read():
    asked = ("decode_tiling=true", "decode_framewise=true", "storage=float8")
    assert RECIPES["ltx"].smaller(*asked) == (
        "animate.decode_tiling=true, animate.decode_framewise=true, animate.storage=float8"
    )
    assert RECIPES["svd"].smaller(*asked) == "animate.decode_framewise=true, animate.storage=float8"
    assert RECIPES["wan_animate"].smaller(*asked) == "stylize.decode_tiling=true, stylize.storage=float8"
