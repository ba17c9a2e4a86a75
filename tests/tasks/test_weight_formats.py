"""Weight files are judged by their headers: what they are, and what is wrong with them, in one line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from reel.errors import UserError
from tasks.weights.formats import FORMATS, ROLES, demand, format_of
from tasks.weights.header import MOST_HEADER, NotSafetensors, read_header
from tests.tasks.raw_safetensors import header_of, packed, write_names

PLAIN, SIZE = header_of({"a": (2, 3), "b": (4,)})
UNET = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def changed(**changes: Any) -> dict[str, Any]:
    """The plain header with the entry of `b` changed."""
    return {**PLAIN, "b": {**PLAIN["b"], **changes}}


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it has 0 bytes"),
    "one byte": (b"x", "it has 1 bytes"),
    "a web page": (b"\n<!DOCTYPE html><html><head><title>Log in</title>", "it is a web page"),
    "a server's message": (b'{"error": "unauthorized"}', "it is a JSON text"),
    "a pickle": (b"PK\x03\x04" + bytes(60), "it is a ZIP archive, as PyTorch's pickles"),
    "an old pickle": (b"\x80\x02}q\x00(X\x0a\x00\x00\x00", "it is a Python pickle"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(60), "it is a GGUF file"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a Git LFS pointer"),
    "zeros": (bytes(4096), "it begins with zeros"),
    "noise": (random.Random(1).randbytes(4096), "does not begin as a safetensors file does"),
    "cut in the header": (packed(PLAIN, SIZE)[:40], "it is cut short"),
    "cut in the data": (packed(PLAIN, SIZE - 1), f"its tensors take {SIZE} bytes, {SIZE - 1} are there"),
    "more than it says": (packed(PLAIN, SIZE + 3), "it has 3 bytes after its last tensor"),
    "a gap": (packed(changed(data_offsets=[14, 22]), SIZE + 2), "a gap or an overlap before the tensor b"),
    "an overlap": (packed(changed(data_offsets=[10, 18]), SIZE), "a gap or an overlap"),
    "a wrong size": (packed(changed(shape=[5]), SIZE), "larger or smaller than its shape says"),
    "a negative side": (packed(changed(shape=[-4]), SIZE), "a wrong shape or place"),
    "a huge side": (packed(changed(shape=[1 << 62, 1 << 62]), SIZE), "a wrong shape or place"),
    "a side that is true": (packed(changed(shape=[True]), SIZE), "a wrong shape or place"),
    "an unknown format of numbers": (packed(changed(dtype="F12"), SIZE), "of unknown form"),
    "an entry that is a text": (packed({**PLAIN, "b": "x"}, SIZE), "a wrong shape or place"),
    "a list": (packed([1]), "does not begin as a safetensors file does"),
    "no JSON": (packed(b"{nothing}", 8), "it has a damaged header"),
    "not UTF-8": (packed(b'{"\xff": 1}', 8), "it has a damaged header"),
    "a name twice": (packed(b'{"a": {}, "a": {}}'), "a name twice"),
    "a constant": (packed(b'{"a": NaN}'), "NaN is not a number of JSON"),
    "deep": (packed(b'{"a":' + b"[" * 100_000), "nested too deeply"),
    "a number of many digits": (packed(b'{"a":' + b"1" * 10_000 + b"}"), "a damaged header"),
    "half a character": (packed(b'{"\\ud800": {}}'), "half a character"),
    "an entry with more": (packed(changed(more=[[1]]), SIZE), "a wrong shape or place"),
    "metadata that is a number": (packed({"__metadata__": 0}), "metadata that is not texts"),
    "metadata": (packed({"__metadata__": {"a": 1}}), "metadata that is not texts"),
    "too large a header": (packed(b"{" + b" " * MOST_HEADER + b"}"), "a header of"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_whole_file_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    data, words = BROKEN[case]
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    with pytest.raises(NotSafetensors) as caught:
        read_header(file)
    assert words in caught.value.message
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_header_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    file = tmp_path / "real.safetensors"
    dtypes = (
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.int64,
        torch.bool,
    )
    tensors = {f"t{index}": torch.zeros(index + 1, 2).to(dtype) for index, dtype in enumerate(dtypes)}
    save_file({**tensors, "none": torch.zeros(0, 3), "one": torch.tensor(1.0)}, str(file), metadata={"format": "pt"})
    header = read_header(file)
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {
        **{name: tuple(tensor.shape) for name, tensor in tensors.items()},
        "none": (0, 3),
        "one": (),
    }
    assert header.metadata == {"format": "pt"}
    assert header.count == sum(tensor.numel() for tensor in tensors.values()) + 1


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = write_names(tmp_path / "a.safetensors", ["one"])
    assert [*read_header(file).tensors] == ["one"]
    write_names(file, ["one", "two"])
    assert [*read_header(file).tensors] == ["one", "two"]


KINDS: list[tuple[str, list[str], str]] = [
    ("a LoRA", [f"{UNET}.lora_down.weight", f"{UNET}.lora_up.weight", f"{UNET}.alpha"], "lora"),
    ("a LoRA", ["unet.down_blocks.0.x.attn1.processor.to_q_lora.down.weight"], "lora"),
    ("a LoRA", ["base_model.model.down_blocks.0.x.attn1.to_q.lora_A.weight"], "lora"),
    ("a LoHa", [f"{UNET}.hada_w1_a", f"{UNET}.hada_w1_b", f"{UNET}.alpha"], "lycoris"),
    ("a LoKr", [f"{UNET}.lokr_w1", f"{UNET}.lokr_w2_a", f"{UNET}.lokr_w2_b"], "lycoris"),
    ("a DoRA", [f"{UNET}.hada_w1_a", f"{UNET}.hada_w1_b", f"{UNET}.dora_scale"], "adapter"),
    ("a file that mixes", [f"{UNET}.hada_w1_a", f"{UNET}2.lora_down.weight"], "adapter"),
    ("a file of full differences", [f"{UNET}.lokr_w1", "lora_unet_norm.w_norm"], "adapter"),
    ("an OFT", [f"{UNET}.oft_blocks", f"{UNET}.alpha"], "adapter"),
    ("a GLoRA", [f"{UNET}.a1.weight", f"{UNET}.a2.weight", f"{UNET}.b1.weight", f"{UNET}.b2.weight"], "adapter"),
    ("an (IA)3", [f"{UNET}.weight", f"{UNET}.on_input"], "adapter"),
    ("a DoRA", [f"{UNET}.lora_down.weight", f"{UNET}.lora_up.weight", f"{UNET}.dora_scale"], "adapter"),
    ("a DoRA", ["unet.x.to_q.lora_A.weight", "unet.x.to_q.lora_magnitude_vector"], "adapter"),
    ("a LoCon in CP form", [f"{UNET}.lora_down.weight", f"{UNET}.lora_mid.weight"], "adapter"),
    ("a file of full differences", [f"{UNET}.diff", f"{UNET}.diff_b"], "adapter"),
    ("a LoRA with an embedding", [f"{UNET}.lora_down.weight", "bundle_emb.cat.string_to_param.*"], "adapter"),
    ("a camera LoRA", ["down_blocks.0.motion_modules.0.temporal_transformer.x.to_q_lora.down.weight"], "adapter"),
    ("a LoRA for Flux", ["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"], "elsewhere"),
    ("a LoRA for Flux", ["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"], "elsewhere"),
    ("a LoRA for Wan", ["diffusion_model.blocks.0.self_attn.q.lora_A.weight"], "elsewhere"),
    ("a LoRA for Wan", ["lora_unet_blocks_0_cross_attn_k.lora_down.weight"], "elsewhere"),
    ("a LoRA for LTX", ["diffusion_model.transformer_blocks.0.attn1.to_q.lora_A.weight"], "elsewhere"),
    ("a LoRA for LTX", ["transformer_blocks.0.attn1.to_out.0.lora_B.default.weight"], "elsewhere"),
    ("a LoRA for Wan", ["diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight", "x.diff_m"], "elsewhere"),
    ("a LoRA for Wan", ["diffusion_model.blocks.0.cross_attn.norm_k_img.diff"], "elsewhere"),
    ("a LoRA for Wan", ["lora_unet_blocks_0_self_attn_q_proj.lokr_w2_a"], "elsewhere"),
    ("a LoRA for Flux", ["diffusion_model.double_blocks.0.img_attn.qkv.lokr_w1"], "elsewhere"),
    ("a LoKr", ["base_model.model.mid_block.attentions.0.transformer_blocks.0.attn2.to_q.lokr_w1"], "lycoris"),
    ("a quantised checkpoint", ["encoder.block.0.layer.0.SelfAttention.q.scale_weight"], "other"),
    ("a LoRA for SDXL", ["lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"], "elsewhere"),
    ("an IP-Adapter", ["image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"], "ip_adapter"),
    ("a ControlNet", ["control_model.input_blocks.0.0.weight", "control_model.zero_convs.0.0.weight"], "controlnet"),
    (
        "a ControlNet",
        ["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"],
        "controlnet",
    ),
    (
        "a SparseCtrl ControlNet",
        ["controlnet_cond_embedding.weight", "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"],
        "sparse",
    ),
    ("a Control-LoRA", ["lora_controlnet", "input_blocks.0.0.up"], "other"),
    ("a textual inversion", ["emb_params"], "embedding"),
    ("a textual inversion for SDXL", ["clip_g", "clip_l"], "other"),
    (
        "a motion module under AnimateDiff's own",
        ["down_blocks.0.motion_modules.0.temporal_transformer.norm.bias"],
        "motion",
    ),
    ("a motion module", ["down_blocks.0.motion_modules.0.norm.weight"], "motion"),
    ("a checkpoint of SDXL", ["conditioner.embedders.0.x", "model.diffusion_model.input_blocks.0.0.bias"], "elsewhere"),
    ("a checkpoint of SD 2", ["cond_stage_model.model.transformer.x", "model.diffusion_model.out.0.bias"], "elsewhere"),
    ("a checkpoint of Flux", ["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"], "elsewhere"),
    ("a checkpoint of Wan", ["blocks.0.self_attn.q.weight", "patch_embedding.weight"], "elsewhere"),
    ("a checkpoint of LTX-Video", ["model.diffusion_model.patchify_proj.weight", "vae.decoder.x"], "elsewhere"),
    ("a quantised checkpoint", ["model.diffusion_model.input_blocks.1.0.x.weight", "scaled_fp8"], "other"),
    ("a checkpoint", ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.x"], "base"),
    ("a UNet without prefix", ["input_blocks.0.0.weight", "output_blocks.0.0.weight"], "base"),
    ("a VAE of Wan", ["decoder.middle.0.residual.0.gamma", "conv1.weight"], "elsewhere"),
    ("a VAE of LTX", ["decoder.up_blocks.0.res_blocks.0.conv1.weight", "per_channel_statistics.x"], "elsewhere"),
    ("a VAE", ["encoder.down.0.block.0.conv1.weight", "quant_conv.weight"], "vae"),
    ("a VAE", ["decoder.up_blocks.0.resnets.0.conv1.weight"], "vae"),
    ("a text encoder", ["text_model.encoder.layers.0.self_attn.q_proj.weight"], "text_encoder"),
    ("a T5 text encoder", ["encoder.block.0.layer.0.SelfAttention.q.weight"], "other"),
]


@pytest.mark.parametrize(("name", "tensors", "kind"), KINDS, ids=[f"{kind[0]} {i}" for i, kind in enumerate(KINDS)])
def test_formats_are_known_by_their_names(name: str, tensors: list[str], kind: str, tmp_path: Path) -> None:
    file = write_names(tmp_path / "x.safetensors", tensors)
    found = format_of(read_header(file))
    assert found is not None
    assert (found.name.startswith(name), found.kind) == (True, kind), found
    for role, wanted in ROLES.items():
        if kind in wanted.kinds:
            demand(file, role, "here")
            continue
        with pytest.raises(UserError) as caught:
            demand(file, role, "stylize.loras[0]")
        assert caught.value.message.startswith("stylize.loras[0]: x.safetensors is ")
        assert name in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.fix or kind == "sparse"
        assert not (name.startswith(wanted.wants) and caught.value.message.endswith(f"not {wanted.wants}"))


def test_every_format_is_tried() -> None:
    tried = {format_of_names(tensors) for _, tensors, _ in KINDS}
    left = {one.name for one in FORMATS} - tried
    assert left <= {
        "a LoRA for SD 3",
        "a LoRA for HunyuanVideo",
        "a LoRA for a transformer",
        "a T2I-Adapter",
        "a UNet with its motion modules",
        "a UNet in diffusers' names",
        "a checkpoint of SD 3",
        "a transformer in diffusers' names",
        "a CLIP picture encoder",
    }


def format_of_names(tensors: list[str]) -> str:
    from tasks.weights.header import Header, Tensor

    found = format_of(Header(dict.fromkeys(tensors, Tensor("F16", (2, 2))), {}))
    return found.name if found else ""


def test_an_unknown_file_is_told_by_what_it_holds(tmp_path: Path) -> None:
    file = write_names(tmp_path / "cat.safetensors", ["ears", "tail", "whiskers", "paws"])
    with pytest.raises(UserError, match=r"^stylize\.vae: cat\.safetensors is not a VAE .*holds ears, paws, tail\n"):
        demand(file, "vae", "stylize.vae")


def test_mutated_headers_are_read_or_refused(tmp_path: Path) -> None:
    """A small part of `benchmarks.weights_fuzz`, seeded."""
    chance = random.Random(7)
    whole = packed(*header_of({f"{UNET}.lora_down.weight": (2, 4), f"{UNET}.alpha": ()}, note="x"))
    file = tmp_path / "x.safetensors"
    refused: list[str] = []
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        file.write_bytes(bytes(data[: chance.choice((len(data), chance.randrange(len(data) + 1)))]))
        try:
            read_header(file)
        except NotSafetensors as error:
            refused.append(error.message)
    assert 0 < len(refused) < 300
    assert not any("\n" in message for message in refused)
