"""Resume: a render that was killed goes on from its checkpoint and gives the very same bits, with every scheduler."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import torch

from reel.store import Store
from tasks.networks import journal as module
from tasks.networks.journal import ChunkCache
from tasks.networks.packing import pack, unpack
from tasks.stylize.engine import schedulers
from tasks.stylize.engine.checkpoint import restore
from tasks.stylize.engine.freeinit import FreeInitPlan, denoise_in_rounds, renoised
from tasks.stylize.engine.loop import Hold, denoise, noised, pure_noise, timesteps_of
from tasks.stylize.job.journal import Journal
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)

FAMILY = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
STEPS = 8


def network(latents, timestep, step, steps):
    """A stand-in for the model: cheap, and different at every step and place."""
    return torch.tanh(latents * 0.7 + torch.sin(latents.roll(1, -1) + float(timestep) / 500))


def fresh(name):
    scheduler = schedulers.make(name, FAMILY)
    generator = torch.Generator().manual_seed(3)
    source = torch.randn(1, 4, 3, 4, 4, generator=generator)
    timesteps = timesteps_of(scheduler, STEPS, 0.8)
    latents, _ = noised(source, scheduler, timesteps, generator)
    return scheduler, generator, timesteps, latents


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY))
def test_every_registered_scheduler_resumes_to_the_same_bits(name, tmp_path):
    scheduler, generator, timesteps, latents = fresh(name)
    whole = denoise(network, scheduler, timesteps, latents, generator)
    assert len(timesteps) >= 6

    for cut in range(1, len(timesteps)):
        scheduler, generator, timesteps, latents = fresh(name)
        journal = Journal(tmp_path / f"{name}-{cut}", {"render": name})

        class Cut:
            def save(self, step, *state, journal=journal, cut=cut):
                journal.write(step, *state)
                if step == cut:
                    raise Killed

        with pytest.raises(Killed):
            denoise(network, scheduler, timesteps, latents, generator, keeper=Cut())

        scheduler, generator, timesteps, _ = fresh(name)
        generator.manual_seed(999)
        found = Journal(tmp_path / f"{name}-{cut}", {"render": name}).resume()
        assert found is not None
        assert found.step == cut
        latents = restore(found, scheduler, generator, "cpu")
        resumed = denoise(network, scheduler, timesteps, latents, generator, first=found.step)
        assert torch.equal(resumed, whole), f"{name} differs after a cut at step {cut}"


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 11, 12])
def test_rounds_of_free_init_resume_too(cut, tmp_path):
    """Two rounds of six steps, cut inside each and exactly between them."""
    plan = FreeInitPlan(iterations=2)

    def start():
        scheduler, generator, _, latents = fresh("dpmpp_2m")
        return network, scheduler, lambda: timesteps_of(scheduler, STEPS, 0.8), latents, generator

    whole = denoise_in_rounds(plan, *start())
    journal = Journal(tmp_path, {})

    class Cut:
        def save(self, step, *state):
            journal.write(step, *state)
            if step == cut:
                raise Killed

    with pytest.raises(Killed):
        denoise_in_rounds(plan, *start(), keeper=Cut())
    resumed = journal.resume()
    assert resumed is not None
    assert torch.equal(denoise_in_rounds(plan, *start(), resumed=resumed), whole)


def test_in_a_later_round_held_places_begin_as_in_the_first():
    scheduler, generator, _, latents = fresh("ddim")
    until = torch.zeros(1, 1, latents.shape[2], 1, 1, dtype=int)
    until[:, :, 1:] = 2
    seen = []

    def looked(sample, timestep, step, steps):
        if step == 0:
            seen.append(sample.clone())
        return network(sample, timestep, step, steps)

    hold = Hold(
        torch.zeros_like(latents), torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)), until
    )
    plan = FreeInitPlan(iterations=2)
    denoise_in_rounds(
        plan, looked, scheduler, lambda: timesteps_of(scheduler, STEPS, 0.8), latents, generator, hold=hold
    )
    first, second = seen
    assert torch.equal(first[:, :, 1:], second[:, :, 1:])
    assert not torch.equal(first[:, :, :1], second[:, :, :1])


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY.keys() - schedulers.SCALED))
@pytest.mark.parametrize("strength", [0.8, 0.6, 0.3])
def test_a_later_round_begins_with_as_much_noise_as_the_first(name, strength):
    """Of a picture of unit variance under noise, which is what every such scheduler begins with at every strength."""
    scheduler, generator, _, _ = fresh(name)
    draw = torch.Generator().manual_seed(4)
    picture, noise = (torch.randn(1, 4, 8, 16, 16, generator=draw) for _ in range(2))
    timesteps = timesteps_of(scheduler, STEPS, strength)
    beginning = scheduler.add_noise(picture, noise, timesteps[:1])
    found = renoised(FreeInitPlan(2), picture, noise, scheduler, timesteps, generator)
    assert abs(float(found.std() / beginning.std()) - 1) < 0.1
    share = [float((x * picture).mean()) for x in (beginning, found)]
    assert abs(share[1] - share[0]) < 0.1, "the picture counts for as much as at that timestep"


def test_constant_noise_is_the_first_frames_in_all_frames_and_stays_so_in_later_rounds():
    scheduler, _, _, _ = fresh("ddim")
    timesteps = timesteps_of(scheduler, STEPS, 0.8)
    still = torch.zeros(1, 4, 8, 16, 16)

    def made(constant: bool) -> list[torch.Tensor]:
        draw = torch.Generator().manual_seed(1)
        latents, noise = noised(still, scheduler, timesteps, draw, constant)
        later = renoised(FreeInitPlan(2), still, noise, scheduler, timesteps, draw, constant)
        return [latents, noise, later, pure_noise(still.shape, scheduler, draw, constant=constant)]

    for own, same in zip(made(False), made(True), strict=True):
        assert own.diff(dim=2).abs().mean() > 0.1
        assert torch.equal(same, same[:, :, :1].expand_as(same))
    assert torch.equal(made(True)[1][:, :, 0], made(False)[1][:, :, 0]), "the seed gives the first frame the same noise"


def test_multistep_state_is_needed_for_that(tmp_path):
    """The check of the check: without the scheduler's memory, a multistep scheduler ends elsewhere."""
    scheduler, generator, timesteps, latents = fresh("dpmpp_2m")
    whole = denoise(network, scheduler, timesteps, latents, generator)
    scheduler, generator, timesteps, latents = fresh("dpmpp_2m")
    half = denoise(network, scheduler, timesteps[:3], latents, generator)
    scheduler, generator, timesteps, _ = fresh("dpmpp_2m")
    forgetful = denoise(network, scheduler, timesteps, half, generator, first=3)
    assert not torch.equal(forgetful, whole)


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path):
    scheduler, generator, _, latents = fresh("ddim")
    Journal(tmp_path, {"seed": 1}).write(2, latents, scheduler, generator)
    assert Journal(tmp_path, {"seed": 1}).resume() is not None
    assert Journal(tmp_path, {"seed": 2}).resume() is None


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-7], lambda data: data[:200] + b"x" + data[201:], lambda data: b""]
)
def test_a_damaged_checkpoint_is_not_used(damage, tmp_path):
    scheduler, generator, _, latents = fresh("ddim")
    journal = Journal(tmp_path, {})
    journal.write(2, latents, scheduler, generator)
    journal.path.write_bytes(damage(journal.path.read_bytes()))
    assert journal.resume() is None


