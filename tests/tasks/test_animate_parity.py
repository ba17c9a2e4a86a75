"""Animators against the stock pipelines of diffusers: same parts, same seed, same bits, also after a break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image

from tasks.animate.replay import call
from tasks.animate.replay.call import Stock
from tasks.animate.replay.journal import Checkpoint, Journal
from tasks.animate.replay.seams import SeamMoved
from tasks.animate.replay.shell import buffer_names, shell
from tests.tasks import animate_models as tiny
from tests.tasks import ltx2_models
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
SEED = 3
TEXTS = ("she waves slowly", "still")
LTX = {"height": 32, "width": 64, "num_frames": 17, "num_inference_steps": 5, "max_sequence_length": 16}
DECODED = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}


@dataclass
class Case:
    """One call of a pipeline."""

    pipeline: type
    parts: Callable[[], dict[str, Any]]
    arguments: dict[str, Any]
    texts: bool = True
    guided: bool = True
    decoders: tuple[str, ...] = ("vae",)
    embeddings: int = 4
    kept: Any = field(default_factory=dict)

    @property
    def stock(self) -> Stock:
        return Stock(self.pipeline, embeddings=self.embeddings)

    @property
    def given(self) -> dict[str, Any]:
        """The call's arguments, the texts among them."""
        words = {"prompt": TEXTS[0], "negative_prompt": TEXTS[1]} if self.texts else {}
        return {**words, **self.arguments}

    def shells(self, *real: str) -> dict[str, Any]:
        """Parts of the pipeline, those that are not named without their weights; no text encoder."""
        found = {}
        for name, part in self.parts().items():
            if name in ("text_encoder", "tokenizer"):
                continue
            if not isinstance(part, torch.nn.Module) or name in real:
                found[name] = part
                continue
            state = part.state_dict()
            buffers = {each: state[each] for each in buffer_names(part)}
            found[name] = shell(type(part), part.config, dtype=torch.float32, buffers=buffers)
        return found

    def whole(self, kind: str) -> list[torch.Tensor]:
        pipe = self.pipeline(**self.parts())
        pipe.set_progress_bar_config(disable=True)
        torch.manual_seed(SEED)
        result = pipe(**self.given, generator=torch.Generator().manual_seed(SEED), output_type=kind)
        return [torch.as_tensor(np.asarray(one)) for one in call._outputs(result)]

    def embedded(self) -> None:
        parts = {name: part for name, part in self.parts().items() if name in ("text_encoder", "tokenizer")}
        limit = self.arguments["max_sequence_length"]
        self.kept |= call.embed(self.stock, parts, [TEXTS], guided=self.guided, limit=limit, device="cpu")

    def encoded(self) -> None:
        """Each picture by itself, in a call as short as can be, as the op does it."""
        self.kept |= call.encode(self.stock, self.shells("vae"), self.given)

    def denoised(self, **more: Any) -> tuple[list[torch.Tensor], Journal]:
        journal = Journal(torch.Generator().manual_seed(SEED), **more)
        found = call.denoise(self.stock, self.shells("transformer"), self.given, journal, self.kept, "cpu")
        return found, journal

    def decoded(self, end: Checkpoint) -> list[torch.Tensor]:
        found = call.decode(self.stock, self.shells(*self.decoders), self.given, end, self.kept, SEED, "cpu")
        return [torch.as_tensor(np.asarray(one)) for one in found]


def conditions(*given: tuple[int, float]) -> list[LTXVideoCondition]:
    return [
        LTXVideoCondition(image=tiny.picture(seed), frame_index=at, strength=much)
        for seed, (at, much) in enumerate(given)
    ]


def clip(at: int, much: float) -> LTXVideoCondition:
    return LTXVideoCondition(video=[tiny.picture(seed) for seed in range(9)], frame_index=at, strength=much)


def vace(
    *, maps: int = 0, first_kept: int = 0, apart: bool = False, pictures: int = 0, guided: bool = True, **more: Any
) -> Case:
    """A case of Wan VACE.

    Args:
        maps: frames of the driving clip; 0: there is none.
        first_kept: of them frames that stay; ``apart``: a part of each of the others stays, too.
        pictures: of the character.
    """
    video = [tiny.picture(seed) for seed in range(maps)]
    mask = np.full((maps, 32, 32, 3), 255, np.uint8)
    mask[:first_kept] = 0
    if apart:
        mask[:, :, 20:] = 0
    return Case(
        diffusers.WanVACEPipeline,
        tiny.vace,
        {
            "video": video or None,
            "mask": [Image.fromarray(one) for one in mask] if maps and (first_kept or apart) else None,
            "reference_images": [tiny.picture(90 + number) for number in range(pictures)] or None,
            "height": 32,
            "width": 32,
            "num_frames": maps or 5,
            "num_inference_steps": 5,
            "guidance_scale": 4.0 if guided else 1.0,
            "max_sequence_length": 16,
            **more,
        },
        guided=guided,
        embeddings=2,
    )


