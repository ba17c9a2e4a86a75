"""LoRAs as trainers write them: what is applied is the weights' own difference, and what fits nowhere is told."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from reel.errors import UserError
from reel.models.source import LoraSource
from reel.store import Store
from tasks.stylize.job.preflight import check_models
from tasks.stylize.models import adapters, lycoris, text
from tests.tasks.test_stylize_load import save
from tests.tasks.tiny_render import render
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
LAYERS = (f"{ATTENTION}.to_q", f"{ATTENTION}.to_out.0", "down_blocks.1.resnets.0.conv1", "up_blocks.0.resnets.0.conv2")
TEXT = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.v_proj", "encoder.layers.0.mlp.fc1")
RANKS, ALPHAS = (1, 2, 3, 2), (1.0, 0.5, 6.0, 2.0)
"""Of the layers, each its own, as a LoRA has them that was resized by its trainer's tools."""


def matrices(network: Any, layers: tuple[str, ...]) -> dict[str, tuple[Any, Any, float]]:
    """(down, up, alpha) of some layers of a network."""
    import torch

    torch.manual_seed(4)
    found = {}
    for layer, rank, alpha in zip(layers, RANKS, ALPHAS, strict=False):
        shape = network.get_submodule(layer).weight.shape
        down, up = torch.randn(rank, *shape[1:]), torch.randn(shape[0], rank, *(1 for _ in shape[2:]))
        found[layer] = (down, up, alpha)
    return found


def merged(network: Any, found: dict[str, tuple[Any, Any, float]], weight: float) -> dict[str, Any]:
    """The network's state with the LoRA added to its weights: W + weight * alpha/rank * up down."""
    state = dict(network.state_dict())
    for layer, (down, up, alpha) in found.items():
        change = (up.flatten(1) @ down.flatten(1)).reshape(state[f"{layer}.weight"].shape)
        state[f"{layer}.weight"] = state[f"{layer}.weight"] + weight * alpha / down.shape[0] * change
    return state


def unet(families: Path) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(str(families / "tiny/unet"))


def encoder(families: Path) -> Any:
    from transformers import CLIPTextModel

    return CLIPTextModel.from_pretrained(str(families / "tiny/text_encoder"))


def kohya(found: dict[str, tuple[Any, Any, float]], prefix: str) -> dict[str, Any]:
    import torch

    tensors = {}
    for layer, (down, up, alpha) in found.items():
        name = f"{prefix}{layer.replace('.', '_')}"
        tensors |= {
            f"{name}.lora_down.weight": down,
            f"{name}.lora_up.weight": up,
            f"{name}.alpha": torch.tensor(alpha),
        }
    return tensors


def peft(found: dict[str, tuple[Any, Any, float]], prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}{layer}.lora_{side}.weight": matrix
        for layer, (down, up, _) in found.items()
        for side, matrix in (("A", down), ("B", up))
    }


def change_of(before: Any, source: dict[str, Any], families: Path) -> float:
    """Largest difference between a LoRA on the UNet and the same merged into its weights, at weight 0.7."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    plain, found = unet(families), before
    none = dict.fromkeys(("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    pipe = StableDiffusionPipeline(
        **none, unet=unet(families), scheduler=DDIMScheduler(), requires_safety_checker=False
    )
    lora = LoraSource.model_validate({"source": source, "weight": 0.7})
    adapters.apply_loras(pipe, [lora], "tiny")
    given = torch.randn(1, 4, 4, 4), torch.tensor([5]), torch.randn(1, 3, 16)
    with torch.no_grad():
        untouched = plain(*given).sample
        plain.load_state_dict(merged(plain, found, 0.7))
        wanted, got = plain(*given).sample, pipe.unet(*given).sample
    assert (wanted - untouched).abs().max() > 1e-2
    return float((wanted - got).abs().max())


FORMS = {
    "diffusers": ("unet.", "."),
    "without a component": ("", "."),
    "peft": ("base_model.model.", "."),
    "an adapter's name": ("unet.", ".default_0."),
}
"""What stands before a layer's name, and between a matrix and ``weight``."""


