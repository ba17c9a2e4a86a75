"""What the engine adds to the stock pipelines: windows, weights per frame, step, layer and place, prompts per frame."""

from __future__ import annotations

import errno
import os
from collections import Counter

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.errors import UserError
from tasks.stylize.engine.buffers import Buffers, blocks
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.control_weights import Keyframe, keyframe_scale, soft_weights
from tasks.stylize.engine.controls import Controls, ControlTrack, add_scaled
from tasks.stylize.engine.loop import Hold, denoise, noised, timesteps_of
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.prompts import Conditioning, TextTrack, slerp
from tasks.stylize.engine.windows import WindowPlan
from tests.tasks import engine_models as tiny
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)

COUNT = 8
T = torch.tensor(400)
ALONE = WindowPlan(context_length=1, context_overlap=0)
"""Every frame in a window of its own: nothing mixes frames, so each can be compared with a constant setting."""
LATENTS = torch.randn(1, 4, COUNT, 8, 8, generator=torch.Generator().manual_seed(5))
MAPS = tiny.pictures(COUNT, 1)


def conditioning(count=COUNT, scale=1.0, seed=11):
    negative = TextTrack.constant(tiny.text(12), count) if scale > 1 else None
    return Conditioning(TextTrack.constant(tiny.text(seed), count), negative, np.full(count, scale), {})


def track(weight=1.0, **more):
    weights = np.broadcast_to(weight, COUNT).astype(float)
    return ControlTrack("pose", tiny.controlnet(), MAPS.__getitem__, weights, **more)


@torch.no_grad()
def run(controls=(), told=None, latents=LATENTS, step=0, steps=4, **more):
    told = told or conditioning(latents.shape[2])
    return Network(tiny.unet(), told, Controls(controls), **more)(latents, T, step, steps)


def close(a, b, tolerance=1e-5):
    return tiny.relative(a, b) <= tolerance


def test_windows_without_overlap_are_clips_of_their_own():
    halves = [run(latents=LATENTS[:, :, :4]), run(latents=LATENTS[:, :, 4:])]
    assert close(run(windows=WindowPlan(4, 0)), torch.cat(halves, dim=2))
    assert not close(run(), torch.cat(halves, dim=2), 1e-3), "the motion modules must matter"


def test_only_attention_across_frames_runs_in_windows_and_everything_else_once_per_frame(monkeypatch):
    unet, seen = tiny.unet(), Counter()
    hooks = []
    for name, module in unet.named_modules():
        kind = type(module).__name__
        if "motion_modules" in name and name.endswith((".attn1", ".ff")):
            kind, frames = name.rpartition(".")[2], 1  # (S * H * W, F, C)
        else:
            frames = 0
        if kind in ("ResnetBlock2D", "Transformer2DModel", "attn1", "ff"):

            def count(_, args, kwargs, key=(kind, name), frames=frames):
                states = args[0] if args else kwargs.get("hidden_states", kwargs.get("input_tensor"))
                seen[key] += states.shape[frames]

            hooks.append(module.register_forward_pre_hook(count, with_kwargs=True))
    run(windows=WindowPlan(4, 2), block=4)
    for hook in hooks:
        hook.remove()
    kinds = {kind: {n for (k, _), n in seen.items() if k == kind} for kind in {k for k, _ in seen}}
    assert kinds == {"ResnetBlock2D": {8}, "Transformer2DModel": {8}, "attn1": {12}, "ff": {8}}


@pytest.mark.parametrize("windows", [WindowPlan(COUNT, 0), WindowPlan(4, 2)])
def test_a_block_bounds_what_a_motion_module_has_in_flight_and_changes_the_last_bits_alone(windows):
    unet, most = tiny.unet(), Counter()

    def note(_, args, kwargs, key):
        states = args[0] if args else kwargs["hidden_states"]
        most[key] = max(most[key], states.shape[0] * states.shape[1])

    hooks = [
        module.register_forward_pre_hook(lambda *given, key=name: note(*given, key), with_kwargs=True)
        for name, module in unet.named_modules()
        if "motion_modules" in name and name.endswith((".attn1", ".ff"))
    ]
    assert hooks
    whole = run(windows=windows)
    before = most.copy()
    most.clear()
    found = run(windows=windows, block=2)
    for hook in hooks:
        hook.remove()
    assert close(found, whole)
    assert all(most[key] * windows.context_length <= 2 * before[key] for key in before if key.endswith(".attn1"))
    assert all(most[key] * COUNT <= 2 * before[key] for key in before if key.endswith(".ff"))