def test_checkpoints_cost_at_most_a_fiftieth(tmp_path):
    """With writes of 1 s and steps of 10 s, one in five steps is kept: 50 s for each second of writing."""
    now = [0.0]
    journal = Journal(tmp_path, {}, clock=lambda: now[0])

    def write(*_):
        now[0] += 1.0

    journal.write = write
    for step in range(1, 101):
        now[0] += 10.0
        journal.save(step, None, None, None)
    assert journal.written == pytest.approx(1000 / 51, abs=2)


def test_state_that_cannot_be_kept_is_refused():
    with pytest.raises(TypeError, match="cannot be kept"):
        pack({"past": object()}, {})


def test_nested_state_comes_back_as_it_was():
    state = {
        "a": [None, torch.arange(3), (1, 2.5)],
        "b": np.array([0.1, 0.2]),
        "c": {"d": np.float64(0.3), "e": "x", "f": True},
    }
    tensors: dict = {}
    back = unpack(pack(state, tensors), tensors)
    assert torch.equal(back["a"][1], torch.arange(3))
    assert back["a"][2] == (1, 2.5)
    assert back["b"].tolist() == [0.1, 0.2]
    assert back["c"] == {"d": 0.3, "e": "x", "f": True}


def test_finished_chunks_survive_and_damaged_ones_do_not(tmp_path):
    shelf = ChunkCache(Store(tmp_path / "store"), "abc")
    shelf.put(3, b"frame three")
    assert ChunkCache(Store(tmp_path / "store"), "abc").get(3) == b"frame three"
    (file,) = (p for p in (tmp_path / "store" / "frames").rglob("*") if p.is_file())
    file.write_bytes(file.read_bytes()[:-1])
    assert shelf.get(3) is None
    shelf.clear()
    assert not [p for p in (tmp_path / "store" / "frames").rglob("*") if p.is_file()]


def test_kill_nine_in_the_middle(tmp_path, monkeypatch):
    """Killed by SIGKILL after 4 of 6 steps: the rerun does the rest only, and ends in the same bits."""
    monkeypatch.setattr(module, "SHARE", 1.0)  # steps of a third of a second: on a busy disk 2 % would be too little
    scheduler, generator, timesteps, latents = fresh("unipc")
    whole = denoise(network, scheduler, timesteps, latents, generator)

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # a real process that dies a real death; forked, since a new one would load torch again
        scheduler, generator, timesteps, latents = fresh("unipc")
        journal = Journal(tmp_path, {})

        def slow(*arguments):
            time.sleep(0.3)
            return network(*arguments)

        tick = lambda: os.write(writing, b".")  # noqa: E731
        denoise(slow, scheduler, timesteps, latents, generator, keeper=journal, tick=tick)
        os._exit(0)
    for _ in range(4):
        assert os.read(reading, 1) == b"."
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child must have been killed and not have finished"

    scheduler, generator, timesteps, _ = fresh("unipc")
    found = Journal(tmp_path, {}).resume()
    assert found is not None
    latents = restore(found, scheduler, generator, "cpu")
    assert (len(timesteps) - found.step) / len(timesteps) <= 0.45
    resumed = denoise(network, scheduler, timesteps, latents, generator, first=found.step)
    assert torch.equal(resumed, whole)