@pytest.mark.parametrize("form", ["kohya", *FORMS, "older diffusers", "header's alpha", "header's one alpha"])
def test_a_lora_changes_the_weights_by_its_own_scales(families: Path, tmp_path: Path, form: str) -> None:
    """Ranks and alphas that differ from layer to layer: a library that takes one for all gets three of four wrong."""
    from safetensors.torch import save_file

    found = matrices(unet(families), LAYERS)
    file = tmp_path / "lora.safetensors"
    if form == "kohya":
        save_file(kohya(found, "lora_unet_"), str(file))
    elif form == "header's alpha":
        notes = {"unet.lora_alpha": 2.0, "unet.alpha_pattern": dict(zip(LAYERS, ALPHAS, strict=True)), "unet.r": 2}
        save_file(peft(found, "unet."), str(file), {"lora_adapter_metadata": json.dumps(notes), "format": "pt"})
    elif form == "header's one alpha":
        found = {layer: (down, up, 4.0) for layer, (down, up, _) in found.items()}
        save_file(peft(found, "unet."), str(file), {"unet.lora_alpha": "4", "format": "pt"})
    elif form == "older diffusers":
        attention = {layer: one for layer, one in found.items() if "attn1" in layer}
        found = {layer: (down, up, float(down.shape[0])) for layer, (down, up, _) in attention.items()}
        names = {f"{ATTENTION}.to_q": "to_q", f"{ATTENTION}.to_out.0": "to_out"}
        save_file(
            {
                f"{ATTENTION}.processor.{names[layer]}_lora.{side}.weight": matrix
                for layer, (down, up, _) in found.items()
                for side, matrix in (("down", down), ("up", up))
            },
            str(file),
        )
    else:
        found = {layer: (down, up, float(down.shape[0])) for layer, (down, up, _) in found.items()}  # no alpha: scale 1
        prefix, behind = FORMS[form]
        save_file(
            {name.replace(".weight", f"{behind}weight"): one for name, one in peft(found, prefix).items()}, str(file)
        )
    assert change_of(found, {"kind": "file", "id": str(file)}, families) < 1e-4


@pytest.mark.parametrize("layers", [TEXT, TEXT[:2], TEXT[2:]], ids=["all", "no mlp, no out", "mlp alone"])
@pytest.mark.parametrize("prefix", ["lora_te_text_model_", "lora_te1_text_model_"])
def test_the_part_for_the_text_encoder(families: Path, tmp_path: Path, prefix: str, layers: tuple[str, ...]) -> None:
    import torch

    plain, changed = encoder(families), encoder(families)
    found = matrices(plain, layers)
    source = save(tmp_path / "text.safetensors", kohya(found, prefix))
    text._apply_loras(changed, [LoraSource.model_validate({"source": source, "weight": 0.7})])
    words = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        untouched = plain(words).last_hidden_state
        plain.load_state_dict(merged(plain, found, 0.7))
        wanted, got = plain(words).last_hidden_state, changed(words).last_hidden_state
    assert (wanted - untouched).abs().max() > 1e-2
    assert (wanted - got).abs().max() < 1e-4


