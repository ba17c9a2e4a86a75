"""The second half's stages at toy size: they run in order, resume, hold their gates, and agree with diffusers."""

from __future__ import annotations

import copy
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reel.errors import UserError  # noqa: E402
from tasks.sprite import export, loop, probe  # noqa: E402
from tasks.sprite.loop import Draw, Log, Schedule, Stage, train  # noqa: E402
from tasks.sprite.ltx import flow, networks  # noqa: E402
from tasks.sprite.ltx.bars import Bars, attribute_shares  # noqa: E402
from tasks.sprite.ltx.card import BARS, card  # noqa: E402
from tasks.sprite.ltx.closed_form import begin_linear  # noqa: E402
from tasks.sprite.ltx.data import UNSEEN, draw_clip, draw_clips  # noqa: E402
from tasks.sprite.ltx.motions import ACTIONS, Motion  # noqa: E402
from tasks.sprite.ltx.render import Pictures, Sampling, first_noise, render, render_latents  # noqa: E402
from tasks.sprite.ltx.settings import LTX_STAGES, LtxSettings, NetworkSettings, check_ltx  # noqa: E402
from tasks.sprite.ltx.stage_few import schedule_levels  # noqa: E402
from tasks.sprite.ltx.stage_latents import CELLS, encode_clips, read_latents  # noqa: E402
from tasks.sprite.ltx.stage_text import embed  # noqa: E402
from tasks.sprite.ltx.stills import quicken  # noqa: E402
from tasks.sprite.ltx.tokenizer import build_tokenizer  # noqa: E402
from tasks.sprite.ltx.training import LIMIT, LtxTraining, export_random  # noqa: E402
from tasks.sprite.ltx.video import decode, encode, frames_psnr, normalise, to_frames, to_video  # noqa: E402
from tasks.sprite.settings import TrainSettings  # noqa: E402
from tasks.sprite.spec import Spec  # noqa: E402
from tests.tasks.sprite_settings import shipped_ltx  # noqa: E402

FRAMES = 9
SPEC = Spec(128)
NETWORK = {"latent_channels": 8, "encoder": [8] * 5, "encoder_layers": [1] * 5, "decoder": [8, 8, 8, 8],
           "decoder_layers": [1, 1, 1, 0, 1], "layers": 1, "heads": 2, "head_width": 8, "text_width": 8,
           "text_layers": 1}  # fmt: skip
STEP = {"steps": 2, "batch": 2, "lr": 1e-3, "ema": 0.5, "check_every": 100}


def first_half(folder: Path) -> Path:
    """A folder with an untrained probe, and what its family draws."""
    SPEC.save(folder / "first")
    probe.save(probe.Probe(SPEC), folder / "first" / "probe.safetensors")
    return folder / "first"