@pytest.mark.parametrize("block", [3, COUNT])
def test_channels_last_reaches_every_layer_and_changes_the_last_bits_alone(block):
    orders = Counter()

    def note(module, args, kwargs):
        given = args[0] if args else kwargs["input_tensor"]
        orders[type(module).__name__, given.is_contiguous(memory_format=torch.channels_last)] += 1

    control = track(np.linspace(0, 1, COUNT))
    layers = [m for m in tiny.unet().modules() if type(m).__name__ in ("ResnetBlock2D", "Downsample2D", "Upsample2D")]
    hooks = [part.register_forward_pre_hook(note, with_kwargs=True) for part in (*layers, control.net.conv_in)]
    found = run([control], windows=WindowPlan(4, 2), block=block, channels_last=True)
    for hook in hooks:
        hook.remove()
    assert {last for _, last in orders} == {True}
    assert {kind for kind, _ in orders} == {"ResnetBlock2D", "Downsample2D", "Upsample2D", "Conv2d"}
    assert close(found, run([control], windows=WindowPlan(4, 2), block=block))


@pytest.mark.parametrize("schedule", ["standard-static", "standard-uniform", "looped-uniform"])
def test_every_schedule_predicts_and_moves_as_it_says(schedule):
    plan = WindowPlan(4, 2, schedule=schedule)
    first, second = (run(windows=plan, step=step) for step in (0, 1))
    assert torch.isfinite(first).all()
    assert torch.equal(first, second) == (schedule == "standard-static")


def test_full_scope_is_the_same_for_one_window_and_differs_for_several():
    assert torch.equal(run(scope="full"), run())
    plan = WindowPlan(4, 2)
    controls = [track(np.linspace(0, 1, COUNT))]
    both = run(controls, scope="full", windows=plan), run(controls, windows=plan)
    assert not close(*both, 1e-4)
    assert torch.isfinite(both[0]).all()


def test_full_scope_gives_each_frame_its_own_weight_and_text():
    """Frames in windows of their own: a full pass per frame must give what the shared pass gives."""
    track_ = TextTrack(tiny.text(11, 2), np.zeros(COUNT, int), np.ones(COUNT, int), np.linspace(0, 1, COUNT))
    told = Conditioning(track_, None, np.ones(COUNT), {})
    controls = [track(np.linspace(0, 1, COUNT))]
    assert close(run(controls, told, scope="full", windows=ALONE), run(controls, told, windows=ALONE))


def test_a_window_over_the_models_limit_is_refused():
    with pytest.raises(UserError, match="32 frames"):
        Network(tiny.unet(), conditioning(), windows=WindowPlan(context_length=33))


@settings(max_examples=2, deadline=None)
@given(weights=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=COUNT, max_size=COUNT))
def test_each_frame_has_its_own_weight(weights):
    found = run([track(np.array(weights))], windows=ALONE)
    for weight in set(weights):
        whole = run([track(weight)], windows=ALONE)
        frames = [i for i, w in enumerate(weights) if w == weight]
        assert close(found[:, :, frames], whole[:, :, frames])


def test_no_work_for_frames_of_weight_zero_or_outside_start_and_end():
    seen = []
    hook = tiny.controlnet().register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    weights = np.array([1, 0, 0, 0, 1, 1, 0, 0.0])
    run([track(weights)], block=4)
    assert sum(seen) == 3
    seen.clear()
    run([track(1.0, start=0.5)], step=0)
    run([track(1.0, end=0.5)], step=2)
    run([track(0.0)])
    assert seen == []
    run([track(1.0, start=0.5)], step=2)
    assert sum(seen) == COUNT
    hook.remove()


def test_keyframes_scale_the_weight_over_the_steps():
    keys = [Keyframe(0.0, 1.0), Keyframe(0.5, 0.25)]
    assert close(run([track(1.0, keyframes=keys)], step=2), run([track(0.25)], step=2))
    assert close(run([track(1.0, keyframes=keys)], step=1), run([track(1.0)], step=1))
    ramp = [Keyframe(0.2, 1.0, "linear"), Keyframe(0.6, 0.0)]
    assert [round(keyframe_scale(ramp, p), 6) for p in (0.0, 0.2, 0.4, 0.6, 1.0)] == [1, 1, 0.5, 0, 0]


