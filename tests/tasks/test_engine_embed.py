"""Embeddings: the stock numbers without emphasis, emphasis that moves them, texts of any length, all padded alike."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from reel.emphasis import Phrase, parse_emphasis
from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.stylize.engine.embed import encode_sdxl, encode_texts, pieces, report
from tasks.stylize.models.text import add_inversions
from tests.tasks.tiny_family import LIMIT, _text

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory):
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("text")
    _text(folder)
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    return CLIPTokenizer.from_pretrained(folder / "tokenizer"), encoder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red coat", [("a red coat", 1.0)]),
        ("a (red:1.5) coat", [("a ", 1.0), ("red", 1.5), (" coat", 1.0)]),
        ("((x))", [("x", 1.1 * 1.1)]),
        ("[x]", [("x", 1 / 1.1)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
        (r"a \(red:1.5\) coat", [("a (red:1.5) coat", 1.0)]),
        ("12:30, x", [("12:30, x", 1.0)]),
        ("", []),
    ],
)
def test_emphasis_is_read(text, expected):
    found = parse_emphasis(text)
    assert [p.text for p in found] == [t for t, _ in expected]
    assert [p.weight for p in found] == pytest.approx([w for _, w in expected])
    assert all(isinstance(p, Phrase) for p in found)


@pytest.mark.parametrize("text", ["(a", "a)", "[a)", "(a]", "((a:1.2)"])
def test_a_bracket_without_partner_is_refused_with_its_place(text):
    with pytest.raises(UserError, match=r"at character \d"):
        parse_emphasis(text)


@torch.no_grad()
def test_without_emphasis_the_encoders_very_numbers(tools):
    tokenizer, encoder = tools
    ids = tokenizer("a red coat", padding="max_length", max_length=LIMIT, return_tensors="pt").input_ids
    assert torch.equal(encode_texts(tokenizer, encoder, ["a red coat"]), encoder(ids)[0])
    states = encoder(ids, output_hidden_states=True).hidden_states
    expected = encoder.final_layer_norm(states[-2])
    assert torch.equal(encode_texts(tokenizer, encoder, ["a red coat"], clip_skip=1), expected)


@torch.no_grad()
def test_emphasis_moves_only_its_tokens_and_by_its_weight(tools):
    tokenizer, encoder = tools
    plain, strong, none = encode_texts(tokenizer, encoder, ["a red coat", "a (red:1.5) coat", "a (red:0) coat"])
    empty = encode_texts(tokenizer, encoder, [""])[0]
    changed = (strong != plain).any(dim=-1).nonzero().flatten().tolist()
    assert changed == [2, 3, 4], "a, then r e d: the toy vocabulary spells"
    torch.testing.assert_close(strong[changed] - empty[changed], 1.5 * (plain[changed] - empty[changed]))
    torch.testing.assert_close(none[changed], empty[changed])


@torch.no_grad()
def test_long_texts_are_cut_into_pieces_and_all_padded_alike(tools):
    tokenizer, encoder = tools
    long = "abcdefgh " * 6  # 48 letters at 22 to a piece
    cut = pieces(tokenizer, long)
    assert [len(piece) for piece in cut] == [22, 22, 4]
    found = encode_texts(tokenizer, encoder, [long, "short"])
    assert found.shape[:2] == (2, 3 * LIMIT)
    alone = encode_texts(tokenizer, encoder, ["short"])
    assert torch.equal(found[1, :LIMIT], alone[0])
    assert torch.equal(found[1, LIMIT : 2 * LIMIT], encode_texts(tokenizer, encoder, [""])[0])


def test_the_cut_falls_after_a_late_comma(tools):
    tokenizer, _ = tools
    text = "a" * 19 + "," + "b" * 10  # the comma is token 20 of 22
    assert [len(piece) for piece in pieces(tokenizer, text)] == [20, 10]
    early = "a" * 5 + "," + "b" * 20
    assert [len(piece) for piece in pieces(tokenizer, early)] == [22, 4]


def test_no_text_at_all_is_one_empty_piece(tools):
    assert pieces(tools[0], "") == [[]]


def test_absurdly_long_texts_are_refused(tools):
    with pytest.raises(UserError, match="the most"):
        pieces(tools[0], "abcdefgh" * 60)


@torch.no_grad()
def test_sdxls_two_encoders_side_by_side(tools):
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    tokenizer, encoder = tools
    config = CLIPTextConfig(
        **{**encoder.config.to_dict(), "projection_dim": 6, "hidden_size": 8, "num_hidden_layers": 2}
    )
    second = CLIPTextModelWithProjection(config).eval()
    text, pooled = encode_sdxl([tokenizer, tokenizer], [encoder, second], ["a red coat", "x"])
    ids = tokenizer("a red coat", padding="max_length", max_length=LIMIT, return_tensors="pt").input_ids
    outputs = [model(ids, output_hidden_states=True) for model in (encoder, second)]
    expected = torch.cat([output.hidden_states[-2][0] for output in outputs], dim=-1)
    assert torch.equal(text[0], expected)
    assert torch.equal(pooled[0], outputs[1].text_embeds[0])
    assert text.shape == (2, LIMIT, 24)


def inversion(folder: Path, **tensors):
    from safetensors.torch import save_file

    save_file(tensors, str(folder / "x.safetensors"))
    return ModelSource(kind="file", id=str(folder / "x.safetensors"))


@torch.no_grad()
@pytest.mark.parametrize("key", ["emb_params", "<cat-toy>"])
def test_a_textual_inversion_puts_its_vectors_where_its_name_stands(tools, tmp_path, key):
    tokenizer, encoder = copy.deepcopy(tools)
    learned = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    add_inversions(tokenizer, encoder, {"My-cat": inversion(tmp_path, **{key: learned})})
    plain = encode_texts(*tools, ["a red coat"])
    assert torch.equal(encode_texts(tokenizer, encoder, ["a red coat"]), plain), "other words stay what they were"
    (piece,) = pieces(tokenizer, "a (embedding:My-cat:1.5), b")
    ids = [token for token, _ in piece]
    assert torch.equal(encoder.get_input_embeddings().weight[ids[1:3]], learned)
    assert [weight for _, weight in piece] == [1, 1.5, 1.5, 1, 1]
    assert pieces(tokenizer, "a <b")[0][0][0] == ids[0]
    assert report(tokenizer, ["a embedding:My-cat"]) == [3]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"emb_params": torch.zeros(2, 8)}, "vectors of 8 numbers, this family's text encoder has 16"),
        ({"clip_l": torch.zeros(2, 16), "clip_g": torch.zeros(2, 20)}, "clip_g, clip_l"),
    ],
)
def test_a_textual_inversion_of_another_family_is_refused(tools, tmp_path, tensors, message):
    with pytest.raises(UserError, match=message):
        add_inversions(*copy.deepcopy(tools), {"x": inversion(tmp_path, **tensors)})