def settings(folder: Path, **changes) -> TrainSettings:
    ltx = {
        "output": folder / "out", "first_half": first_half(folder), "clips": UNSEEN + 3, "frames": FRAMES,
        "network": NETWORK, "vae": {**STEP, "crop": 32}, "latents": {"stills": 2}, "text": STEP,
        "transformer": STEP, "few": {**STEP, "pairs": 16, "teacher_steps": 2}, "gates": {"count": 9, "steps": 2},
    }  # fmt: skip
    first = dict.fromkeys(("text", "vae", "probe", "joint", "controls", "motion", "few"), STEP)
    first["sparse"] = {**STEP, "output": folder / "sparse"}
    whole = {"folder": folder, "output": folder / "sprite", "stages": ["ltx"], "threads": 1, "ltx": ltx, **first}
    return TrainSettings.model_validate(whole | changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[LtxTraining, dict[str, dict[str, float]]]:
    """A training of two steps a stage, run to its end."""
    folder = tmp_path_factory.mktemp("ltx")
    training = LtxTraining(settings(folder))
    return training, {name: training.run(name) for name in training.cfg.chosen}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    """Untrained networks of toy size in diffusers' own pipeline."""
    folder = tmp_path_factory.mktemp("random")
    export_random(folder, NetworkSettings.model_validate(NETWORK))
    pipe = networks.load_pipeline(folder)
    torch.manual_seed(3)
    for part in (pipe.transformer.proj_out.weight, pipe.vae.latents_mean):
        torch.nn.init.normal_(part, std=0.3)
    return pipe


def test_ltx_stands_for_all_stages_of_the_second_half(tmp_path):
    assert settings(tmp_path).chosen == list(LTX_STAGES)
    assert settings(tmp_path, stages=["ltx_gates", "vae", "ltx_vae"]).chosen == ["vae", "ltx_vae", "ltx_gates"]


def test_the_whole_training_leaves_a_pipeline_folder_that_diffusers_loads(trained):
    training, figures = trained
    out = training.output
    assert list(figures) == list(LTX_STAGES)
    pipe = networks.load_pipeline(out)
    assert type(pipe).__name__ == networks.PIPELINE
    assert {path.name for path in out.iterdir()} == {*networks.PARTS, "model_index.json", "README.md", "preview.json"}
    from safetensors.numpy import load_file

    for file in out.glob("*/*.safetensors"):
        assert {str(tensor.dtype) for tensor in load_file(file).values()} == {"float16"}
    clip = render(pipe, ["she waves"], [Pictures(np.zeros((1, 64, 96, 3), np.uint8))], Sampling(2, 3.0, FRAMES), 0)
    assert clip.shape == (1, FRAMES, 64, 96, 3)
    assert all(name in figures["ltx_gates"] for _, name, _, _ in BARS)


def test_a_finished_stage_is_not_run_again_and_a_finished_bar_not_measured_again(trained):
    training, figures = trained
    again = LtxTraining(training.cfg)
    assert again.run("ltx_vae") == figures["ltx_vae"]
    (training.work / "ltx_gates" / "done.json").unlink()
    bars = training.work / "ltx_gates" / "bars.json"
    known = json.loads(bars.read_text())
    known["bars"]["vae"]["vae_psnr"] = 77.0
    bars.write_text(json.dumps(known))
    assert again.run("ltx_gates")["vae_psnr"] == 77.0


def test_the_student_is_exported_only_when_its_gate_is_passed(trained):
    training, _ = trained
    (training.work / "ltx_few" / "done.json").unlink()
    file = training.output / "transformer" / "diffusion_pytorch_model.safetensors"
    before = file.read_bytes()
    strict = training.cfg.model_copy(deep=True)
    strict.ltx.few.gate, strict.ltx.few.steps = {"action": 2.0}, 3
    with pytest.raises(UserError, match=r"stage ltx_few: action is 0\.\d+, the gate asks for 2(.|\n)*ltx\.few\.steps"):
        LtxTraining(strict).run("ltx_few")
    assert file.read_bytes() == before
    strict.ltx.few.gate = {}
    LtxTraining(strict).run("ltx_few")
    assert file.read_bytes() != before


def test_drawing_goes_on_where_it_was_stopped_and_each_clip_is_its_own(tmp_path):
    data = draw_clips(tmp_path, 20, seed=3, workers=1, spec=SPEC, frames=FRAMES)
    first = np.array(data.read("rgb"))
    drawn = data.read("drawn", "r+")
    drawn[16:] = False
    drawn.flush()
    data.read("rgb", "r+")[:] = 0
    rgb = draw_clips(tmp_path, 20, seed=3, workers=1, spec=SPEC, frames=FRAMES).read("rgb")
    assert not rgb[:16].any()  # what is noted as drawn is not drawn again
    np.testing.assert_array_equal(rgb[16:], first[16:])
    assert not np.array_equal(first[0], first[1])


def test_encoding_goes_on_where_it_was_stopped_and_another_vae_begins_anew(tmp_path, pipe):
    data = draw_clips(tmp_path / "drawn", 18, seed=3, workers=1, spec=SPEC, frames=FRAMES)
    encode_clips(tmp_path / "z", data, pipe.vae, 2, "one", workers=2)
    whole = read_latents(tmp_path / "z")
    assert whole.clips.shape == (18, 8, 2, 8, 8)
    assert whole.at[:, 0].tolist() == [FRAMES - 1] * 18
    rows = np.arange(18)
    stills, at = whole.still(rows, np.ones(18, dtype=int))
    frames = np.array(data.read("rgb"))[rows, at][:, None]
    np.testing.assert_allclose(stills.numpy(), encode(pipe.vae, frames).numpy(), atol=2e-2)
    encoded = np.load(tmp_path / "z" / "encoded.npy", mmap_mode="r+")
    encoded[16:] = False
    clips = np.load(tmp_path / "z" / "clips.npy", mmap_mode="r+")
    clips[:] = 0
    encode_clips(tmp_path / "z", data, pipe.vae, 2, "one", workers=2)
    assert not clips[:16].any()
    np.testing.assert_array_equal(clips[16:], whole.clips[16:])
    encode_clips(tmp_path / "z", data, pipe.vae, 2, "another", workers=1)
    np.testing.assert_array_equal(read_latents(tmp_path / "z").clips, whole.clips)


def test_frames_go_to_the_vae_and_back():
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(to_frames(to_video(frames)), frames)
    assert frames_psnr(frames, frames).shape == (2, 9)
    assert frames_psnr(frames[0, 0], frames[0, 1]) < 12


def test_latents_have_mean_0_and_variance_1_afterwards_and_decode_to_the_same(pipe):
    clips = np.stack([draw_clip(np.random.default_rng(i), SPEC, frames=FRAMES).rgb for i in range(4)])
    before = decode(pipe.vae, encode(pipe.vae, clips))
    own = encode(pipe.vae, clips).std((0, 2, 3, 4)) * pipe.vae.latents_std
    normalise(pipe.vae, clips)
    z = encode(pipe.vae, clips)
    torch.testing.assert_close(z.mean((0, 2, 3, 4)), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.var((0, 2, 3, 4)).mean(), torch.tensor(1.0), atol=1e-2, rtol=0)
    assert torch.equal(z.std((0, 2, 3, 4)).argsort(), own.argsort()), "what does most for the picture stays largest"
    assert frames_psnr(decode(pipe.vae, z), before).min() > 50


def test_a_clips_first_frame_is_the_picture_through_the_vae_once(pipe):
    clip = draw_clip(np.random.default_rng(1), SPEC, Motion("jump"), FRAMES).rgb[None]
    alone = decode(pipe.vae, encode(pipe.vae, clip[:, :1]))
    assert frames_psnr(decode(pipe.vae, encode(pipe.vae, clip))[:, 0], alone[:, 0]).min() > 55


def random_vae(**changes):
    """A VAE whose every convolution counts, those in time too."""
    torch.manual_seed(0)
    vae = networks.build_vae(NetworkSettings.model_validate(NETWORK | changes)).eval()
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.normal_(module.weight, std=0.2)
    return vae


HALVED = {"decoder": [8, 8, 16, 16], "decoder_factors": [1, 1, 2, 1]}  # no block of which normalises the way around


@pytest.mark.parametrize("changes", [{}, HALVED])
@pytest.mark.parametrize("frames", [1, 9])
def test_a_picture_is_encoded_and_decoded_quicker_with_the_same_result(frames: int, changes: dict):
    vae = random_vae(**changes).double()
    quick = copy.deepcopy(vae)
    quicken(quick)
    video = torch.rand(2, 3, frames, 64, 96).double() * 2 - 1
    for net in (vae, quick):
        net.decode(net.encode(video).latent_dist.mean).sample.square().mean().backward()
    with torch.no_grad():
        torch.testing.assert_close(quick(video).sample, vae(video).sample)
    for slow, fast in zip(vae.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(fast.grad, slow.grad)


def test_training_begins_with_a_linear_code_of_the_drawn_clips(monkeypatch):
    """Not with the mean colour, which is what a network of random weights can give: other clips come back as well."""
    monkeypatch.setattr("tasks.sprite.ltx.closed_form.PLACES", 2000)
    monkeypatch.setattr("tasks.sprite.ltx.closed_form.PIXELS", 96)
    changes = {"latent_channels": 32, "encoder": [48, 48, 48, 64, 64], "decoder": [24, 24, 48, 48],
               "decoder_factors": [1, 1, 2, 1]}  # fmt: skip
    vae = networks.build_vae(NetworkSettings.model_validate(NETWORK | changes)).eval()
    clips = to_video(np.stack([draw_clip(np.random.default_rng(i), SPEC, None, FRAMES).rgb for i in range(16)]))
    begin_linear(vae, clips[:12])
    with torch.no_grad():
        shown = vae.decode(vae.encode(clips).latent_dist.mean).sample
    flat = clips.mean((2, 3, 4), keepdim=True)
    for part, least in ((slice(0, 12), 4.0), (slice(12, 16), 0.8)):
        error, constant = ((x - clips)[part].square().mean() for x in (shown, flat))
        assert 10 * torch.log10(constant / error) > least, "dB above each clip's own mean colour"
    assert vae.encode(clips).latent_dist.std.max() < 0.1


def test_tokens_coordinates_and_levels_are_those_of_the_stock_pipeline(pipe):
    z = torch.randn(2, 8, 3, 2, 4)
    torch.testing.assert_close(flow.pack(z), pipe._pack_latents(z))
    torch.testing.assert_close(flow.unpack(flow.pack(z), z.shape), z)
    ids = pipe._scale_video_ids(pipe._prepare_video_ids(2, 3, 2, 4), networks.SPACE, 8, 0)
    torch.testing.assert_close(flow.coordinates(3, 2, 4).repeat(2, 1, 1), ids.float())
    later = pipe._scale_video_ids(pipe._prepare_video_ids(2, 1, 2, 4), networks.SPACE, 8, 5)
    torch.testing.assert_close(flow.coordinates(1, 2, 4, torch.tensor([5.0, 5.0])), later.float())
    assert schedule_levels(8)[0] == 1


def test_a_steps_input_is_what_the_stock_pipeline_hands_to_the_transformer(pipe):
    """Recorded from a real call: pictures at the first frame (strength 0.6) and at frame 5 (strength 1)."""
    seen: list[dict[str, torch.Tensor]] = []
    hook = pipe.transformer.register_forward_pre_hook(lambda _, args, given: seen.append(given), with_kwargs=True)
    clip = draw_clip(np.random.default_rng(5), SPEC, Motion("bow"), FRAMES).rgb
    pictures = [Pictures(clip[None, 0], 0, 0.6), Pictures(clip[None, 5], 5, 1.0)]
    render_latents(pipe, ["she bows"], pictures, Sampling(4, 1.0, FRAMES, fps=12), seed=3)
    hook.remove()
    z, cells = encode(pipe.vae, clip[None]), CELLS**2  # of one frame
    still = flow.Picture(encode(pipe.vae, clip[None, 5:6]), torch.tensor([5.0]), torch.tensor([1.0]))
    noise = first_noise(pipe, z.shape, 3)
    given = flow.noisy(z, noise, schedule_levels(4)[:1], torch.tensor([0.6]), [still], torch.tensor([12.0]),
                       torch.Generator().manual_seed(0))  # fmt: skip
    torch.testing.assert_close(given.timesteps, seen[0]["timestep"])
    torch.testing.assert_close(given.coords, seen[0]["video_coords"])
    torch.testing.assert_close(
        given.tokens[:, 2 * cells :], seen[0]["hidden_states"][:, 2 * cells :]
    )  # noise: nothing of the clip
    held = (given.tokens - seen[0]["hidden_states"])[:, : 2 * cells]
    assert held.square().mean().sqrt() < 0.35  # but for the posterior's and the clean picture's own little noise
    assert given.weights[0, :cells].sum() == 0  # a clean picture has nothing to predict
    assert given.weights[0, cells:].min() == 1
    hidden, mask = embed(pipe.tokenizer, pipe.text_encoder, ["she bows"])
    torch.testing.assert_close(hidden, seen[0]["encoder_hidden_states"][:, : hidden.shape[1]], atol=1e-5, rtol=1e-4)
    assert seen[0]["encoder_attention_mask"].sum() == mask.sum()


def test_a_held_token_is_no_noisier_than_its_strength_allows():
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.zeros(3, 64, 8), torch.ones(3, 64, 8)
    tokens, own = flow.mix(clean, noise, torch.tensor([0.9, 0.3, 0.0]), 0.5, generator)
    torch.testing.assert_close(own[:, 0], torch.tensor([0.5, 0.3, 0.0]))
    torch.testing.assert_close(tokens[:2, 0, 0], torch.tensor([0.5, 0.3]))
    tokens, own = flow.mix(clean, noise, torch.tensor([1.0, 0.5, 0.1]), 1.0, generator)
    assert own.max() == 0
    torch.testing.assert_close(tokens.std((1, 2)), 0.15 * torch.tensor([1.0, 0.25, 0.01]), rtol=0.1, atol=0.0)


def test_noise_levels_lean_to_the_high_ones():
    drawn = flow.levels(20000, 2.5, torch.Generator().manual_seed(0))
    assert 0.55 < drawn.mean() < 0.68
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() <= 1


def test_a_thinned_batch_keeps_what_moves_and_whose_token_is_whose():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 8, 1, 8, 8, generator=generator).repeat(1, 1, 4, 1, 1)  # nothing moves
    z[0, :, 2, 3, 5] += 3.0  # but for one cell of the first clip
    still = flow.Picture(torch.randn(2, 8, 1, 8, 8, generator=generator), torch.tensor([13.0, 13.0]), torch.ones(2))
    noise = torch.randn(z.shape, generator=generator)
    given = (z, noise, torch.tensor([0.5, 0.9]), torch.ones(2), [still], torch.tensor([24.0, 12.0]))
    whole = flow.noisy(*given, torch.Generator().manual_seed(1))
    thin = flow.thin(whole, z, 0.25, generator)
    assert thin.tokens.shape == (2, 80, 8)  # a fourth of 64 cells of the picture and 256 of the clip
    for kept, of in (("tokens", thin.coords), ("target", thin.coords), ("timesteps", thin.coords)):
        for row in range(2):
            at = (of[row].T[:, None] == whole.coords[row].T[None]).all(-1)  # places are all different
            assert at.sum() == 80
            torch.testing.assert_close(getattr(thin, kept)[row], getattr(whole, kept)[row][at.int().argmax(1)])
    moving = whole.coords[0, :, 64 + 2 * 64 + 3 * 8 + 5]
    assert (thin.coords[0] == moving[:, None]).all(0).any()
    around = {(y, x) for y in (32, 48, 64) for x in (64, 80, 96)}  # px of the first frame's cells near it
    first = thin.coords[0][:, thin.coords[0, 0] == 0]
    assert around <= {(int(y), int(x)) for _, y, x in first.T}


def test_a_word_of_a_caption_is_one_token_and_any_other_is_spelt():
    tokenizer = build_tokenizer()
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("She waves, slow push-in").input_ids)
    assert tokens == ["▁She", "▁waves", ",", "▁slow", "▁push", "-", "in", "</s>"]
    assert tokenizer.unk_token_id not in tokenizer("Zebra! 42").input_ids
    assert tokenizer("").input_ids == [tokenizer.eos_token_id]


