"""Key pictures: the op gives what the stock pipeline gives, to the bit; full-size networks are as large as is said."""

from __future__ import annotations

import importlib
import io
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.runs import ROOT
from flows.commands.models import painter
from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.models.family import Advice, Size
from reel.models.painter import OWN, Painter
from reel.models.source import ModelSource
from reel.op import Context, get
from reel.store import Store
from tasks.keyframe.catalogue import RECIPES
from tasks.keyframe.draw import eight_bit, named
from tasks.keyframe.drawing import check_size, drawing, painted_size
from tasks.keyframe.settings import Draw, Drawing
from tasks.keyframe.sheet import Sheet, drawn
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite.stance import standing
from tests.tasks import keyframe_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")
CONF = sorted(path.stem for path in (ROOT / "conf" / "keyframe").glob("*.yaml"))
PROMPT = "a girl with short blonde hair in a red top, green background"


def settings(architecture: str, folder: str, **more: Any) -> Draw:
    source = ModelSource(kind="embedded", id=folder)
    own = {"width": 32, "height": 48, "num_inference_steps": 2, "guidance_scale": 3.0, "max_tokens": 512, "seed": 5}
    return Draw(
        architecture=architecture,
        sources=dict.fromkeys(RECIPES[architecture].needs(references=False), source),
        prompt=PROMPT,
        **{**own, **more},
    )


def stock(
    architecture: str, folder: Path, cfg: Draw, see: Callable[[Any], None] = lambda pipe: None, **more: Any
) -> np.ndarray:
    """The picture of the stock pipeline, its parts loaded as a script loads them.

    Args:
        see: what a script does with the pipeline before it calls it.
    """
    import diffusers

    recipe = RECIPES[architecture]
    kinds = {name: named(kind) for name, kind in recipe.classes.items()}
    floats = {name: {"torch_dtype": torch.float32} if hasattr(kind, "forward") else {} for name, kind in kinds.items()}
    parts = {name: kind.from_pretrained(str(folder / name), **floats[name]) for name, kind in kinds.items()}
    for one in parts.values():
        if isinstance(one, torch.nn.Module):
            one.eval().requires_grad_(False)  # whether it wants a gradient decides which product PyTorch takes
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    absent = {"safety_checker": None, "feature_extractor": None} if architecture in ("sd15", "sprite") else {}
    pipe = named(recipe.pipeline)(**parts, **absent, scheduler=scheduler, **recipe.init)
    pipe.set_progress_bar_config(disable=True)
    see(pipe)
    own = {"width": cfg.width, "height": cfg.height, "num_inference_steps": cfg.num_inference_steps}
    generator = torch.Generator().manual_seed(cfg.seed)
    return np.asarray(pipe(prompt=cfg.prompt, **own, **more, generator=generator, output_type="np").images[0])


