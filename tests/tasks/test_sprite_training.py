"""Training resumes where it stood, gates hold, and the parts of a step do what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reel.errors import UserError  # noqa: E402
from tasks.sprite import export, few_lora, networks, runner, spec  # noqa: E402
from tasks.sprite.data import draw_data_set  # noqa: E402
from tasks.sprite.diffusion import Noising  # noqa: E402
from tasks.sprite.loop import Draw, Log, Precision, Schedule, Stage, train  # noqa: E402
from tasks.sprite.optim import orthogonalise  # noqa: E402
from tasks.sprite.pipeline import Training, precision  # noqa: E402
from tasks.sprite.runner import check_gate  # noqa: E402
from tasks.sprite.settings import ControlsSettings, TrainSettings, check_settings  # noqa: E402
from tasks.sprite.stage_motion import clip_noise  # noqa: E402
from tasks.sprite.stage_vae import VaeStage, encode_rows  # noqa: E402
from tests.tasks.sprite_settings import shipped_ltx  # noqa: E402


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


def small_stage(killed_at: int | None = None) -> Stage:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.ReLU(), torch.nn.Linear(16, 12))

    def loss(draw, step, progress):
        if step == killed_at:
            raise Killed
        x = draw.normal(8, 12)
        return (net(x) - x.flip(-1) * float(draw.rng.uniform(0.5, 1))).square().mean(), {}

    return Stage("small", {"net": net}, loss)


def weights(stage: Stage) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in stage.modules["net"].parameters()]


def test_a_killed_run_resumes_to_the_very_same_weights(tmp_path):
    schedule = Schedule(steps=30, lr=1e-2, checkpoint_seconds=0.0)
    whole = small_stage()
    train(whole, schedule, tmp_path / "whole", 1, Log(tmp_path / "whole", "small"))
    with pytest.raises(Killed):
        train(small_stage(17), schedule, tmp_path / "killed", 1, Log(tmp_path / "killed", "small"))
    resumed = small_stage()
    train(resumed, schedule, tmp_path / "killed", 1, Log(tmp_path / "killed", "small"))
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_lowers_the_loss_and_keeps_averaged_weights(tmp_path):
    stage = small_stage()
    before = stage.loss(Draw.of(1, "check", 0), 0, 0)[0].item()
    train(stage, Schedule(steps=300, lr=1e-2), tmp_path, 1, Log(tmp_path, "small"))
    assert stage.loss(Draw.of(1, "check", 0), 0, 0)[0].item() < 0.5 * before
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 300
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 100, 150, 200, 250, 300]


def test_another_seed_stage_or_step_draws_other_numbers():
    draws = [Draw.of(1, "vae", 5), Draw.of(2, "vae", 5), Draw.of(1, "joint", 5), Draw.of(1, "vae", 6)]
    assert len({float(d.normal(1)) for d in draws}) == 4
    assert len({float(d.rng.random()) for d in draws}) == 4
    assert float(Draw.of(1, "vae", 5).normal(1)) == float(Draw.of(1, "vae", 5).normal(1))


def test_a_checkpoint_of_other_sizes_is_refused(tmp_path):
    train(small_stage(), Schedule(steps=1, lr=1e-3), tmp_path, 1, Log(tmp_path, "small"))
    other = small_stage()
    other.modules = {"net": torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.Linear(20, 12))}
    with pytest.raises(ValueError, match="networks of other sizes"):
        train(other, Schedule(steps=2, lr=1e-3), tmp_path, 1, Log(tmp_path, "small"))


def test_the_rate_warms_up_stays_and_falls():
    schedule = Schedule(steps=1000, lr=1.0, warmup=10, decay=0.3)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(10) == schedule.rate(699) == 1.0
    assert schedule.rate(850) == pytest.approx(0.5)
    assert schedule.rate(999) == pytest.approx(0.01)


@pytest.mark.parametrize("products", [torch.float32, torch.bfloat16])
def test_orthogonalised_updates_have_singular_values_near_one(products: torch.dtype):
    matrices = torch.randn(3, 20, 60, generator=torch.Generator().manual_seed(0)).to(products)
    found = torch.linalg.svdvals(orthogonalise(matrices).float())
    assert found.min() > 0.6
    assert found.max() < 1.3
    tall = torch.linalg.svdvals(orthogonalise(matrices.mT).float())
    assert tall.min() > 0.6


def test_the_last_timestep_is_pure_noise():
    noising = Noising()
    z, noise = torch.ones(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    noisy, target = noising.mix(z, noise, torch.tensor([999, 999]))
    torch.testing.assert_close(noisy, noise)
    torch.testing.assert_close(target, -z)
    noisy, target = noising.mix(z, noise, torch.tensor([0, 0]))
    torch.testing.assert_close(noisy, z, atol=0.15, rtol=0.0)


def test_frames_of_a_clip_share_noise_where_they_should():
    alone = clip_noise(Draw.of(1, "motion", 0), 40, torch.Size([2, 4, 4]), 0.0).unflatten(0, (40, 16))
    shared = clip_noise(Draw.of(1, "motion", 0), 40, torch.Size([2, 4, 4]), 1.0).unflatten(0, (40, 16))
    for noise in (alone, shared):
        assert noise.shape == (40, 16, 2, 4, 4)
        assert float(noise.std()) == pytest.approx(1, abs=0.1)
    in_common = [(noise[:, 0] * noise[:, 1]).mean((1, 2, 3)) for noise in (alone, shared)]
    assert float(in_common[0].mean()) == pytest.approx(0, abs=0.1)
    assert float(in_common[1].mean()) > 0.6
    same = (shared == shared[:, :1]).all(dim=(1, 2, 3, 4))
    assert 0.25 < float(same.float().mean()) < 0.75


def test_a_missed_gate_names_the_figure_and_what_to_do():
    check_gate("vae", {"psnr_drawn": 25}, {"psnr_drawn": 26.0})
    with pytest.raises(UserError, match=r"psnr_drawn is 24\.000, the gate asks for 25(.|\n)*vae\.steps"):
        check_gate("vae", {"psnr_drawn": 25}, {"psnr_drawn": 24.0})
    with pytest.raises(UserError, match="gives no such figure"):
        check_gate("vae", {"psnr": 25}, {"psnr_drawn": 24.0})


def test_a_gate_asks_only_for_controlnets_that_are_trained():
    gate = {"lineart_worst": 0.85, "depth_worst": 0.85}
    controls = ControlsSettings(steps=1, batch=1, lr=0.1, kinds=["openpose", "depth"], gate=gate)
    assert controls.gates == {"depth_worst": 0.85}


def test_a_part_is_written_whole_as_fp16_and_the_original_stays(tmp_path):
    vae = networks.build_vae().to(memory_format=torch.channels_last)
    export.save_part(vae, tmp_path, "vae", half=True)
    export.save_part(vae, tmp_path, "vae", half=True)  # replaces the first
    assert [path.name for path in tmp_path.iterdir()] == ["vae"]
    loaded = networks.load(tmp_path, "vae")
    assert next(vae.parameters()).dtype == torch.float32
    torch.testing.assert_close(loaded.quant_conv.weight, vae.quant_conv.weight, atol=1e-3, rtol=1e-2)
    assert export.check_size(tmp_path) < 2_000_000
    with pytest.raises(ValueError, match="not a part of the family"):
        export.save_part(vae, tmp_path, "vea")


def test_a_kept_network_has_the_averaged_weights(tmp_path):
    stage, kept = small_stage(), []
    stage.keep = lambda: kept.append(weights(stage))
    train(stage, Schedule(steps=9, lr=1e-2, ema=0.5, checkpoint_seconds=0.0), tmp_path, 1, Log(tmp_path, "small"))
    assert len(kept) == 9
    for a, b in zip(kept[-1], weights(stage), strict=True):  # averaged weights are what a stage leaves
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(kept[0], kept[-1], strict=True))


def settings(**changes):
    stage = {"steps": 1, "batch": 1, "lr": 0.1}
    names = ("text", "vae", "probe", "joint", "controls", "motion", "few")
    base = {"folder": "work", "output": "out", "stages": ["motion"], "ltx": shipped_ltx()}
    base |= {name: dict(stage) for name in names}
    base["sparse"] = {**stage, "output": "sparse"}
    return TrainSettings.model_validate(base | changes)


def test_wrong_settings_are_named_before_anything_is_drawn(tmp_path):
    check_settings(settings())
    with pytest.raises(UserError, match="stages: unknown 'motoin'"):
        check_settings(settings(stages=["motoin"]))
    with pytest.raises(UserError, match=r"controls\.kinds: unknown 'canny'"):
        check_settings(settings(controls={"steps": 1, "batch": 1, "lr": 0.1, "kinds": ["canny"]}))
    with pytest.raises(UserError, match=r"controls\.gate\.linart_worst(.|\n)*lineart_worst"):
        check_settings(settings(controls={"steps": 1, "batch": 1, "lr": 0.1, "gate": {"linart_worst": 0.8}}))
    (tmp_path / "unet").mkdir()
    with pytest.raises(UserError, match=r"is not an exported family: it lacks tokenizer(.|\n)*probe"):
        check_settings(settings(start=tmp_path))
    with pytest.raises(UserError, match="needs `start`"):
        check_settings(settings(vae={"steps": 1, "batch": 1, "lr": 0.1, "decoder_only": True}))


def test_a_family_of_another_generation_is_not_written_over(tmp_path):
    spec.Spec(128, {"skin": ("light",)}).save(tmp_path / "out")
    with pytest.raises(UserError, match=r"output: .* draws other pictures(.|\n)*output="):
        check_settings(settings(output=tmp_path / "out"))
    check_settings(settings(output=tmp_path / "out", stages=[]))  # nothing is written there
    spec.Spec(64).save(tmp_path / "out")
    check_settings(settings(output=tmp_path / "out", frame=64))


def test_networks_begin_with_the_weights_of_another_generation(tmp_path):
    old = tmp_path / "old"
    vae, unet = networks.build_vae(128), networks.build_unet(128)
    export.save_part(vae, old, "vae")
    export.save_part(unet, old, "unet")
    with pytest.raises(UserError, match=r"warm: .* lacks controlnet_openpose, motion_adapter, family\.json"):
        check_settings(settings(warm=old, output=tmp_path / "out"))
    with pytest.raises(UserError, match=r"is not an exported family"):
        check_settings(settings(warm=old, start=old, output=tmp_path / "out"))
    training = Training(settings(folder=tmp_path, warm=old, frame=192))
    begun = training._begin("unet")
    assert torch.equal(begun.conv_in.weight, unet.conv_in.weight)
    assert begun.config["sample_size"] == 24
    assert training._begin("vae").config["sample_size"] == 192
    assert Training(settings(folder=tmp_path))._begin("unet") is None


def test_an_exported_lora_lies_inside_the_networks_and_goes_when_they_are_trained_again(tmp_path):
    training = Training(settings(folder=tmp_path / "work", output=tmp_path / "out"))
    unet, adapter = networks.build_unet(64), networks.build_motion_adapter()
    training._keep("unet", unet)
    training._keep("motion_adapter", adapter)
    layer, motion = "mid_block.resnets.0.conv1", "mid_block.motion_modules.0.transformer_blocks.0.attn1.to_q"
    rng = torch.Generator().manual_seed(0)
    lora = few_lora.Lora({
        f"{layer}.lora_A.weight": torch.randn(2, 96, 3, 3, generator=rng),
        f"{layer}.lora_B.weight": torch.randn(96, 2, 1, 1, generator=rng),
        f"{motion}.lora_A.weight": torch.randn(2, 96, generator=rng),
        f"{motion}.lora_B.weight": torch.randn(96, 2, generator=rng),
    })  # fmt: skip
    training._keep(few_lora.FOLDER, lora)
    for part, net, changed in (("unet", unet, layer), ("motion_adapter", adapter, motion)):
        before = net.get_parameter(f"{changed}.weight")
        inside, off = (networks.load(tmp_path / "out", part, teacher).get_parameter(f"{changed}.weight")
                       for teacher in (False, True))  # fmt: skip
        assert float((inside - before).detach().abs().mean()) > 0.5
        torch.testing.assert_close(off, before, atol=1e-2, rtol=1e-2)
        torch.testing.assert_close(training._part(part).get_parameter(f"{changed}.weight"), before)
    training._keep("unet", unet)
    assert not (tmp_path / "out" / few_lora.FOLDER).exists()


def test_a_device_that_is_not_there_is_named():
    assert precision(settings(compute={"device": "cpu", "dtype": "float32"})) == Precision()
    with pytest.raises(UserError, match=r"compute\.device: there is no mps"):
        precision(settings(compute={"device": "mps"}))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"there is no cuda"):
            precision(settings(compute={"device": "cuda"}))


@pytest.mark.parametrize(("flags", "dtype"), [({"avx512_bf16"}, torch.bfloat16), ({"avx2"}, torch.float32)])
def test_a_cpu_that_computes_bfloat16_trains_in_it(monkeypatch, flags, dtype):
    monkeypatch.setattr(runner, "cpu_flags", lambda: frozenset(flags))
    assert precision(settings(compute={"device": "cpu", "dtype": "auto"})) == Precision(dtype=dtype)


def test_batches_grow_on_a_gpu_or_as_they_are_told(tmp_path):
    training = Training(settings(folder=tmp_path, batch_times=3))
    assert training._batch("motion") == 3
    assert Training(settings(folder=tmp_path))._batch("motion") == 1


def test_mixed_products_train_as_full_ones_do(tmp_path):
    """On a CPU, where bfloat16 is computed as well: the loss falls and weights stay float32."""
    stage = small_stage()
    before = stage.loss(Draw.of(1, "check", 0), 0, 0)[0].item()
    where = Precision(dtype=torch.bfloat16)
    train(stage, Schedule(steps=300, lr=1e-2), tmp_path, 1, Log(tmp_path, "small"), where)
    assert stage.loss(Draw.of(1, "check", 0), 0, 0)[0].item() < 0.5 * before
    assert {p.dtype for p in stage.modules["net"].parameters()} == {torch.float32}


def test_a_decoder_trained_alone_leaves_the_latents_as_they_were(tmp_path):
    data = draw_data_set(tmp_path / "drawn", 1024, 1, seed=1, workers=1)
    vae = networks.build_vae()
    stage = VaeStage(data, 4, vae, decoder_only=True)
    stage.check = lambda step: {}
    pictures = data.read("rgb")[:2]
    before = encode_rows(vae, pictures, np.arange(2))
    decoder = vae.decoder.conv_out.weight.detach().clone()
    train(stage.stage(), Schedule(steps=2, lr=1e-2, warmup=1), tmp_path / "vae", 1, Log(tmp_path / "vae", "vae"))
    np.testing.assert_array_equal(encode_rows(vae, pictures, np.arange(2)), before)
    assert not torch.equal(vae.decoder.conv_out.weight, decoder)


def test_a_part_that_is_not_trained_is_taken_from_the_start(tmp_path):
    start = tmp_path / "start"
    vae = networks.build_vae()
    export.save_part(vae, start, "vae", half=True)
    cfg = settings(folder=tmp_path / "work", output=tmp_path / "out", start=start)
    training = Training(cfg)
    assert torch.equal(training._part("vae").decoder.conv_out.weight, vae.decoder.conv_out.weight.half().float())
    with pytest.raises(UserError, match="has no unet, which this stage needs"):
        Training(cfg.model_copy(update={"start": None}))._part("unet")
