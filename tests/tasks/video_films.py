"""Films of tiny families through the ops of `animate`, as the flow wires them, and through the stock pipelines."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from flows.animate import stages
from flows.animate.plan import passes_of
from flows.animate.settings import Animate
from flows.config.compose import plain_settings
from flows.config.root import Root
from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.config import parse
from reel.store import Store
from tasks.animate.catalogue import RECIPES
from tasks.animate.recipe import loaded_class
from tasks.animate.settings import Key
from tests.tasks import video_models as tiny
from tests.tasks.animate_models import picture

SEED = 3
WORDS = {"prompt": 'she waves "slowly"', "negative_prompt": "still"}


@dataclass(frozen=True)
class Case:
    """A family's tiny film.

    Attributes:
        model: of conf/model/.
        parts: name in `video_models` and its arguments.
        given: of the stock pipeline's call, beside pictures, texts, steps and seed.
        settings: of `animate` that say the same.
        last: whether there is a last picture.
        init: of the stock pipeline's constructor, beside its parts.
        texts: of the call; none where it reads none.
    """

    model: str
    parts: str
    frames: int
    width: int = 64
    height: int = 32
    given: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    last: bool = False
    init: dict[str, Any] = field(default_factory=dict)
    steps: int = 2

    @property
    def texts(self) -> dict[str, str]:
        return WORDS if RECIPES[self.architecture].text else {}

    @property
    def architecture(self) -> str:
        return self.parts

    def tiny(self) -> tiny.Parts:
        return tiny.FAMILIES[self.parts](**self.more)

    @property
    def keys(self) -> list[Key]:
        return [Key(at=0), *([Key(at=self.frames - 1)] if self.last else [])]

    def config(self, *changes: str, frames: int | None = None) -> Animate:
        """The film's settings as the command line gives them."""
        data = plain_settings(
            Root("animate", Animate),
            [
                *(f"model={self.model}", f"model.base={{kind: embedded, id: tiny_{self.model}, files: null}}"),
                *("model.max_tokens=16", f"seed={SEED}", f"frames={frames or self.frames}"),
                *(f"animate.num_inference_steps={self.steps}", "compute.dtype=float32", "compute.device=cpu"),
                *self.settings,
                *changes,
            ],
        )
        data["model"] |= {"parts": {}}  # all in one folder
        return parse(Animate, {**data, **self.texts})