def test_the_shipped_family_has_cells_of_8_frames_and_16_px_and_fits_its_limit(tmp_path):
    cfg = LtxSettings.model_validate(shipped_ltx())
    export_random(tmp_path, cfg.network)
    assert export.check_size(tmp_path, LIMIT) > 0.8 * LIMIT
    pipe = networks.load_pipeline(tmp_path)
    assert (pipe.vae_spatial_compression_ratio, pipe.vae_temporal_compression_ratio) == (16, 8)
    assert (pipe.transformer.config.patch_size, pipe.transformer.config.patch_size_t) == (1, 1)
    assert pipe.vae.config.latent_channels == pipe.transformer.config.in_channels


def test_parts_of_a_step_that_run_side_by_side_give_the_mean_of_their_gradients(tmp_path):
    net = torch.nn.Linear(4, 1, bias=False)
    begin = net.weight.detach().clone()

    def loss(draw: Draw, step: int, progress: float):
        return net(draw.normal(8, 4)).square().mean(), {}

    def gradient(number: int) -> torch.Tensor:
        net.weight.data.copy_(begin)
        return torch.autograd.grad(loss(Draw.of(1, "two", number), 0, 0)[0], net.weight)[0]

    stage = Stage("two", {"net": net}, loss, shards=2)
    metrics = loop._gradients(stage, list(net.parameters()), 1, 3, 0.0, loop.Precision())
    given = net.weight.grad.clone()
    torch.testing.assert_close(given, (gradient(6) + gradient(7)) / 2)
    assert metrics["loss"] > 0
    net.weight.data.copy_(begin)
    train(stage, Schedule(steps=3, lr=1e-2), tmp_path / "a", 1, Log(tmp_path / "a", "two"))
    first = net.weight.detach().clone()
    net.weight.data.copy_(begin)
    train(stage, Schedule(steps=3, lr=1e-2), tmp_path / "b", 1, Log(tmp_path / "b", "two"))
    assert torch.equal(net.weight, first)


