"""LTX-2 in two passes, planned and drawn as `animate` does it, against its two stock pipelines called by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTX2ConditionPipeline, LTX2LatentUpsamplePipeline
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES, STAGE_2_DISTILLED_SIGMA_VALUES
from safetensors.torch import save_file
from transformers import AutoTokenizer, Gemma3ForConditionalGeneration

from flows.animate import stages
from flows.animate.opening import opening
from flows.animate.plan import plan
from flows.animate.settings import Animate
from flows.animate.stages import AnimatePlan
from flows.config.compose import plain_settings
from flows.config.root import Root
from reel import op
from reel.clip import Clip
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.keys import executed, make_key
from reel.store import Store
from tasks.animate import denoise
from tasks.animate.sound import wav
from tasks.weights.fetch import content_id
from tests.tasks import animate_models as tiny
from tests.tasks import ltx2_models
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
FRAMES, FPS = 9, 24
BASE = "model.base={kind: embedded, id: tiny_av, files: null}"
UPSAMPLER = "model.parts={latent_upsampler: {kind: embedded, id: tiny_av, subfolder: latent_upsampler}}"
CALL = {
    "prompt": "she waves slowly",
    "negative_prompt": "still",
    "num_frames": FRAMES,
    "frame_rate": FPS,
    "max_sequence_length": 16,
}
UNGUIDED = {
    "guidance_scale": 1.0,
    "guidance_rescale": 0.0,
    "stg_scale": 0.0,
    "modality_scale": 1.0,
    "audio_guidance_scale": 1.0,
    "audio_stg_scale": 0.0,
    "audio_modality_scale": 1.0,
    "audio_guidance_rescale": 0.0,
}
GUIDED = {
    "guidance_scale": 3.0,
    "guidance_rescale": 0.7,
    "stg_scale": 1.0,
    "modality_scale": 3.0,
    "spatio_temporal_guidance_blocks": [0],
    "audio_guidance_scale": 7.0,
    "audio_stg_scale": 1.0,
    "audio_modality_scale": 3.0,
    "audio_guidance_rescale": 0.7,
}
UNSHIFTED = {"use_dynamic_shifting": False, "shift_terminal": None}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family, a picture of the film's size, so that nothing is left to how it is scaled, and a LoRA."""
    here = tmp_path_factory.mktemp("files")
    ltx2_models.write(here / "models" / "tiny_av")
    tiny.picture(0, 64, 64).save(here / "key.png")
    drawn = torch.Generator().manual_seed(17)
    shapes = {"lora_A": (2, 16), "lora_B": (16, 2)}
    lora = {
        f"diffusion_model.transformer_blocks.0.{layer}.{half}.weight": torch.randn(shape, generator=drawn)
        for layer in ("attn1.to_q", "attn1.to_out.0", "ff.net.2")
        for half, shape in {**shapes, **({"lora_A": (2, 64)} if layer == "ff.net.2" else {})}.items()
    }
    save_file(lora, here / "distilled.safetensors")
    return here


@pytest.fixture(autouse=True)
def families(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))


def config(files: Path, model: str, *changes: str) -> Animate:
    lora = f"animate.refine_loras=[{{source: {{kind: file, id: {files}/distilled.safetensors}}}}]"
    own = [lora, "model.call.spatio_temporal_guidance_blocks=[0]", "animate.num_inference_steps=3"]
    given = [
        *(f"model={model}", BASE, UPSAMPLER, f"picture={files}/key.png", "width=64", "height=64", f"frames={FRAMES}"),
        *("prompt=she waves slowly", "negative_prompt=still", "seed=3", "model.max_tokens=16", "measure=none"),
        "animate.extra_frames=0",
        *("compute.device=cpu", "compute.dtype=float32", "animate.two_pass=true", *(own if model == "ltx2" else [])),
    ]
    return parse(Animate, plain_settings(Root("animate", Animate), [*given, *changes]))