def test_layers_that_fit_nowhere_are_told_with_their_number(
    world: Store, families: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    fitting = kohya(matrices(unet(families), LAYERS), "lora_unet_")
    lost = {
        f"lora_unet_down_blocks_7_attentions_{index}_transformer_blocks_0_attn1_to_q.lora_{side}.weight": torch.randn(
            shape
        )
        for index in range(2)
        for side, shape in (("down", (2, 16)), ("up", (16, 2)))
    }
    both = render(world, loras=[{"source": save(tmp_path / "both.safetensors", {**fitting, **lost})}])
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert any(
        "both.safetensors" in one and "2 of this LoRA's 6 layers for the UNet fit nowhere" in one for one in told
    )
    assert both == render(world, loras=[{"source": save(tmp_path / "fitting.safetensors", fitting)}])


def test_a_text_half_without_effect_is_told(families: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import torch

    name = "lora_te_text_model_encoder_layers_40_self_attn_q_proj"
    source = save(
        tmp_path / "far.safetensors",
        {f"{name}.lora_down.weight": torch.randn(2, 16), f"{name}.lora_up.weight": torch.randn(16, 2)},
    )
    text._apply_loras(encoder(families), [LoraSource.model_validate({"source": source})])
    assert "far.safetensors (file): this LoRA's layers for the text encoder fit nowhere" in caplog.text


def test_a_dora_is_refused_at_load_too(families: Path, tmp_path: Path) -> None:
    """For those who call the ops alone."""
    import torch

    name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    tensors = {f"{name}.{part}": torch.ones(2, 2) for part in ("lora_down.weight", "lora_up.weight", "dora_scale")}
    source = save(tmp_path / "d.safetensors", tensors)
    with pytest.raises(UserError, match=r"d\.safetensors is a DoRA"):
        text._apply_loras(encoder(families), [LoraSource.model_validate({"source": source})])


KRONECKER: dict[str, dict[str, Any]] = {
    "LoHa": {},
    "LoHa, convolutions by kernel": {"use_effective_conv2d": True},
    "LoKr": {},
    "LoKr, both factors small": {"decompose_both": True, "decompose_factor": 2},
    "LoKr, convolutions by kernel": {"use_effective_conv2d": True},
    "LoKr, second factor whole": {"r": 64},
}


@pytest.mark.parametrize("names", ["underscores", "dots"])
@pytest.mark.parametrize("form", KRONECKER)
def test_loha_and_lokr_change_what_pefts_own_classes_change(
    families: Path, tmp_path: Path, form: str, names: str
) -> None:
    """PEFT's adapters on the UNet, against the same matrices from a file merged into its weights."""
    import torch
    from peft import LoHaConfig, LoKrConfig, inject_adapter_in_model

    plain, theirs, ours = (unet(families) for _ in range(3))
    kind = LoHaConfig if form.startswith("LoHa") else LoKrConfig
    given = {"r": 2, "alpha": 3, "target_modules": list(LAYERS), "init_weights": False, **KRONECKER[form]}
    inject_adapter_in_model(kind(**given), theirs)
    torch.manual_seed(6)
    tensors: dict[str, Any] = {}
    for name, parameter in theirs.named_parameters():
        if match := re.search(r"^(.*)\.((?:hada|lokr)_\w+)\.default$", name):
            parameter.data = torch.randn_like(parameter) * 0.3
            layer = match[1].replace(".", "_") if names == "underscores" else match[1]
            prefix = "lora_unet_" if names == "underscores" else "base_model.model."
            tensors[f"{prefix}{layer}.{match[2]}"] = parameter.data.clone()
            tensors[f"{prefix}{layer}.alpha"] = torch.tensor(float(given["alpha"]))
    whole = {name.rsplit(".", 1)[0] for name in tensors if name.endswith("lokr_w2")}
    if whole and not any(name.endswith("lokr_w1_b") for name in tensors):
        for layer in whole:  # a LoKr of two whole factors has no rank, and so no scale: PEFT's is taken back
            tensors[f"{layer}.lokr_w2"] *= given["alpha"] / given["r"]
    source = save(tmp_path / "k.safetensors", tensors)
    assert lycoris.apply_lycoris(LoraSource.model_validate({"source": source, "weight": 1.0}), ours, "unet.")
    inputs = torch.randn(1, 4, 4, 4), torch.tensor([5]), torch.randn(1, 3, 16)
    with torch.no_grad():
        untouched, wanted, got = (network(*inputs).sample for network in (plain, theirs, ours))
    assert (wanted - untouched).abs().max() > 1e-2
    assert (wanted - got).abs().max() < 1e-4


def test_loha_by_weight_beside_a_lora(world: Store, families: Path, tmp_path: Path) -> None:
    import torch

    layer = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    text_layer = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    torch.manual_seed(2)
    tensors = {
        f"{name}.hada_w{number}_{side}": torch.randn(shape)
        for name in (layer, text_layer)
        for number in (1, 2)
        for side, shape in (("a", (16, 2)), ("b", (2, 16)))
    }
    loha = save(tmp_path / "loha.safetensors", tensors)
    lora = save(tmp_path / "lora.safetensors", kohya(matrices(unet(families), LAYERS), "lora_unet_"))
    check_models(settings(loras=[{"source": loha}]))
    plain, both = render(world), render(world, loras=[{"source": lora}, {"source": loha, "weight": 0.5}])
    alone = render(world, loras=[{"source": loha, "weight": 0.5}])
    assert len({plain, both, alone, render(world, loras=[{"source": lora}])}) == 4
    assert render(world, loras=[{"source": loha, "weight": 0.0}]) == plain
    assert render(world) == plain
    assert both == render(world, loras=[{"source": loha, "weight": 0.5}, {"source": lora}])


QUERY = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
DOTTED = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
NO_PAIRS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "no up": ({f"{QUERY}.lora_down.weight": (2, 16)}, "lacks up"),
    "no down": ({f"{QUERY}.lora_up.weight": (16, 2)}, "lacks down"),
    "PEFT's first alone": ({f"{DOTTED}.lora_A.weight": (2, 16)}, "lacks up"),
    "two ranks": (
        {f"{QUERY}.lora_down.weight": (2, 16), f"{QUERY}.lora_up.weight": (16, 3)},
        "of shapes [2, 16] and [16, 3], have no rank in common",
    ),
    "older names, two ranks": (
        {f"{DOTTED}_lora.down.weight": (2, 16), f"{DOTTED}_lora.up.weight": (16, 3)},
        "have no rank in common",
    ),
    "single numbers": ({f"{QUERY}.lora_down.weight": (), f"{QUERY}.lora_up.weight": ()}, "have no rank in common"),
    "alphas": (
        {f"{QUERY}.lora_down.weight": (2, 16), f"{QUERY}.lora_up.weight": (16, 2), f"{QUERY}.alpha": (3,)},
        "its alpha has the shape [3]",
    ),
    "half a LoHa": ({f"{QUERY}.hada_w1_a": (16, 2), f"{QUERY}.hada_w1_b": (2, 16)}, "lacks hada_w2_a and hada_w2_b"),
    "half a LoKr": ({f"{QUERY}.lokr_w1": (4, 4), f"{QUERY}.lokr_w2_a": (4, 2)}, "lacks lokr_w2_b"),
}


@pytest.mark.parametrize("case", NO_PAIRS)
def test_layers_whose_matrices_do_not_belong_together_are_told_before_anything_loads(
    world: Store, tmp_path: Path, case: str
) -> None:
    import torch

    shapes, told = NO_PAIRS[case]
    source = save(tmp_path / "half.safetensors", {name: torch.ones(shape) for name, shape in shapes.items()})
    with pytest.raises(UserError, match=re.escape(told)) as caught:
        check_models(settings(loras=[{"source": source}]))
    assert caught.value.message.startswith("stylize.loras[0]: half.safetensors is no whole LoRA: ")


@pytest.mark.parametrize("form", ["LoHa", "LoKr"])
def test_as_many_numbers_in_another_shape_are_no_difference(families: Path, tmp_path: Path, form: str) -> None:
    """(8, 32) for weights of (16, 16)."""
    import torch

    if form == "LoHa":
        shapes = {f"hada_w{factor}_{side}": (8, 2) if side == "a" else (2, 32) for factor in (1, 2) for side in "ab"}
    else:
        shapes = {"lokr_w1": (2, 4), "lokr_w2": (4, 8)}
    source = save(tmp_path / "x.safetensors", {f"{QUERY}.{part}": torch.ones(shape) for part, shape in shapes.items()})
    with pytest.raises(UserError, match=r"a difference of shape \[8, 32\] for weights of \[16, 16\]"):
        lycoris.apply_lycoris(LoraSource.model_validate({"source": source, "weight": 1.0}), unet(families), "unet.")