def test_threads_that_train_leave_the_process_the_kernels_that_it_had():
    """One thread is in its step while the other begins and ends: each would put back what it found."""
    net, inside = torch.nn.Linear(4, 1), threading.Barrier(2)

    def loss(draw: Draw, step: int, progress: float):
        waits = inside.wait(20) == 1  # the second to come in
        assert not torch.backends.cuda.flash_sdp_enabled(), "a step's products are plain ones"
        if waits:
            time.sleep(0.05)
        return net(draw.normal(8, 4)).square().mean(), {}

    assert torch.backends.cuda.flash_sdp_enabled()
    for step in range(3):
        loop._gradients(Stage("two", {"net": net}, loss, shards=2), list(net.parameters()), 1, step, 0.0,
                        loop.Precision(dtype=torch.bfloat16))  # fmt: skip
        assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize(("change", "told"), [
    ({"frames": 24}, r"ltx\.frames: 24 is not 8k\+1(.|\n)*ltx\.frames=17, or 25"),
    ({"network": {**NETWORK, "decoder": [8, 8, 16, 8]}}, r"decoder: 16 channels, divided by 1 (.+) next block's 8"),
    ({"network": {**NETWORK, "decoder": [8, 12, 8, 8]}}, r"ltx\.network\.decoder: 12 is not a multiple of 8"),
    ({"first_half": "nowhere"}, r"ltx\.first_half: nowhere has no probe\.safetensors and no family\.json"),
    ({"transformer": {**STEP, "start": "nowhere"}}, r"ltx\.transformer\.start: nowhere has no transformer"),
])  # fmt: skip
def test_wrong_settings_are_named_before_anything_is_drawn(tmp_path, change, told):
    cfg = settings(tmp_path).ltx
    check_ltx(cfg, LTX_STAGES)
    with pytest.raises(UserError, match=told):
        check_ltx(LtxSettings.model_validate(cfg.model_dump() | change), LTX_STAGES)


