"""Settings of an animator's ops for a toy family, and a store in which they are run."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reel import op
from reel.clip import ClipWriter
from reel.compute import Compute
from reel.store import Store
from tasks.animate.catalogue import RECIPES
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key
from tests.tasks import animate_models as tiny

LTX = RECIPES["ltx"]


@pytest.fixture(scope="module", name="family")
def toy_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny.write_ltx(root / "tiny_ltx")
    return root


@pytest.fixture(autouse=True)
def here(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(family))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))


def sources(names: list[str], family: str = "tiny_ltx") -> dict[str, Any]:
    found = {}
    for name in names:
        part, _, what = name.partition(":")
        found[name] = {"kind": "embedded", "id": family, "files": [f"{part}/{what}.json" if what else f"{part}/*"]}
    return found


def stage(*real: str) -> dict[str, Any]:
    return {"architecture": "ltx", "sources": sources(LTX.needs(*real))}


def denoising(**changes: Any) -> Denoise:
    base = {
        "frames": 17,
        "fps": 24,
        "width": 64,
        "height": 32,
        "keys": [Key(at=0), Key(at=16, strength=0.7)],
        "num_inference_steps": 5,
        "guidance_scale": 3.0,
        "max_tokens": 16,
        "seed": 3,
    }
    return Denoise(**{**stage("transformer"), **base, **changes})


def decoding(denoise: Denoise, **changes: Any) -> Decode:
    base = {"keep": 9, "decode_timestep": 0.05, "decode_noise_scale": 0.025}
    return Decode(**stage("vae"), denoise=denoise, **{**base, **changes})


class Film:
    """A store, and the ops run in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ctx = op.Context(store, Compute(device="cpu", threads=1), run="r")

    def run(self, name: str, cfg: Any, inputs: dict[str, str]) -> str:
        return op.get("animate", name).fn(cfg, inputs, self.ctx)

    def picture(self, seed: int, width: int = 64, height: int = 32) -> str:
        with ClipWriter(self.store, "rgb", width=width, height=height, time_base=Fraction(1, 24)) as writer:
            writer.add(np.asarray(tiny.picture(seed, width, height)), 0)
        return writer.digest

    def given(self, width: int = 64, height: int = 32) -> dict[str, str]:
        embed = Embed(
            architecture="ltx", sources=sources([*LTX.text]), texts=[("she waves slowly", "still")], max_tokens=16
        )
        found = {"embeddings": self.run("embed", embed, {})}
        for number in (0, 1):
            found[f"frames_{number}"] = self.picture(number, width, height)
            inputs = {"frames_0": found[f"frames_{number}"]}
            found[f"encoded_{number}"] = self.run("encode", Encode(**stage("vae")), inputs)
        return found