class Film:
    """A store, and the ops run in it with no flow around them; each once for the same settings and inputs.

    Attributes:
        ran: names of the ops that were run, in order.
        again: those that are run each time.
        made: digest of what each gave last, by name.
    """

    def __init__(self, case: Case, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.case, self.store = case, Store(root)
        self.ctx = op.Context(self.store, Compute(device="cpu", threads=1), run="r")
        self.ran: list[str] = []
        self.again: set[str] = set()
        self.made: dict[str, str] = {}
        self._made: dict[str, str] = {}
        patch.setattr(stages, "call", self._call)

    def _call(self, what: op.Op, cfg: Any, inputs: dict[str, str], ctx: op.Context) -> SimpleNamespace:
        key = f"{what.name} {cfg.model_dump_json()} {sorted(inputs.items())}"
        if key not in self._made or what.name in self.again:
            self.ran.append(what.name)
            self._made[key] = what.fn(cfg, inputs, ctx)
        self.made[what.name] = self._made[key]
        return SimpleNamespace(digest=self._made[key], key="")

    def passes(self, *changes: str) -> stages.Passes:
        cfg, case = self.case.config(*changes), self.case
        return passes_of(cfg, case.keys, case.frames, case.frames, case.width, case.height, [cfg.prompt])

    def pictures(self) -> list[str]:
        found = []
        for number in range(len(self.case.keys)):
            size = {"width": self.case.width, "height": self.case.height}
            with ClipWriter(self.store, "rgb", **size, time_base=Fraction(1, 24)) as writer:
                writer.add(np.asarray(picture(number, **size)), 0)
            found.append(writer.digest)
        return found

    def frames(self, *changes: str) -> np.ndarray:
        """The film, frame by frame."""
        passes = self.passes(*changes)
        shown = self.pictures()
        made = stages.animated(passes, stages.embedded(passes.embed, shown, self.ctx), shown, (), self.ctx)
        return Clip.open(self.store, made.frames).array()


def stock(case: Case, parts: tiny.Parts, **more: Any) -> Any:
    """What the untouched pipeline gives for the same, by arguments written down for it alone."""
    recipe = RECIPES[case.architecture]
    pipe = loaded_class(recipe.pipeline)(**{**parts, **case.init, **_guider(case)})
    pipe.set_progress_bar_config(disable=True)
    shown = [picture(number, case.width, case.height) for number in range(len(case.keys))]
    given = {"image": shown[0], **({"last_image": shown[1]} if case.last else {}), **case.texts}
    call = {"num_frames": case.frames, "num_inference_steps": case.steps, **given, **case.given, **more}
    return pipe(**call, generator=torch.Generator().manual_seed(SEED), output_type="np").frames[0]


def _guider(case: Case) -> dict[str, Any]:
    """A part of HunyuanVideo 1.5 that no file holds."""
    if case.architecture != "hunyuan15":
        return {}
    return {"guider": diffusers.ClassifierFreeGuidance(guidance_scale=6.0)}


SIZE = {"width": 64, "height": 32}
READ = {"max_sequence_length": 16}
CASES = {
    "wan21": Case("wan21", "wan21", 13, given={**SIZE, **READ, "guidance_scale": 5.0}, steps=4),
    "wan21_flf": Case(
        "wan21_flf", "wan21", 9, given={**SIZE, **READ, "guidance_scale": 5.5}, more={"both": True}, last=True
    ),
    "wan22": Case(
        "wan22",
        "wan22",
        9,
        given={**SIZE, **READ, "guidance_scale": 3.5, "guidance_scale_2": 2.0},
        settings=("model.call.guidance_scale_2=2.0",),
        last=True,
        steps=4,
        init={"boundary_ratio": 0.9},
    ),
    "wan22_5b": Case(
        "wan22_5b", "wan22_5b", 9, given={**SIZE, **READ, "guidance_scale": 5.0}, init={"expand_timesteps": True}
    ),
    "svd": Case(
        "svd",
        "svd",
        4,
        width=64,
        height=64,
        given={"width": 64, "height": 64, "max_guidance_scale": 3.0, "fps": 7, "noise_aug_strength": 0.02},
    ),
    "cogvideox": Case(
        "cogvideox", "cogvideox", 9, given={**SIZE, **READ, "guidance_scale": 6.0, "use_dynamic_cfg": True}
    ),
    "cogvideox15": Case(
        "cogvideox15",
        "cogvideox",
        17,
        given={**SIZE, **READ, "guidance_scale": 6.0, "use_dynamic_cfg": True},
        more={"newer": True, "dpm": False},
    ),
    "hunyuan15": Case("hunyuan15", "hunyuan15", 5, width=64, height=64),
    "hunyuan": Case(
        "hunyuan",
        "hunyuan",
        5,
        given={**SIZE, **READ, "guidance_scale": 6.0, "true_cfg_scale": 2.0},
        settings=("animate.guidance_scale=2.0",),
    ),
    "framepack": Case(
        "framepack",
        "framepack",
        73,
        given={**SIZE, **READ, "num_frames": 66, "guidance_scale": 9.0, "true_cfg_scale": 2.0},
        settings=("animate.guidance_scale=2.0",),
        last=True,
    ),
    "framepack_f1": Case(
        "framepack_f1",
        "framepack",
        73,
        given={**SIZE, **READ, "num_frames": 66, "guidance_scale": 9.0, "sampling_type": "vanilla"},
    ),
}