def test_attributes_are_counted_where_they_can_be_seen():
    clips = [draw_clip(np.random.default_rng(i), SPEC, Motion("turn"), FRAMES, posed=0.0) for i in range(4)]
    labels = np.repeat(np.stack([clip.attributes.to_indices(SPEC.choices) for clip in clips]), FRAMES, axis=0)

    def shares(read: np.ndarray) -> dict[str, float]:
        return attribute_shares(probe.Reading(read, np.zeros((len(read), 14, 2)), [], SPEC), clips, FRAMES)

    assert set(shares(labels).values()) == {1.0}
    wrong = labels.copy()
    wrong[FRAMES - 1 :: FRAMES, list(SPEC.choices).index("background")] += 1
    assert shares(wrong)["background"] == 0


def test_bars_are_balanced_and_measured_on_figures_of_their_own(trained):
    training, _ = trained
    cfg = training.cfg.ltx
    bars = Bars(training.output, cfg.first_half, cfg.gates, FRAMES, training.work / "sheets")
    assert [clip.motion.action for clip in bars.acting] == list(ACTIONS)
    other = bars.draw(4, [Motion("stand_still")])[0]
    assert not np.array_equal(other.rgb[0], bars.acting[0].rgb[0])


def test_the_card_holds_what_was_measured_and_says_what_was_missed(trained):
    training, _ = trained
    pipe = networks.load_pipeline(training.output)
    figures = {key: aim + 1 for _, key, aim, _ in BARS} | {"vae_psnr": 27.4}
    text = card(training.output, training.cfg.ltx, figures, pipe)
    assert "| VAE, unseen drawn clips | 27.4 dB | 28 dB | **no** |" in text
    assert text.count("**no**") == 1
