"""The few-step LoRA: its aim is where the teacher's steps lead, and pipelines load what the stage saves."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reel.models.source import LoraSource, ModelSource  # noqa: E402
from tasks.sprite import export, few_lora, networks  # noqa: E402
from tasks.sprite.clips import FEW, TEACHER, motion_unet, sampling_of, stock_pipeline  # noqa: E402
from tasks.sprite.data import draw_data_set  # noqa: E402
from tasks.sprite.latents import Latents  # noqa: E402
from tasks.sprite.loop import Draw, Log, Schedule, train  # noqa: E402
from tasks.sprite.spec import Spec  # noqa: E402
from tasks.sprite.stage_few import Distillation, FewStage, moved, trailing, velocity  # noqa: E402
from tasks.sprite.tokenizer import build_tokenizer  # noqa: E402
from tasks.stylize.models.adapters import apply_loras  # noqa: E402


def test_the_students_timesteps_are_among_the_teachers():
    assert trailing(4) == [999, 749, 499, 249]
    assert trailing(16)[::4] == trailing(4)


def test_a_step_is_the_schedulers_own():
    scheduler = networks.build_scheduler()
    scheduler.set_timesteps(4)
    generator = torch.Generator().manual_seed(0)
    z, v = (torch.randn(1, 8, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    alphas = [float(scheduler.alphas_cumprod[t]) for t in trailing(4)] + [1.0]
    for place, t in enumerate(scheduler.timesteps):
        expected = scheduler.step(v, t, z).prev_sample
        torch.testing.assert_close(moved(z, v, alphas[place], alphas[place + 1]), expected, atol=1e-4, rtol=1e-4)


def test_the_aim_is_reached_in_one_step():
    alphas = [float(networks.build_scheduler().alphas_cumprod[t]) for t in trailing(4)] + [1.0]
    z, aim = torch.randn(2, 1, 8, 4, 4, dtype=torch.float64).unbind()
    for now, after in itertools.pairwise(alphas):
        torch.testing.assert_close(moved(z, velocity(z, aim, now, after), now, after), aim)


@pytest.fixture(scope="module")
def family(tmp_path_factory) -> tuple[FewStage, Path]:
    """Untrained networks on pictures of 64 px, and the folder of their UNet, motion adapter and LoRA."""
    from diffusers import UNetMotionModel

    folder = tmp_path_factory.mktemp("few")
    data = draw_data_set(folder / "drawn", 530, 2, seed=1, workers=1, spec=Spec(64))
    z = np.random.default_rng(0).normal(size=(len(data), 8, 8, 8)).astype(np.float16)
    np.save(folder / "latents.npy", z)
    torch.manual_seed(0)
    tokenizer, unet = build_tokenizer(), networks.build_unet(64)
    text = networks.build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    nets = {"openpose": networks.build_controlnet(unet)}
    adapter = networks.build_motion_adapter()
    motion = UNetMotionModel.from_unet2d(unet, adapter)
    how = Distillation(substeps=1, frames=2)
    latents = Latents(data, folder / "latents.npy", 18, 2)
    stage = FewStage(latents, tokenizer, text, motion, nets, torch.randn(4, 8, 8, 8), rank=2, batch=1, how=how)
    with torch.no_grad():  # a fresh LoRA changes nothing
        for name, p in motion.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05)
    lora = stage.lora()
    for name, net in (("unet", unet), ("motion_adapter", adapter)):  # as training exports them: with the LoRA inside
        changed = copy.deepcopy(net)
        lora.add_to(changed, 1)
        export.save_part(changed, folder, name)
    export.save_part(lora, folder, few_lora.FOLDER)
    return stage, folder


def test_renders_load_the_lora_as_it_was_trained(family):
    """The family has it inside; a render takes it off with weight -1, checks and benchmarks as `teacher`."""
    stage, folder = family
    assert (folder / few_lora.FOLDER / few_lora.FILE).stat().st_size < 2_000_000
    parts = {"vae": networks.build_vae(64), "text_encoder": stage.text_encoder, "tokenizer": stage.tokenizer,
             "scheduler": networks.build_scheduler()}  # fmt: skip
    pipe = stock_pipeline(parts, list(stage.nets.values()), motion_unet(folder))
    video, hidden = torch.randn(1, 8, 2, 8, 8), torch.randn(2, 77, networks.TEXT_WIDTH)
    source = ModelSource(kind="file", id=str(folder / few_lora.FOLDER / few_lora.FILE))
    with torch.no_grad():
        trained = stage.unet.eval()(video, 500, hidden).sample
        stage.unet.disable_adapters()
        teacher = stage.unet(video, 500, hidden).sample
        stage.unet.enable_adapters()
        exported = pipe.unet(video, 500, hidden).sample
        apply_loras(pipe, [LoraSource(source=source, weight=-1.0)], "sprite")
        taken_off = pipe.unet(video, 500, hidden).sample
        again = motion_unet(folder, teacher=True)(video, 500, hidden).sample
    assert not torch.allclose(teacher, trained, atol=1e-2)
    for found, expected in ((exported, trained), (taken_off, teacher), (again, teacher)):
        torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-2)
    assert sampling_of(folder) == FEW
    assert sampling_of(folder / "unet") == TEACHER


def test_only_the_lora_is_trained_and_the_teacher_stays(family, tmp_path):
    stage, _ = family
    names = {name for name, p in stage.unet.named_parameters() if p.requires_grad}
    assert names
    assert all("lora_" in name for name in names)
    assert any("motion_modules" in name for name in names)
    draw = Draw.of(1, "few", 0)
    with torch.no_grad():
        given = stage._conditions(draw, stage._rows(draw.rng))
        z = torch.randn(2, 8, 8, 8)
        before, student = stage._teacher(z, given, 1), stage._v(z, given, 749, guided=False)
    train(stage.stage(), Schedule(steps=3, lr=1e-2, warmup=1), tmp_path, 1, Log(tmp_path, "few"))
    with torch.no_grad():
        torch.testing.assert_close(stage._teacher(z, given, 1), before)
        assert not torch.allclose(stage._v(z, given, 749, guided=False), student)
