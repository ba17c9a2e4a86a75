"""Character metrics: the probe against the prompt, and CLIP and DINO as their authors use them.

The hub's networks are run with random weights in the files that the hub serves: loading, arithmetic and order are
tested, what trained weights would say is not.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from reel.compute import Compute
from reel.errors import UserError
from reel.measure import load
from reel.op import Context, get
from reel.store import Store
from tasks.measure.figure import known as known_of
from tasks.sprite.asked import asked
from tasks.sprite.attributes import CHOICES, random_attributes
from tasks.sprite.captions import FACE, plain_caption, random_caption, random_empty
from tasks.weights.files import ModelAbsent
from tests.tasks import measure_clips
from tests.tasks.measure_clips import PINK, PROMPT, measured
from tests.tasks.preprocess_people import store_clip


def test_every_caption_of_the_family_is_read_back():
    rng = np.random.default_rng(1)
    for _ in range(500):
        attributes = random_attributes(rng)
        caption = random_caption(attributes, rng)
        stated = {name: CHOICES[name][i] for name, i in zip(CHOICES, caption.labels, strict=True) if i >= 0}
        assert asked(caption.text) == stated, caption.text
    assert not any(asked(random_empty(rng).text) for _ in range(100))


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        (PROMPT, dict(zip(CHOICES, dataclasses.astuple(PINK), strict=True)) | dict.fromkeys(("skin", *FACE))),
        ("Long-haired warrior in a RED t-shirt", {"hair_length": "long", "top_color": "red"}),
        ("dark blue jeans, grey background", {"bottom": "trousers", "bottom_color": "blue", "background": "gray"}),
        ("a red top, a blue top, a skirt", {"bottom": "skirt"}),  # two tops: no telling
        ("a red dress, closed eyes", {"bottom": "dress", "top_color": "red", "bottom_color": "red", "eyes": "closed"}),
        ("a red top and a blue dress", {"bottom": "dress", "bottom_color": "blue"}),
        ("long ginger hair, open mouth", {"hair_length": "long", "hair_color": "red", "mouth": "open"}),
        ("red, masterpiece, hair", {}),
        ("", {}),
    ],
)
def test_what_a_prompt_asks_for(prompt: str, wanted: dict[str, str | None]):
    assert asked(prompt) == {name: value for name, value in wanted.items() if value is not None}


def test_what_a_family_does_not_know_is_not_asked_of_it():
    known = {"hair_color": ("black", "blonde"), "bottom": ("skirt",)}
    assert asked("long red hair, a blue dress", known) == {}
    assert asked("black hair, a blue skirt", known) == {"hair_color": "black", "bottom": "skirt"}


@pytest.fixture(scope="module")
def module_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("measure") / "store")


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return measure_clips.dance()


def test_the_probe_sees_what_was_drawn_and_misses_what_was_not(module_store, people):
    drawn = store_clip(module_store, measure_clips.drawn(people))
    right = measured(module_store, "probe_attributes", {"prompt": PROMPT}, frames=drawn)
    assert right.values["share"] > 0.9
    assert right.values["probability"] > 0.8
    assert right.values.keys() == {"share", "probability", "kept", *CHOICES} - {"skin", *FACE}
    assert right.notes["asked"]["hair_color"] == "pink"
    wrong = measured(
        module_store, "probe_attributes", {"prompt": plain_caption(PINK.opposite(), known_of().choices)}, frames=drawn
    )
    assert wrong.values["hair_length"] < 0.2
    assert wrong.values["bottom"] < 0.2
    assert wrong.values["background"] > 0.9
    assert 0.5 < wrong.values["share"] < right.values["share"]


def test_a_figure_that_changes_half_way_is_half_right(module_store, people):
    other = dataclasses.replace(PINK, hair_color="black")
    half = len(people) // 2
    frames = measure_clips.drawn(people[:half]) + measure_clips.drawn(people[half:], other)
    found = measured(module_store, "probe_attributes", {"prompt": "pink hair"}, frames=store_clip(module_store, frames))
    assert found.values["share"] == pytest.approx(0.5, abs=0.15)
    assert np.mean(found.frames["share"][:half]) > 0.8 > 0.2 > np.mean(found.frames["share"][half:])


def test_what_the_prompt_leaves_open_is_to_stay_one_thing(module_store, people):
    """Of no skin a prompt may speak, but a figure whose arms turn brown half way is no good one."""
    changed = dataclasses.replace(PINK, skin="light" if PINK.skin == "dark" else "dark")
    steady = measured(module_store, "probe_attributes", {"prompt": "pink hair"},
                      frames=store_clip(module_store, measure_clips.drawn(people)))  # fmt: skip
    half = len(people) // 2
    frames = measure_clips.drawn(people[:half]) + measure_clips.drawn(people[half:], changed)
    turned = measured(
        module_store, "probe_attributes", {"prompt": "pink hair"}, frames=store_clip(module_store, frames)
    )
    assert turned.values["probability"] == pytest.approx(steady.values["probability"], abs=0.05)
    assert turned.values["kept"] < steady.values["kept"] - 0.04


def test_a_prompt_without_the_familys_words_asks_for_nothing(module_store, people):
    frames = store_clip(module_store, measure_clips.drawn(people[:2]))
    found = measured(module_store, "probe_attributes", {"prompt": "a warrior"}, frames=frames)
    assert found.values == {}
    assert found.missing.startswith("the prompt names none of hair length, ")


def write_clip(folder, size: int = 32) -> None:
    """A CLIP of the real classes at toy size, in the files that its hub repository has."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    torch.manual_seed(0)
    letters = [*"abcdefghijklmnopqrstuvwxyz,"]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(
        **small, vocab_size=len(words), max_position_embeddings=12, projection_dim=16,
        bos_token_id=words.index("<|startoftext|>"), eos_token_id=words.index("<|endoftext|>"), pad_token_id=0,
    )  # fmt: skip
    vision = CLIPVisionConfig(**small, image_size=size, patch_size=8, projection_dim=16)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size}).save_pretrained(
        folder
    )
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def write_dino(folder) -> None:
    """A ViT of timm's at toy size with the files of its hub repository."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    shape = {"img_size": 224, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
    network = timm.create_model("vit_base_patch16_224", num_classes=0, **shape)
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {"architecture": "vit_base_patch16_224", "num_classes": 0, "model_args": shape, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(config))


CLIP_ID = "openai/clip-vit-large-patch14"
DINO_ID = "timm/vit_base_patch16_224.dino"


def reference_run(store: Store, clip: str, path) -> float:
    op = get("measure", "clip_image")
    ctx = Context(store, Compute(device="cpu"), files={"reference": path})
    return load(store.get(op.fn(op.config(), {"frames": clip, "reference": "0"}, ctx))).values["mean"]


def test_clip_image_is_one_for_the_picture_itself_and_less_for_others(hub, store, people, tmp_path):
    from PIL import Image

    hub(CLIP_ID, write_clip)
    frames = measure_clips.drawn(people)
    Image.fromarray(frames[0]).save(tmp_path / "me.png")
    clips = measure_clips.made(frames)
    frozen = reference_run(store, store_clip(store, clips["frozen"]), tmp_path / "me.png")
    moving = reference_run(store, store_clip(store, frames), tmp_path / "me.png")
    recoloured = reference_run(store, store_clip(store, clips["recoloured"]), tmp_path / "me.png")
    assert frozen == pytest.approx(1)
    assert frozen > moving > recoloured
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(UserError, match=r"reference: .*no.png cannot be read as a picture"):
        reference_run(store, store_clip(store, frames[:1]), tmp_path / "no.png")


def test_clip_text_is_the_cosine_that_transformers_gives(hub, store, people):
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    folder = hub(CLIP_ID, write_clip)
    frames = measure_clips.drawn(people)[:3]
    found = measured(store, "clip_text", {"prompt": "red hair"}, frames=store_clip(store, frames))
    model = CLIPModel.from_pretrained(folder).eval()
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(frames, return_tensors="pt")
    tokens = CLIPTokenizer.from_pretrained(folder)("red hair", return_tensors="pt")
    with torch.no_grad():
        out = model(**tokens, **pixels)
    assert found.frames["mean"] == pytest.approx((out.image_embeds @ out.text_embeds[0]).tolist(), abs=1e-5)
    assert found.values["mean"] == pytest.approx(np.mean(found.frames["mean"]), abs=1e-5)
    assert found.notes == {"model": CLIP_ID, "prompt_cut": False}
    long = measured(store, "clip_text", {"prompt": "a long prompt, it goes on"}, frames=store_clip(store, frames))
    assert long.notes["prompt_cut"]
    assert abs(long.values["mean"]) <= 1


def test_subject_consistency_is_vbenchs_formula(hub, store, people):
    """Against the formula written out, on features from timm itself."""
    import timm
    import torch
    from torch.nn.functional import cosine_similarity, interpolate

    folder = hub(DINO_ID, write_dino)
    frames = measure_clips.drawn(people)
    found = {
        name: measured(store, "subject_consistency", frames=store_clip(store, clip))
        for name, clip in measure_clips.made(frames).items()
        if name in ("true", "frozen", "recoloured")
    }
    network = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
    pixels = interpolate(pixels, size=(224, 224), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        seen = network((pixels - mean) / std)
    last, first = (cosine_similarity(seen[1:], other).clamp(min=0) for other in (seen[:-1], seen[:1]))
    assert found["true"].frames["mean"][1:] == pytest.approx(((first + last) / 2).tolist(), abs=1e-4)
    assert found["frozen"].values["mean"] == pytest.approx(1)
    assert found["frozen"].values["mean"] > found["true"].values["mean"] > found["recoloured"].values["mean"]
    wide = store_clip(store, [np.ascontiguousarray(frame[:90]) for frame in frames[:2]])  # no multiple of the patch
    assert 0 <= measured(store, "subject_consistency", frames=wide).values["mean"] <= 1


@pytest.mark.parametrize("name", ["clip_text", "clip_image", "subject_consistency"])
def test_absent_weights_name_the_model_and_another_way(name: str, hub, store, tmp_path, monkeypatch):
    from PIL import Image

    from tasks.weights import files as weights_files

    monkeypatch.setattr(weights_files.time, "sleep", lambda seconds: None)
    Image.new("RGB", (8, 8)).save(tmp_path / "me.png")
    op = get("measure", name)
    cfg = op.config(**({"prompt": "x"} if "prompt" in op.config.model_fields else {}))
    (source,) = op.models(cfg)
    frames = store_clip(store, measure_clips.panned(0, 2))
    ctx = Context(store, files={"reference": tmp_path / "me.png"})
    with pytest.raises(ModelAbsent) as caught:
        op.fn(cfg, {"frames": frames, "reference": "0"}, ctx)
    assert source.id in str(caught.value)
    assert "measure=[...]" in str(caught.value) or "measure=[..." in str(caught.value)