def test_layer_weights():
    layers = len(tiny.controlnet().controlnet_down_blocks) + 1
    none, plain = run([]), run([track(1.0)])
    assert close(run([track(1.0, layer_weights=[0.0] * layers)]), none)
    assert close(run([track(1.0, layer_weights=[1.0] * layers)]), plain)
    middle = run([track(1.0, layer_weights=[0.0] * (layers - 1) + [1.0])])
    assert not close(middle, none, 1e-4)
    assert not close(middle, plain, 1e-4)
    assert soft_weights(13)[-1] == 1
    assert soft_weights(13)[0] == pytest.approx(0.825**12)
    with pytest.raises(UserError, match=f"2 values, its ControlNet has {layers}"):
        track(1.0, layer_weights=[1.0, 1.0])


def test_masks_say_where_a_control_counts():
    full, none = (lambda n: np.ones((len(n), 16, 16), np.float32)), (lambda n: np.zeros((len(n), 16, 16), np.float32))
    assert close(run([track(1.0, mask=full)]), run([track(1.0)]))
    assert close(run([track(1.0, mask=none)]), run([]))
    residual, target = torch.ones(1, 1, 2, 4, 4), torch.zeros(1, 3, 2, 4, 4)
    mask = torch.zeros(1, 16, 16)
    mask[:, :, :8] = 1
    add_scaled(residual, target, torch.tensor([2]), torch.tensor([0.5]), mask, 2.0)
    assert target[0, 2, :, :, :2].eq(1).all()
    assert target[0, 2, :, :, 2:].eq(0).all()
    assert target[0, :2].eq(0).all()


def test_a_map_is_embedded_once_per_clip():
    read = []

    def reader(numbers):
        read.extend(numbers.tolist())
        return MAPS[numbers]

    control = ControlTrack("pose", tiny.controlnet(), reader, np.ones(COUNT))
    for step in range(3):
        run([control], step=step, block=3, windows=WindowPlan(4, 2))
    assert sorted(read) == list(range(COUNT))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_embedded_hint_is_what_the_net_makes_of_the_picture(order):
    net = tiny.controlnet(controlnet_conditioning_channel_order=order)
    picture = torch.rand(2, 3, 16, 16)
    states, words = torch.randn(2, 4, 8, 8), tiny.text(1, 2)
    with torch.no_grad():
        expected = net(states, 5, words, controlnet_cond=picture, return_dict=False)[1]
        from tasks.stylize.engine.hints import embed_map

        found = net(states, 5, words, controlnet_cond=embed_map(net, picture), return_dict=False)[1]
        again = net(states, 5, words, controlnet_cond=picture, return_dict=False)[1]
    assert torch.equal(found, expected)
    assert torch.equal(again, expected), "pictures must still be taken as before"


def test_prompts_per_frame():
    texts = tiny.text(11, 2)
    blend = np.array([0, 0, 0.5, 1, 1, 0.25, 0, 1])
    told = Conditioning(TextTrack(texts, np.zeros(8, int), np.ones(8, int), blend), None, np.ones(8), {})
    found = run(told=told, windows=ALONE)
    for value in np.unique(blend):
        constant = TextTrack.constant(torch.lerp(texts[:1], texts[1:], float(value)), COUNT)
        whole = run(told=Conditioning(constant, None, np.ones(8), {}), windows=ALONE)
        frames = np.flatnonzero(blend == value)
        assert close(found[:, :, frames], whole[:, :, frames])


def test_slerp_keeps_to_the_arc():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    half = slerp(a, b, torch.tensor([[0.5]]))
    torch.testing.assert_close(half, torch.full((1, 2), 2**0.5))
    torch.testing.assert_close(slerp(a, b, torch.tensor([[0.0]])), a)
    torch.testing.assert_close(slerp(a, b, torch.tensor([[1.0]])), b)
    torch.testing.assert_close(slerp(a, a * 3, torch.tensor([[0.5]])), a * 2)


def test_guidance_per_frame():
    told = conditioning(scale=5.0)
    told.guidance = np.array([1, 5, 1, 5, 1, 5, 1, 5.0])
    found = run(told=told)
    assert close(found[:, :, 1::2], run(told=conditioning(scale=5.0))[:, :, 1::2])
    assert close(found[:, :, ::2], run(told=conditioning(scale=1.0))[:, :, ::2])