CONDITION = diffusers.LTXConditionPipeline
CASES = {
    "image to video, guided": Case(
        diffusers.LTXImageToVideoPipeline,
        tiny.ltx,
        {**LTX, **DECODED, "image": tiny.picture(), "guidance_scale": 3.0},
    ),
    "image to video": Case(
        diffusers.LTXImageToVideoPipeline,
        tiny.ltx,
        {**LTX, **DECODED, "image": tiny.picture(), "guidance_scale": 1.0},
        guided=False,
    ),
    "one picture": Case(
        CONDITION, tiny.ltx, {**LTX, **DECODED, "conditions": conditions((0, 1.0)), "guidance_scale": 1.0}, guided=False
    ),
    "three pictures, guided": Case(
        CONDITION,
        tiny.ltx,
        {**LTX, **DECODED, "conditions": conditions((0, 1.0), (8, 0.5), (16, 0.8)), "guidance_scale": 3.0},
    ),
    "between the grid, and a clip": Case(
        CONDITION,
        tiny.ltx,
        {
            **LTX,
            **DECODED,
            "conditions": [*conditions((0, 0.7), (7, 0.5)), clip(8, 0.8)],
            "guidance_scale": 3.0,
            "guidance_rescale": 0.7,
        },
    ),
    "second pass": Case(
        CONDITION,
        tiny.ltx,
        {
            **LTX,
            **DECODED,
            "conditions": conditions((0, 1.0)),
            "guidance_scale": 3.0,
            "latents": torch.randn(1, 8, 3, 1, 2, generator=torch.Generator().manual_seed(1)),
            "denoise_strength": 0.6,
        },
    ),
    "steps of a distilled model": Case(
        CONDITION,
        tiny.ltx,
        {
            **LTX,
            **DECODED,
            "conditions": conditions((0, 1.0)),
            "guidance_scale": 1.0,
            "num_inference_steps": 4,
            "timesteps": [1000, 909, 725, 30],
        },
        guided=False,
    ),
    "vace: words alone": vace(),
    "vace: maps and a picture": vace(maps=9, pictures=1, conditioning_scale=0.7),
    "vace: carried frames, a kept place, two pictures, a weight per layer": vace(
        maps=9, first_kept=5, apart=True, pictures=2, guided=False, conditioning_scale=[0.5, 1.5]
    ),
    "vace: given noise": vace(maps=5, latents=torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))),
}


def equal(found: list[torch.Tensor], stock: list[torch.Tensor]) -> bool:
    return len(found) == len(stock) and all(map(torch.equal, found, stock))


@pytest.mark.parametrize("name", CASES)
def test_an_animator_gives_the_stock_pipelines_bits(name: str):
    case = CASES[name]
    case.embedded()
    case.encoded()
    states: list[Checkpoint] = []
    latents, journal = case.denoised(due=states.append)
    assert equal(latents, case.whole("latent"))
    assert len(states) == journal.calls - 1, "a checkpoint between each two rounds"
    for state in states[::2] + states[-1:]:
        again, resumed = case.denoised(resumed=Checkpoint.unpacked(*state.packed()))
        assert equal(again, latents)
        assert resumed.forwards == journal.forwards - len(state.shapes)
        assert _same(resumed.state(), journal.state())
    assert equal(case.decoded(journal.state()), case.whole("np"))


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return torch.equal(one.generator, other.generator) and one.calls == other.calls


def _ltx2_case() -> Case:
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    shown = [(0, 1.0), (1, 0.5), (2, 0.8)]
    return Case(
        diffusers.LTX2ConditionPipeline,
        lambda: {**ltx2_models.parts(), "text_encoder": None, "tokenizer": None},
        {
            "conditions": [
                LTX2VideoCondition(frames=tiny.picture(n), index=at, strength=much)
                for n, (at, much) in enumerate(shown)
            ],
            "height": 32,
            "width": 32,
            "num_frames": 5,
            "frame_rate": 25.0,
            "num_inference_steps": 4,
            "guidance_scale": 3.0,
            "stg_scale": 1.0,
            "spatio_temporal_guidance_blocks": [0],
            "modality_scale": 2.0,
            "audio_guidance_scale": 2.0,
            "max_sequence_length": 6,
        },
        decoders=("vae", "audio_vae", "vocoder"),
    )


