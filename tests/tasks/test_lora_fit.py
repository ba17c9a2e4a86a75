"""LoRAs that load and do not fit, or whose numbers are none: told before anything is denoised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reel.errors import UserError
from reel.models.source import LoraSource
from reel.store import Store
from tasks.animate import loras as animator_loras
from tasks.stylize.job.preflight import check_models
from tasks.stylize.models import adapters, text
from tests.tasks.test_lora_files import LAYERS, RANKS, TEXT, encoder, unet
from tests.tasks.test_stylize_load import save
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
Q, CONVOLUTION = LAYERS[0], LAYERS[2]


def plain(layer: str, takes: int, gives: int, *kernel: int) -> dict[str, tuple[int, ...]]:
    name = f"lora_unet_{layer.replace('.', '_')}"
    ones = (1,) * len(kernel)
    return {f"{name}.lora_down.weight": (2, takes, *kernel), f"{name}.lora_up.weight": (gives, 2, *ones)}


def loha(layer: str, takes: int, gives: int) -> dict[str, tuple[int, ...]]:
    name = f"lora_unet_{layer.replace('.', '_')}"
    return {
        f"{name}.hada_w{number}_{side}": (gives, 2) if side == "a" else (2, takes)
        for number in (1, 2)
        for side in "ab"
    }  # fmt: skip


OTHER_WIDTHS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "takes more": (plain(Q, 32, 16), "is made for weights of 16x32, the model's are 16x16"),
    "gives more": (plain(Q, 16, 24), "is made for weights of 24x16, the model's are 16x16"),
    "a convolution": (plain(CONVOLUTION, 4, 16, 3, 3), "is made for weights of 16x4x3x3, the model's are 16x8x3x3"),
    "another kernel": (plain(CONVOLUTION, 8, 16, 1, 1), "is made for weights of 16x8x1x1, the model's are 16x8x3x3"),
    "a convolution for a matrix": (plain(Q, 16, 16, 1, 1), "is made for weights of 16x16x1x1, the model's are 16x16"),
    "PEFT's names": (
        {f"unet.{Q}.lora_A.weight": (2, 32), f"unet.{Q}.lora_B.weight": (16, 2)},
        "is made for weights of 16x32, the model's are 16x16",
    ),
    "older names": (
        {f"unet.{Q.removesuffix('.to_q')}.processor.to_{end}_lora.{side}.weight": shape
         for end in ("q", "out") for side, shape in (("down", (2, 32)), ("up", (16, 2)))},
        "is made for weights of 16x32, the model's are 16x16",
    ),
    "a text encoder's": (
        {f"lora_te_text_model_{TEXT[0].replace('.', '_')}.lora_down.weight": (2, 48),
         f"lora_te_text_model_{TEXT[0].replace('.', '_')}.lora_up.weight": (16, 2)},
        "is made for weights of 16x48, the model's are 16x16",
    ),
    "LoHa": (loha(Q, 32, 16), "is made for weights of 16x32, the model's are 16x16"),
    "LoHa of a convolution": (loha(CONVOLUTION, 36, 16), "is made for weights of 16x36, the model's are 16x72"),
    "LoKr": (
        {f"lora_unet_{Q.replace('.', '_')}.lokr_w1": (2, 4), f"lora_unet_{Q.replace('.', '_')}.lokr_w2": (4, 8)},
        "is made for weights of 8x32, the model's are 16x16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHER_WIDTHS)
def test_a_lora_of_other_widths_is_told_by_its_header(world: Store, tmp_path: Path, case: str) -> None:
    import torch

    shapes, told = OTHER_WIDTHS[case]
    source = save(tmp_path / "wide.safetensors", {name: torch.ones(shape) for name, shape in shapes.items()})
    with pytest.raises(UserError, match=re.escape(told)) as caught:
        check_models(settings(loras=[{"source": source}]))
    assert caught.value.message.startswith("stylize.loras[0]: wide.safetensors does not fit: its layer ")


@pytest.mark.parametrize("name", ["lora_unet_global_step", f"lora_unet_{Q.replace('.', '_')}.bias", "model.weight"])
def test_what_else_is_in_the_file_is_told_by_its_header(world: Store, tmp_path: Path, name: str) -> None:
    import torch

    shapes = {**plain(Q, 16, 16), name: (16,)}
    source = save(tmp_path / "more.safetensors", {name: torch.ones(shape) for name, shape in shapes.items()})
    with pytest.raises(
        UserError, match=rf"stylize\.loras\[0\]: more\.safetensors holds {name[:40]}.* no part of a LoRA"
    ):
        check_models(settings(loras=[{"source": source}]))


def test_layers_of_the_right_widths_and_of_unknown_names_pass(world: Store, families: Path, tmp_path: Path) -> None:
    import torch

    network, shapes = unet(families), plain("no.such.layer", 5, 7)
    for layer, rank in zip(LAYERS, RANKS, strict=True):
        shape = network.get_submodule(layer).weight.shape
        found = plain(layer, shape[1], shape[0], *shape[2:])
        shapes |= {name: tuple(rank if size == 2 else size for size in one) for name, one in found.items()}
    source = save(tmp_path / "fits.safetensors", {name: torch.ones(shape) for name, shape in shapes.items()})
    check_models(settings(loras=[{"source": source}]))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", ["LoRA", "LoHa", "alpha", "text"])
def test_numbers_that_are_not_finite_are_refused(families: Path, tmp_path: Path, form: str, number: float) -> None:
    """What a training that diverged leaves behind, in half precision too."""
    import torch

    shapes = loha(Q, 16, 16) if form == "LoHa" else plain(Q, 16, 16)
    tensors: dict[str, Any] = {name: torch.ones(shape, dtype=torch.float16) for name, shape in shapes.items()}
    name = next(iter(shapes))
    if form == "alpha":
        tensors[f"{name.partition('.')[0]}.alpha"] = torch.tensor(number)
    else:
        tensors[name].view(-1)[-1] = number
    lora = LoraSource.model_validate({"source": save(tmp_path / "nan.safetensors", tensors)})
    with pytest.raises(UserError, match=r"nan\.safetensors .*: lora_unet_.* holds numbers that are not finite"):
        if form == "text":
            text._apply_loras(encoder(families), [lora])
        else:
            adapters.apply_loras(pipeline(families), [lora], "tiny")


def test_an_animators_lora_of_no_numbers_is_refused_before_its_pipeline_is_made(tmp_path: Path) -> None:
    import torch

    tensors = {"transformer.transformer_blocks.0.attn1.to_q.lora_A.weight": torch.tensor([[1.0, float("nan")]])}
    lora = LoraSource.model_validate({"source": save(tmp_path / "nan.safetensors", tensors)})
    no_pipeline: Any = None
    with pytest.raises(UserError, match=r"nan\.safetensors .* holds numbers that are not finite"):
        animator_loras.apply(no_pipeline, "transformer", None, [lora])


def pipeline(families: Path) -> Any:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    none = dict.fromkeys(("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    parts = {"unet": unet(families), "scheduler": DDIMScheduler(), "requires_safety_checker": False}
    return StableDiffusionPipeline(**none, **parts)