@torch.no_grad()
def test_strength_per_frame_is_that_strength():
    """A frame held for two steps ends where a render with two steps fewer puts it."""

    def render(strength, until=None):
        scheduler = DDIMScheduler(**tiny.SCHEDULE, clip_sample=False)
        timesteps = timesteps_of(scheduler, 8, strength)
        latents, noise = noised(LATENTS, scheduler, timesteps, torch.Generator().manual_seed(1))
        hold = None if until is None else Hold(LATENTS, noise, until)
        network = Network(tiny.unet(), conditioning(), windows=ALONE)
        return denoise(network, scheduler, timesteps, latents, torch.Generator(), hold=hold)

    until = torch.tensor([0, 2, 6, 0, 2, 6, 0, 0])[None, None, :, None, None]
    found = render(0.75, until)
    assert close(found[:, :, [0, 3, 6, 7]], render(0.75)[:, :, [0, 3, 6, 7]])
    assert close(found[:, :, [1, 4]], render(0.5)[:, :, [1, 4]])
    assert torch.equal(found[:, :, [2, 5]], LATENTS[:, :, [2, 5]])


@torch.no_grad()
def test_a_kept_background_is_the_source():
    scheduler = DDIMScheduler(**tiny.SCHEDULE, clip_sample=False)
    timesteps = timesteps_of(scheduler, 4)
    latents, noise = noised(LATENTS, scheduler, timesteps, torch.Generator().manual_seed(1))
    until = torch.zeros(1, 1, COUNT, 8, 8, dtype=torch.long)
    until[..., :4] = 4
    network = Network(tiny.unet(), conditioning())
    found = denoise(network, scheduler, timesteps, latents, torch.Generator(), hold=Hold(LATENTS, noise, until))
    assert torch.equal(found[..., :4], LATENTS[..., :4])
    assert not close(found[..., 4:], LATENTS[..., 4:], 1e-2)


def test_a_disk_without_room_for_spilled_activations_is_said_before_they_are_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"no room in .* for 0\.00 GiB of activations"):
        Buffers(limit=0, folder=tmp_path).empty((4, 4), torch.float32, torch.device("cpu"))
    assert list(tmp_path.iterdir()) == []


def test_spilled_activations_take_their_room_on_the_disk_at_once(tmp_path):
    size = 2**22
    before = os.statvfs(tmp_path)
    spilled = Buffers(limit=0, folder=tmp_path).empty((size // 4,), torch.float32, torch.device("cpu"))
    after = os.statvfs(tmp_path)
    assert spilled.numel() * 4 == size
    assert (before.f_bfree - after.f_bfree) * before.f_frsize >= size // 2


def test_a_mask_is_made_once_for_the_whole_denoising():
    asked = []

    def left(numbers):
        asked.extend(numbers.tolist())
        mask = np.zeros((len(numbers), 64, 64), np.float32)
        mask[:, :, :32] = 1
        return mask

    network = Network(tiny.unet(), conditioning(), Controls([track(mask=left)]), block=3)
    with torch.no_grad():
        first, again = (network(LATENTS, T, step, 4) for step in (0, 1))
    assert sorted(asked) == list(range(COUNT))
    assert torch.equal(first, again)
    assert not close(first, run([track()]))


def test_spilled_activations_give_the_same_bits(tmp_path):
    plan, controls = WindowPlan(4, 2), lambda: [track(np.linspace(0, 1, COUNT))]
    spilling = Buffers(limit=0, folder=tmp_path)
    found = run(controls(), windows=plan, block=3, buffers=spilling)
    assert torch.equal(found, run(controls(), windows=plan, block=3))
    last = {"windows": plan, "block": 3, "channels_last": True}
    assert torch.equal(run(controls(), buffers=spilling, **last), run(controls(), **last))
    assert spilling.spilled > 0
    assert spilling.alive == 0
    assert list(tmp_path.iterdir()) == [], "spilled files have no names to be left behind under"


def test_buffers_count_what_is_alive():
    buffers = Buffers()
    tensor = buffers.empty((10, 10), torch.float32, torch.device("cpu"))
    assert buffers.alive == 400
    del tensor
    assert buffers.alive == 0
    assert buffers.peak == 400


@given(count=st.integers(1, 300), size=st.integers(1, 50))
def test_blocks_cover_the_frames_evenly(count, size):
    cut = blocks(count, size)
    assert [i for block in cut for i in range(block.start, block.stop)] == list(range(count))
    sizes = {block.stop - block.start for block in cut}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_the_profile_names_the_kinds_of_work():
    clock = Clock(on=True)
    run([track(1.0)], clock=clock)
    assert {"resnet+attention", "motion", "controlnet:pose", "sampling"} <= set(clock.report())
    assert Clock().report() == {}


@torch.no_grad()
def test_values_that_are_no_numbers_are_refused():
    scheduler = DDIMScheduler(**tiny.SCHEDULE)
    timesteps = timesteps_of(scheduler, 2)
    with pytest.raises(UserError, match="not numbers"):
        denoise(lambda x, *_: x * float("nan"), scheduler, timesteps, LATENTS, torch.Generator())