def test_ltx2_gives_the_stock_pipelines_picture_and_sound(monkeypatch: pytest.MonkeyPatch):
    """Its text encoder, a chat model of 12 billion numbers, is stood in for by embeddings at the seam that it feeds."""
    drawn = torch.Generator().manual_seed(11)
    texts = [torch.randn(1, 6, 3 * tiny.TEXT, generator=drawn) for _ in range(2)]
    mask = torch.ones(1, 6, dtype=torch.long)

    def encode_prompt(
        self: Any, prompt: Any, negative_prompt: Any = None, do_classifier_free_guidance: bool = True, **_: Any
    ):
        return texts[0], mask, texts[1], mask

    monkeypatch.setattr(diffusers.LTX2ConditionPipeline, "encode_prompt", encode_prompt)
    case = _ltx2_case()
    parts = {"connectors": ltx2_models.parts()["connectors"]}
    case.kept |= call.embed(case.stock, parts, [TEXTS], guided=True, limit=6, device="cpu")
    case.encoded()
    states: list[Checkpoint] = []
    latents, journal = case.denoised(due=states.append)
    assert len(latents) == 2
    assert equal(latents, case.whole("latent"))
    assert journal.calls == 8, "two steps a round"
    for state in (states[0], states[-1]):
        again, _ = case.denoised(resumed=Checkpoint.unpacked(*state.packed()))
        assert equal(again, latents)
    assert equal(case.decoded(journal.state()), case.whole("np"))


def test_the_upsampler_needs_no_vae():
    latents = torch.randn(1, 8, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    arguments = {
        "latents": latents,
        "adain_factor": 1.0,
        "tone_map_compression_ratio": 0.6,
        "height": 256,
        "width": 256,
    }
    stock = Stock(diffusers.LTXLatentUpsamplePipeline)
    whole = stock.made({"vae": tiny.vae(), "latent_upsampler": tiny.upsampler()})(**arguments, output_type="latent")
    vae = Case(CONDITION, tiny.ltx, {}).shells()["vae"]
    assert torch.equal(
        call.upsample(stock, {"vae": vae, "latent_upsampler": tiny.upsampler()}, arguments), whole.frames
    )


def test_a_long_film_in_windows_goes_on_where_it_was():
    """Two windows, each a denoising of its own with a prompt of its own, by a scheduler that draws noise."""
    arguments = {
        "prompt": "she waves | she stands still",
        "negative_prompt": TEXTS[1],
        "cond_image": tiny.picture(),
        "height": 32,
        "width": 32,
        "num_frames": 33,
        "temporal_tile_size": 24,
        "temporal_overlap": 8,
        "num_inference_steps": 4,
        "guidance_scale": 3.0,
        "seed": SEED,
        "max_sequence_length": 16,
    }
    scheduler = diffusers.LTXEulerAncestralRFScheduler
    case = Case(
        diffusers.LTXI2VLongMultiPromptPipeline,
        lambda: {**tiny.ltx(), "scheduler": scheduler()},
        arguments,
        texts=False,
    )
    parts = {name: part for name, part in tiny.ltx().items() if name in ("text_encoder", "tokenizer")}
    texts = [(text.strip(), TEXTS[1]) for text in arguments["prompt"].split("|")]
    case.kept |= call.embed(case.stock, parts, texts, guided=True, limit=16, device="cpu")
    case.encoded()
    states: list[Checkpoint] = []
    latents, journal = case.denoised(due=states.append)
    assert equal(latents, case.whole("latent"))
    assert len(states) == journal.forwards - 1
    assert len(states[-1].ends) >= 1, "the last steps of finished windows are kept"
    for state in states:
        again, resumed = case.denoised(resumed=Checkpoint.unpacked(*state.packed()))
        assert equal(again, latents)
        assert resumed.forwards == journal.forwards - len(state.shapes)


def test_schedulers_that_draw_from_the_common_generator_repeat_and_go_on():
    case = Case(
        CONDITION,
        lambda: {**tiny.ltx(), "scheduler": tiny.scheduler(stochastic_sampling=True)},
        CASES["one picture"].arguments,
        guided=False,
    )
    case.embedded()
    case.encoded()
    before = torch.random.get_rng_state()
    states: list[Checkpoint] = []
    latents, _ = case.denoised(due=states.append)
    assert torch.equal(torch.random.get_rng_state(), before), "the common generator is left as it was"
    assert equal(latents, case.whole("latent"))
    assert all(equal(case.denoised(resumed=state)[0], latents) for state in states)


def test_a_seam_that_moved_is_named():
    case = CASES["one picture"]
    case.embedded()
    case.encoded()
    own = case.kept
    other = {"another": next(iter(own["vae.encode"].values()))}
    with pytest.raises(SeamMoved, match=r"vae\.encode: it was asked for something"):
        replace(case, kept={**own, "vae.encode": other}).denoised()
    without = replace(case, arguments={**case.arguments, "conditions": None}, kept=own)
    with pytest.raises(SeamMoved, match=r"vae\.encode: it was never called"):
        without.denoised()
    _, journal = case.denoised()
    with pytest.raises(SeamMoved, match=r"scheduler\.step"):
        replace(case, arguments={**case.arguments, "num_inference_steps": 3}).decoded(journal.state())


def test_a_shell_holds_no_weights_and_refuses_to_run():
    found = Case(CONDITION, tiny.ltx, {}).shells()
    assert all(p.is_meta for name in ("transformer", "vae") for p in found[name].parameters())
    assert torch.equal(found["vae"].latents_mean, tiny.vae().latents_mean)
    assert "text_encoder" not in found