CALLS: dict[str, dict[str, Any]] = {
    "sd15": {"guidance_scale": 3.0, "negative_prompt": "dull"},
    "sprite": {"guidance_scale": 3.0, "negative_prompt": "dull"},
    "sdxl": {"guidance_scale": 3.0, "negative_prompt": "dull"},
    "flux": {"guidance_scale": 3.0},
    "flux2_klein": {"guidance_scale": 3.0},
    "z_image": {"guidance_scale": 3.0, "negative_prompt": "dull"},
    "qwen_image": {"true_cfg_scale": 3.0, "negative_prompt": "dull"},
    "qwen_image_edit": {"true_cfg_scale": 3.0, "negative_prompt": "dull"},
}
NEEDS_PICTURES = {"qwen_image_edit"}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    embedded = ROOT / "data" / "models" / "sprite"
    (folder / "sd15").symlink_to(embedded)
    shutil.copytree(embedded, folder / "sprite")
    (folder / "sprite" / "controlnet_openpose").rename(folder / "sprite" / "controlnet")
    for name in tiny.MAKES:
        tiny.write(name, folder / name)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit looks at its pictures at a megapixel each, whatever the size of its networks."""
    module = importlib.import_module("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus")
    monkeypatch.setattr(module, "CONDITION_IMAGE_SIZE", 64 * 64)
    monkeypatch.setattr(module, "VAE_IMAGE_SIZE", 32 * 32)


@pytest.fixture(autouse=True)
def rooted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "families" in request.fixturenames:
        monkeypatch.setenv("ROTOSCOPE_MODELS", str(request.getfixturevalue("families")))


def test_every_painter_is_a_case_here_and_a_row_of_the_catalogue():
    assert {*CALLS, OWN} == {*RECIPES, OWN} == set(Painter.architectures())


@pytest.mark.parametrize("architecture", CALLS)
def test_the_op_gives_what_the_stock_pipeline_gives(architecture: str, families: Path, store: Store):
    cfg = settings(architecture, architecture, negative_prompt="dull")
    ctx, given, shown = Context(store), {}, {}
    if architecture in NEEDS_PICTURES:
        given, pictures = references(store)
        shown = {"image": pictures}
    if architecture == "sprite":
        shown = {"image": Image.fromarray(draw_poses([standing(32, 48)], 32, 48))}
    clip = Clip.open(store, get("keyframe", "draw").fn(cfg, given, ctx))
    assert (clip.count, clip.width, clip.height) == (1, 32, 48)
    expected = eight_bit(stock(architecture, families / architecture, cfg, **CALLS[architecture], **shown))
    assert np.array_equal(clip.frame(0), expected)
    assert expected.std() > 1  # a picture, and not one colour
    assert ctx.facts["consistency"] == ("2 reference pictures" if given else "words and seed")
    other = get("keyframe", "draw").fn(cfg.model_copy(update={"seed": 6}), given, Context(store))
    assert other != clip.digest


def test_the_embedded_family_reads_the_words_that_it_knows_and_how_near_the_camera_is(families: Path, store: Store):
    one = painter("sprite")

    def drawn(prompt: str) -> tuple[str, str]:
        cfg = drawing(one, Drawing(num_inference_steps=1), prompt=prompt, width=64, height=64, seed=1, dtype="float32",
                      attention="auto")  # fmt: skip
        return cfg.prompt, cfg.model_dump_json()

    assert drawn(PROMPT)[0] == PROMPT
    lantern, lamp = (
        drawn(f"a girl with short blonde hair in a red top finds a {it}, green background")
        for it in ("lantern", "lamp")
    )
    assert lantern == lamp == drawn(PROMPT)  # what is not read is in no key
    assert drawn(f"A wide shot of {PROMPT}")[0] == f"{PROMPT}, wide shot"
    long = "a girl in a red top " + "walks past old harbour walls where fishermen mend nets " * 12
    assert drawn(long)[0] == "a girl in a red top"
    cfg = settings("sprite", "sprite", width=64, height=64)
    near, far = (
        get("keyframe", "draw").fn(cfg.model_copy(update={"prompt": f"{PROMPT}, {how} shot"}), {}, Context(store))
        for how in ("close", "wide")
    )
    assert near != far


def references(store: Store) -> tuple[dict[str, str], list[Image.Image]]:
    """Two reference pictures, as the op is given them and as a pipeline is."""
    found, pictures = {}, []
    for number in range(2):
        pixels = np.random.RandomState(number).randint(0, 255, (64, 64, 3), np.uint8)
        with ClipWriter(store, "rgb", width=64, height=64, time_base=Fraction(1)) as writer:
            writer.add(pixels, 0)
        found[f"reference_{number}"] = writer.digest
        pictures.append(Image.fromarray(pixels))
    return found, pictures


def test_a_picture_smaller_than_a_painter_was_trained_at_is_painted_there_and_made_smaller(
    families: Path, store: Store
):
    advised = {"sizes": [{"width": 64, "height": 96}, {"width": 96, "height": 144}]}
    one = painter("sprite").model_copy(update={"advice": Advice.model_validate(advised)})
    sizes = {(32, 48): (64, 96), (64, 96): None, (80, 120): None, (96, 96): None, (48, 48): None}
    for asked, expected in sizes.items():
        found = painted_size(one, *asked)
        assert (found and (found.width, found.height)) == expected, asked
    check_size(one, 32, 48, "film")
    large = settings("sd15", "sd15", width=64, height=96)
    small = settings("sd15", "sd15", painted=Size(width=64, height=96))
    made = [Clip.open(store, get("keyframe", "draw").fn(cfg, {}, Context(store))).frame(0) for cfg in (large, small)]
    assert made[1].shape == (48, 32, 3)
    assert np.array_equal(made[1], np.asarray(Image.fromarray(made[0]).resize((32, 48), Image.Resampling.LANCZOS)))


def test_reference_pictures_reach_the_pipeline(families: Path, store: Store):
    given, pictures = references(store)
    cfg, ctx = settings("flux2_klein", "flux2_klein"), Context(store)
    made = Clip.open(store, get("keyframe", "draw").fn(cfg, given, ctx)).frame(0)
    expected = stock("flux2_klein", families / "flux2_klein", cfg, guidance_scale=3.0, image=pictures)
    assert np.array_equal(made, eight_bit(expected))
    assert not np.array_equal(made, Clip.open(store, get("keyframe", "draw").fn(cfg, {}, ctx)).frame(0))


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_an_ip_adapter_shows_reference_pictures_as_the_stock_pipeline_does(
    architecture: str, families: Path, store: Store, tmp_path: Path
):
    file, seeing = tiny.write_ip_adapter(families / architecture / "unet", tmp_path)
    given, pictures = references(store)
    bare = settings(architecture, architecture)
    sources = {
        "ip_adapter": ModelSource(kind="file", id=str(file)),
        "image_encoder": ModelSource(kind="embedded", id=f"{architecture}_seeing"),
    }
    (families / f"{architecture}_seeing").symlink_to(seeing)
    adapted = bare.model_copy(update={"sources": {**bare.sources, **sources}, "reference_scale": 0.7})
    draw = get("keyframe", "draw").fn
    plain, ctx = draw(bare, {}, Context(store)), Context(store)
    made = Clip.open(store, draw(adapted, given, ctx)).frame(0)
    assert ctx.facts["consistency"] == "2 reference pictures by IP-Adapter, 0.7"

    def see(pipe: Any) -> None:
        from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

        eyes = CLIPImageProcessor(size=32, crop_size=32)
        pipe.register_modules(
            image_encoder=CLIPVisionModelWithProjection.from_pretrained(seeing).eval(), feature_extractor=eyes
        )
        pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name)
        pipe.set_ip_adapter_scale(0.7)

    more = {"guidance_scale": 3.0, "negative_prompt": "", "ip_adapter_image": [pictures]}
    assert np.array_equal(made, eight_bit(stock(architecture, families / architecture, bare, see=see, **more)))
    assert draw(bare, {}, Context(store)) == plain  # a UNet without an adapter stays without one
    weak = Clip.open(store, draw(adapted.model_copy(update={"reference_scale": 0.2}), given, Context(store))).frame(0)
    assert not np.array_equal(weak, made)
    other = dict(zip(given, reversed(given.values()), strict=True))
    assert draw(adapted, {"reference_0": other["reference_0"]}, Context(store)) != draw(
        adapted, {"reference_0": given["reference_0"]}, Context(store)
    )


def test_a_file_that_is_no_ip_adapter_is_told(families: Path, store: Store, tmp_path: Path):
    from safetensors.torch import save_file

    _, seeing = tiny.write_ip_adapter(families / "sd15" / "unet", tmp_path)
    save_file({"a": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    (families / "seeing").symlink_to(seeing)
    bare = settings("sd15", "sd15")
    sources = {
        "ip_adapter": ModelSource(kind="file", id=str(tmp_path / "other.safetensors")),
        "image_encoder": ModelSource(kind="embedded", id="seeing"),
    }
    wrong = bare.model_copy(update={"sources": {**bare.sources, **sources}, "reference_scale": 0.7})
    with pytest.raises(UserError, match=r"other\.safetensors.*not an IP-Adapter for this model"):
        get("keyframe", "draw").fn(wrong, references(store)[0], Context(store))


def test_a_prompt_that_is_too_long_is_told_before_networks_load(families: Path, store: Store):
    with pytest.raises(UserError, match=r"prompt: \d+ tokens, 77 are the most"):
        long = settings("sd15", "sd15", max_tokens=77).model_copy(update={"prompt": "a red top and " * 40})
        get("keyframe", "draw").fn(long, {}, Context(store))


def test_pictures_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="not numbers"):
        eight_bit(np.full((2, 2, 3), np.nan))


@pytest.mark.parametrize("name", CONF)
def test_every_file_of_the_registry_is_whole(name: str):
    one = painter(name)
    assert one.name == name
    assert one.title
    assert one.license
    if one.draws:
        assert one.sources_of(RECIPES[one.architecture].needs(references=one.limits.references > 0))
        assert one.advice.sizes
        assert one.memory_gb
    assert one.gated == (name == "flux")


BILLIONS = {
    "flux": ("diffusers:FluxTransformer2DModel", {"guidance_embeds": True}, 11.9),
    "flux2_klein": (
        "diffusers:Flux2Transformer2DModel",
        {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 7680,
         "guidance_embeds": False},
        3.9,
    ),
    "z_image": ("diffusers:ZImageTransformer2DModel", {}, 6.15),
    "qwen_image": ("diffusers:QwenImageTransformer2DModel", {}, 20.4),
}  # fmt: skip
"""Class and settings of the full-size denoisers, where they are not the class's own, and their parameters."""


