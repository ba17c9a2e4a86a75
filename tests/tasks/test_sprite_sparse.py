"""The stage that trains the embedded family's SparseCtrl: what it sees, that it learns, resumes, and is kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tasks.sprite import export, networks  # noqa: E402
from tasks.sprite.data import draw_data_set  # noqa: E402
from tasks.sprite.latents import Latents  # noqa: E402
from tasks.sprite.loop import Draw, Log, Schedule, train  # noqa: E402
from tasks.sprite.pipeline import Training  # noqa: E402
from tasks.sprite.spec import Spec  # noqa: E402
from tasks.sprite.stage_sparse import SparseStage  # noqa: E402
from tasks.sprite.tokenizer import build_tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def latents(tmp_path_factory) -> Latents:
    folder = tmp_path_factory.mktemp("sparse")
    data = draw_data_set(folder / "drawn", 530, 3, seed=1, workers=1, spec=Spec(64))
    z = np.random.default_rng(0).normal(size=(len(data), 8, 8, 8)).astype(np.float16)
    np.save(folder / "latents.npy", z)
    return Latents(data, folder / "latents.npy", 18, 3)


def begun(latents: Latents, **more) -> SparseStage:
    from diffusers import UNetMotionModel

    torch.manual_seed(0)
    tokenizer, unet = build_tokenizer(), networks.build_unet(64)
    text = networks.build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    motion = UNetMotionModel.from_unet2d(unet, networks.build_motion_adapter())
    return SparseStage(latents, tokenizer, text, motion, networks.build_sparsectrl(motion), batch=1, **more)


def test_it_begins_as_the_encoder_half_and_changes_nothing(latents):
    stage = begun(latents)
    known, own = stage.unet.state_dict(), stage.net.state_dict()
    taken = {name for name in own if name in known and torch.equal(own[name], known[name])}
    others = {name.partition(".")[0] for name in own.keys() - taken}
    assert others == {"controlnet_cond_embedding", "controlnet_down_blocks", "controlnet_mid_block"}
    assert any("motion_modules" in name for name in taken)
    video, hidden = torch.randn(1, 8, 16, 8, 8), torch.randn(16, 77, networks.TEXT_WIDTH)
    down, mid = stage.net(video, torch.tensor([500]), hidden, controlnet_cond=video,
                          conditioning_mask=torch.ones(1, 1, 16, 8, 8), return_dict=False)  # fmt: skip
    assert not any(residual.any() for residual in (*down, mid))


def test_clips_that_turn_into_another_have_a_picture_on_either_side_and_words_of_their_own(latents):
    stage = begun(latents, cut=1.0)
    for seed in range(20):
        rows, known = stage.drawn(np.random.default_rng(seed))
        borders = np.flatnonzero(np.diff(rows[0]) != 1) + 1
        assert 1 <= known.sum() <= 6
        for border in borders:
            assert known[0, :border].any()
            assert known[0, border:].any()
    draw = Draw.of(1, "sparse", 0)
    rows = np.concatenate([latents.data.clip_rows(0)[:6], latents.data.clip_rows(1)[6:]])[None]
    words = stage._words(rows, draw)
    assert words.shape == (16, 77, networks.TEXT_WIDTH)
    assert torch.equal(words[0], words[5])
    assert torch.equal(words[6], words[15])
    assert not torch.equal(words[5], words[6])


def test_a_few_steps_learn_and_a_killed_run_goes_on_to_the_same_weights(latents, tmp_path):
    schedule = Schedule(steps=2, lr=1e-3, checkpoint_seconds=0.0)

    def run(name: str, killed: bool = False) -> SparseStage:
        stage = begun(latents, cut=0.5)
        made = stage.stage()
        if killed:

            def stop(draw, step, progress, real=stage.loss):
                if step == 1:
                    raise InterruptedError
                return real(draw, step, progress)

            made.loss = stop
        train(made, schedule, tmp_path / name, 1, Log(tmp_path / name, "sparse"))
        return stage

    whole = run("whole")
    with pytest.raises(InterruptedError):
        run("killed", killed=True)
    resumed = run("killed")
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), name
    assert whole.net.controlnet_mid_block.weight.any(), "trained"
    assert not any(p.requires_grad for p in whole.unet.parameters())


def test_it_is_kept_in_a_folder_of_its_own_and_leaves_the_family_alone(tmp_path):
    from types import SimpleNamespace

    from diffusers import SparseControlNetModel
    from safetensors.torch import load_file

    training = object.__new__(Training)
    training.parts, training.part_names = tmp_path / "parts", (export.SPARSECTRL,)
    own = tmp_path / "models" / "sprite_sparsectrl"
    training.cfg = SimpleNamespace(output=tmp_path / "models" / "sprite", sparse=SimpleNamespace(output=own))
    training._keep(export.SPARSECTRL, networks.build_sparsectrl())
    net = SparseControlNetModel.from_pretrained(own)
    assert net.config.motion_max_seq_length == 16
    stored = load_file(own / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert sum(Path(file).stat().st_size for file in own.iterdir()) < 4_000_000
    assert not (tmp_path / "models" / "sprite").exists()
