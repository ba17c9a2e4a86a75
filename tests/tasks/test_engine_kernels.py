"""Attention kernels and compiled blocks: the same numbers, and asked for in vain they are refused at once."""

import pytest
import torch

from reel.compute import Compute
from reel.errors import UserError
from tasks.networks.kernels import use_kernels
from tasks.stylize.settings import compute as device


@pytest.fixture(scope="module")
def block():
    from diffusers.models.resnet import ResnetBlock2D

    torch.manual_seed(0)
    return ResnetBlock2D(in_channels=8, out_channels=8, temb_channels=8, groups=2).eval()


@pytest.fixture
def compiling_takes_less(monkeypatch):
    """No vector instructions: C++ that asks whether there are any, and what includes them, compile for 15 s."""
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "vec_isa_ok", False)


@pytest.mark.slow
@pytest.mark.usefixtures("compiling_takes_less")
def test_compiled_blocks_give_the_same_and_stay_compiled_until_another_render_wants_none(block):
    given, time = torch.randn(2, 8, 4, 4), torch.randn(2, 8)
    with torch.inference_mode():
        plain = block(given, time)
        with use_kernels([block], "auto", compiled=True):
            first = block._compiled_call_impl
            assert first is not None
            torch.testing.assert_close(block(given, time), plain, rtol=1e-4, atol=1e-5)
        with use_kernels([block], "auto", compiled=True):
            assert block._compiled_call_impl is first
        with use_kernels([block], "auto", compiled=False):
            assert block._compiled_call_impl is None
            assert torch.equal(block(given, time), plain)


@pytest.mark.parametrize("name", device.ATTENTION["cpu"])
def test_the_named_kernel_alone_is_allowed(name):
    q = torch.randn(1, 2, 16, 8)
    plain = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    with use_kernels([], name, compiled=False):
        allowed = {"flash": torch.backends.cuda.flash_sdp_enabled(), "math": torch.backends.cuda.math_sdp_enabled()}
        assert allowed == {other: other == name for other in allowed}
        torch.testing.assert_close(torch.nn.functional.scaled_dot_product_attention(q, q, q), plain)
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.math_sdp_enabled()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"device": "cpu", "attention": "cudnn"}, "these do: flash, math"),
        ({"device": "mps", "attention": "flash"}, "these do: math"),
        ({"device": "cuda", "dtype": "float32", "attention": "flash"}, "16 bits alone"),
    ],
)
def test_a_kernel_that_cannot_be_is_refused_before_anything_loads(asked, says):
    with pytest.raises(UserError, match=says):
        device.check_kernels(Compute(**asked))


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"C\+\+ compiler"):
        device.check_kernels(Compute(device="cpu", compile=True))
    device.check_kernels(Compute(device="cpu"))