class Film:
    """A store, and a plan's ops run in it, each once for its cache key; ``ran`` names them in order."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.store, self.ran = Store(root), list[str]()
        self.ctx = op.Context(self.store, Compute(device="cpu", threads=1), run="r")
        self._made: dict[str, str] = {}
        patch.setattr(stages, "call", self._call)

    def _call(self, what: op.Op, cfg: Any, inputs: dict[str, str], ctx: op.Context) -> SimpleNamespace:
        known = {source.label: content_id(source) for source in what.models(cfg)}
        key = make_key(what, cfg, inputs, known).digest
        if key not in self._made:
            self.ran.append(f"{what.name} {cfg.width}" if what.name == "denoise" else what.name)
            self._made[key] = what.fn(executed(cfg), inputs, ctx)
        return SimpleNamespace(digest=self._made[key], key=key)

    def planned(self, cfg: Animate) -> AnimatePlan:
        return plan(cfg, self.store)

    def drawn(self, cfg: Animate) -> Any:
        self.ran = []
        return self.planned(cfg).draw(self.ctx)


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Film:
    return Film(tmp_path / "film", monkeypatch)


def small_picture(film: Film, cfg: Animate) -> Any:
    """The key picture as the first pass is shown it."""
    from PIL import Image

    one = film.planned(cfg).held[0]
    ctx = op.Context(film.store, film.ctx.compute, files={"source": one.source.path})
    digest = op.get("extract", "extract").fn(one.small, {"source": one.source.digest}, ctx)
    return Image.fromarray(Clip.open(film.store, digest).frame(0))


def stock(files: Path, small: Any, first: dict[str, Any], second: dict[str, Any], dtype: Any, lora: bool) -> Any:
    """Both passes by the pipelines themselves, as their documentation has it."""
    folder = files / "models" / "tiny_av"
    kinds = {name: type(part) for name, part in ltx2_models.parts().items() if name != "scheduler"}
    kinds |= {"text_encoder": Gemma3ForConditionalGeneration, "latent_upsampler": LTX2LatentUpsamplerModel}
    parts = {
        name: kind.from_pretrained(folder / name, torch_dtype=dtype).eval().requires_grad_(False)
        for name, kind in kinds.items()
    }
    enlarge = LTX2LatentUpsamplePipeline(vae=parts["vae"], latent_upsampler=parts.pop("latent_upsampler"))
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    pipe = LTX2ConditionPipeline(**parts, tokenizer=tokenizer, scheduler=ltx2_models.parts()["scheduler"])
    if "sigmas" in first:
        pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(pipe.scheduler.config, **UNSHIFTED)
    for each in (pipe, enlarge):
        each.set_progress_bar_config(disable=True)

    def shown(picture: Any) -> list[LTX2VideoCondition]:
        return [LTX2VideoCondition(frames=picture, index=0, crf=0)]

    made = pipe(
        **CALL,
        **first,
        conditions=shown(small),
        width=32,
        height=32,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
    )
    latents = enlarge(latents=made.frames, width=64, height=64, output_type="latent").frames
    if lora:
        pipe.load_lora_weights(str(files), weight_name="distilled.safetensors", adapter_name="distilled")
        pipe.set_adapters("distilled", 1.0)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(pipe.scheduler.config, **UNSHIFTED)
    return pipe(
        **CALL,
        **second,
        conditions=shown(tiny.picture(0, 64, 64)),
        width=64,
        height=64,
        latents=latents,
        audio_latents=made.audio,
        noise_scale=STAGE_2_DISTILLED_SIGMA_VALUES[0],
        sigmas=STAGE_2_DISTILLED_SIGMA_VALUES,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    )


EIGHT = {**UNGUIDED, "num_inference_steps": 8, "sigmas": DISTILLED_SIGMA_VALUES}
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "dev, guided, then distilled by a LoRA": ("ltx2", {**GUIDED, "num_inference_steps": 3}, "float32"),
    "distilled": ("ltx2_distilled", EIGHT, "float32"),
    "distilled, in 16 bits": ("ltx2_distilled", EIGHT, "bfloat16"),
}


@pytest.mark.parametrize("name", CASES)
def test_two_passes_give_the_stock_pipelines_picture_and_sound(name: str, files: Path, film: Film):
    model, first, dtype = CASES[name]
    cfg = config(files, model, f"compute.dtype={dtype}")
    made = film.drawn(cfg)
    assert [one for one in film.ran if one not in ("encode", "shown", "extract")] == [
        *(["embed", "embed"] if model == "ltx2" else ["embed"]),
        *("denoise 32", "upsample", "denoise 64", "decode", "sound"),
    ]
    found = stock(files, small_picture(film, cfg), first, UNGUIDED, getattr(torch, dtype), lora=model == "ltx2")
    frames = (found.frames[0] * 255).round().astype(np.uint8)[:FRAMES]
    assert frames.std() > 1
    assert np.array_equal(Clip.open(film.store, made.frames).array(), frames)
    sound = film.store.get(made.sound)
    heard = found.audio[0].float().numpy()
    assert np.abs(heard).max() > 0.01
    assert sound.read("sound.wav") == wav(heard, sound.meta["rate"], FRAMES / FPS)[0]


def test_a_second_pass_that_is_killed_goes_on_and_the_first_is_left_alone(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cfg = config(files, "ltx2_distilled")
    whole = Film(tmp_path / "whole", monkeypatch).drawn(cfg)
    film, real = Film(tmp_path / "film", monkeypatch), denoise._write

    def breaking(file: Any, state: Any, done: int) -> None:
        real(file, state, done)
        if film.ran[-1] == "denoise 64" and state.calls == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.networks.journal.SHARE", 1e9)
        patch.setattr(denoise, "_write", breaking)
        with pytest.raises(KeyboardInterrupt):
            film.drawn(cfg)
    again = film.drawn(cfg)
    assert film.ctx.facts["resumed_at_step"] == 2
    assert film.ran[0] == "denoise 64"
    assert (again.frames, again.sound) == (whole.frames, whole.sound)


def test_another_second_pass_denoises_the_first_no_second_time(files: Path, film: Film):
    first = film.drawn(config(files, "ltx2"))
    assert film.ran.count("denoise 32") == 1
    again = ["denoise 64", "decode", "sound"]
    for change in ("animate.refine_timesteps=[800,400]", "animate.refine_loras=[]"):
        made = film.drawn(config(files, "ltx2", change))
        assert film.ran == again, change
        assert made.frames != first.frames, change
        assert made.sound != first.sound, change
    film.drawn(config(files, "ltx2", "animate.refine_guidance_scale=2", "model.refine_call.stg_scale=0.5"))
    assert film.ran == again, "both are guided, so that one embedding is both's"
    film.drawn(config(files, "ltx2", "animate.guidance_scale=2"))
    assert film.ran == ["denoise 32", "upsample", "denoise 64", "decode", "sound"]


def test_one_pass_knows_nothing_of_a_second(files: Path, film: Film):
    plain = film.planned(config(files, "ltx2", "animate.two_pass=false")).passes
    assert (
        plain
        == film.planned(
            config(
                files,
                "ltx2",
                *("animate.two_pass=false", "animate.refine_timesteps=null", "animate.refine_loras=[]"),
                "animate.refine_guidance_scale=4",
                *("model.refine_call.stg_scale=2", "model.refine_scheduler_config.shift_terminal=0.1"),
            )
        ).passes
    )
    assert (plain.small, plain.small_embed, plain.upsample, plain.denoise.loras) == (None, None, None, [])


REFUSED = [
    ("ltx2", ("width=96",), r"width: sides must be multiples of 64 px and 64 at least for model ltx2, got 96"),
    ("ltx2_distilled", ("height=96",), r"height: sides must be multiples of 64 px"),
    ("ltx2", ("~model.parts.latent_upsampler",), "two_pass: model ltx2 names no latent upsampler"),
    ("ltx2", ("animate.refine_timesteps=null",), "refine_timesteps: .* would begin at noise alone"),
    ("ltx2", ("animate.refine_strength=0.4",), "refine_strength: model ltx2 does not read it"),
    ("ltx2", ("+model.refine_call.stg_scael=0",), r"model\.refine_call: stg_scael is not set there"),
    (
        "ltx2",
        ("model.refine_scheduler_config.shift_terminal=0.1",),
        r"animate\.refine_timesteps: the scheduler of model ltx2 would shift them \(shift_terminal\)",
    ),
    (
        "ltx2_distilled",
        ("model.scheduler_config.use_dynamic_shifting=true",),
        r"animate\.timesteps: the scheduler of model ltx2_distilled would",
    ),
    ("ltx2", ("animate.refine_loras=[{source: {kind: file, id: /nowhere.safetensors}}]",), "nowhere.safetensors"),
]


@pytest.mark.parametrize(("model", "changes", "said"), REFUSED, ids=[str(case[1]) for case in REFUSED])
def test_bad_input_is_refused_before_anything_loads(
    model: str, changes: tuple[str, ...], said: str, files: Path, film: Film, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks.animate.parts.built", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(UserError, match=said) as caught:
        film.planned(config(files, model, *changes))
    assert "refine_timesteps=null" not in (caught.value.fix or ""), "it would begin at noise alone"


def test_a_network_that_does_not_enlarge_to_twice_the_size_is_named(
    files: Path, film: Film, monkeypatch: pytest.MonkeyPatch
):
    real = LTX2LatentUpsamplerModel.forward
    monkeypatch.setattr(LTX2LatentUpsamplerModel, "forward", lambda self, latents: real(self, latents)[..., :24, :24])
    with pytest.raises(UserError, match=r"tiny_av/latent_upsampler .* makes latents of 5x24x24 of 5x16x16") as said:
        film.drawn(config(files, "ltx2_distilled"))
    assert "model.parts.latent_upsampler" in (said.value.fix or "")


def test_what_is_made_is_told_first(files: Path):
    told = dict(opening(config(files, "ltx2_distilled")))
    assert told["made"] == "9 frames, 0.375 s at 24 fps, 8 steps, then 3 at twice the size"
