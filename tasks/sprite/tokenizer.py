"""A CLIP tokenizer trained on the captions' words: no hub, every caption word is one token, bytes cover the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.sprite.captions import vocabulary
from tasks.sprite.networks import MAX_TOKENS

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

END = "</w>"


def build_tokenizer() -> CLIPTokenizer:
    """Byte-pair merges learned from `captions.vocabulary()`; 77 tokens as every CLIP tokenizer of SD has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained = Tokenizer(models.BPE(end_of_word_suffix=END))
    trained.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=5000, min_frequency=1, end_of_word_suffix=END, initial_alphabet=letters, show_progress=False
    )
    trained.train_from_iterator(vocabulary(), trainer)
    merges = [tuple(merge) for merge in json.loads(trained.to_str())["model"]["merges"]]
    tokens = [*letters, *(letter + END for letter in letters), *("".join(merge) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_TOKENS)
