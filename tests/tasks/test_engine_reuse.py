"""Work used again: what is skipped, what that costs the prediction, and that a killed render still ends in its bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from tasks.stylize.engine.checkpoint import restore
from tasks.stylize.engine.controls import Controls
from tasks.stylize.engine.loop import denoise, noised, timesteps_of
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.reuse import FirstBlock
from tasks.stylize.engine.windows import WindowPlan
from tasks.stylize.job.journal import Journal
from tests.tasks import engine_models as tiny
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)
from tests.tasks.test_engine_network import COUNT, LATENTS, close, conditioning, run, track

STEPS = 6


class Calls:
    """Frames that a module was run on."""

    def __init__(self, module) -> None:
        self.frames = 0
        self.hook = module.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module, args, kwargs) -> None:
        self.frames += len(args[0] if args else kwargs["input_tensor"])


def render(first=0, latents=None, keeper=None, every=1, threshold=0.0, scale=4.0, scope="motion", setup=None):
    """A whole denoising, or its rest from a checkpoint (``setup`` restores it)."""
    scheduler = DDIMScheduler(**tiny.SCHEDULE, clip_sample=False)
    generator = torch.Generator().manual_seed(1)
    timesteps = timesteps_of(scheduler, STEPS)
    begin, _ = noised(LATENTS, scheduler, timesteps, generator)
    if setup is not None:
        begin = restore(setup, scheduler, generator, "cpu")
    network = Network(
        tiny.unet(),
        conditioning(scale=scale),
        Controls([track(np.linspace(0.2, 1, COUNT))], every),
        WindowPlan(4, 2),
        scope,
        block=3,
        first_block=FirstBlock(threshold) if threshold else None,
        guidance_end=0.8,
    )
    with torch.no_grad():
        return denoise(network, scheduler, timesteps, begin, generator, first=first, keeper=keeper), network


def test_a_control_on_the_prompted_branch_alone_is_half_the_work_and_leaves_the_other_branch_alone():
    calls = Calls(tiny.controlnet())
    told = conditioning(scale=5.0)
    told.guidance = np.zeros(COUNT)  # what comes out is the unprompted branch
    assert close(run([track(1.0, on="cond")], told), run([], told))
    assert calls.frames == COUNT
    told.guidance = np.ones(COUNT)  # the prompted one
    assert close(run([track(1.0, on="cond")], told), run([track(1.0)], told))
    assert calls.frames == COUNT * 4
    calls.hook.remove()


def test_residuals_are_computed_every_other_step_and_only_while_the_weights_stay():
    calls = Calls(tiny.controlnet())
    controls = Controls([track(1.0)], 2)
    network = Network(tiny.unet(), conditioning(), controls)
    with torch.no_grad():
        first, again = (network(LATENTS, torch.tensor(400), step, 8) for step in (0, 1))
    assert calls.frames == COUNT
    assert close(again, first), "the same latents and time, so the same residuals"
    ending = Controls([track(1.0, end=0.13)], 2)
    network = Network(tiny.unet(), conditioning(), ending)
    with torch.no_grad():
        network(LATENTS, torch.tensor(400), 0, 8)
        after = network(LATENTS, torch.tensor(400), 1, 8)
    assert close(after, run([])), "a control that has ended is not used again"
    calls.hook.remove()


def test_residuals_of_every_window_are_used_again_where_windows_are_passes_of_their_own():
    """Eight frames in windows of four that share two: 12 frames a step, at every second of four steps."""
    calls = Calls(tiny.controlnet())
    network = Network(tiny.unet(), conditioning(), Controls([track(1.0)], 2), WindowPlan(4, 2), "full")
    with torch.no_grad():
        found = [network(LATENTS, torch.tensor(400), step, 4) for step in range(4)]
    assert calls.frames == 2 * 12
    assert close(found[1], found[0])
    assert close(found[3], found[0])
    calls.hook.remove()


def test_a_control_that_has_ended_is_not_in_what_the_first_block_cache_gives_again():
    network = Network(tiny.unet(), conditioning(), Controls([track(1.0, end=0.13)]), first_block=FirstBlock(0.9))
    with torch.no_grad():
        network(LATENTS, torch.tensor(400), 0, 8)
        after = network(LATENTS, torch.tensor(400), 1, 8)
        again = network(LATENTS, torch.tensor(400), 2, 8)
    assert close(after, run([]))
    assert close(again, run([]))
    assert (network.first_block.skipped, network.first_block.whole) == (1, 2)


def test_steps_that_change_little_skip_all_but_the_first_layer():
    unet = tiny.unet()
    calls = Calls(unet.up_blocks[-1].resnets[-1])
    network = Network(unet, conditioning(), Controls([track(1.0)]), first_block=FirstBlock(0.2))
    near = LATENTS + 0.01 * torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = network(LATENTS, torch.tensor(400), 0, 8)
        same = network(LATENTS, torch.tensor(400), 1, 8)
        close_by = network(near, torch.tensor(400), 2, 8)
        far = network(-3 * LATENTS, torch.tensor(400), 3, 8)
        anew = network(LATENTS, torch.tensor(400), 4, 8)
    assert (network.first_block.skipped, network.first_block.whole) == (2, 3)
    assert calls.frames == 3 * COUNT
    assert close(same, whole)
    assert 1e-5 < tiny.relative(close_by, run([track(1.0)], latents=near)) < 0.2
    assert close(far, run([track(1.0)], latents=-3 * LATENTS))
    assert close(anew, whole)
    calls.hook.remove()


@pytest.mark.parametrize(
    ("scope", "more"),
    [("motion", {"every": 2}), ("motion", {"threshold": 0.9}), ("full", {"every": 2, "threshold": 0.9})],
)
def test_a_killed_render_goes_on_where_nothing_is_used_again_and_ends_in_the_same_bits(more, scope, tmp_path):
    steps: list[int] = []

    class Every:
        def save(self, step, *state):
            steps.append(step)
            Journal(tmp_path / str(step), {}).write(step, *state)

    whole, network = render(scope=scope, keeper=Every(), **more)
    assert steps == list(range(network.period, STEPS + 1, network.period))
    plain, _ = render(scope=scope)
    assert not torch.equal(whole, plain), "the setting must change the picture for this to mean anything"
    found = Journal(tmp_path / "4", {}).resume()
    assert torch.equal(render(4, setup=found, scope=scope, **more)[0], whole)