@pytest.mark.parametrize("name", BILLIONS)
def test_full_size_denoisers_are_as_large_as_said_and_fit_the_memory_said(name: str):
    kind, config, billions = BILLIONS[name]
    with torch.device("meta"):
        model = named(kind)(**config)
    count = sum(one.numel() for one in model.parameters()) / 1e9
    assert count == pytest.approx(billions, rel=0.02)
    assert 2 * count <= (painter(name).memory_gb or 0)  # bytes of bfloat16, with the denoiser alone on the device


def test_a_sheet_shows_every_picture(store: Store):
    given = {}
    for number in range(11):
        with ClipWriter(store, "rgb", width=64, height=32, time_base=Fraction(1)) as writer:
            writer.add(np.full((32, 64, 3), 20 * number, np.uint8), 0)
        given[f"picture_{number}"] = writer.digest
    labels = [f"shot {number}" for number in range(11)]
    clip = Clip.open(store, get("keyframe", "sheet").fn(Sheet(labels=labels), given, Context(store)))
    assert [int(clip.frame(number).mean()) for number in range(11)] == [20 * number for number in range(11)]
    page = np.asarray(Image.open(io.BytesIO(drawn(clip, labels))))
    assert {20 * number for number in range(1, 11)} <= set(np.unique(page[..., 0]))
