"""A T5 tokenizer of the captions' words: no hub, every caption word is one token, letters spell the rest."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from tasks.sprite.ltx.captions import vocabulary

if TYPE_CHECKING:
    from transformers import T5Tokenizer

MAX_TOKENS = 128
WORD, LETTER = -2.0, -10.0  # log probabilities: a whole word always beats its letters
SPACE = "▁"  # SentencePiece's mark of a word's beginning


def build_tokenizer() -> T5Tokenizer:
    """Each word of `captions.vocabulary` alone, after a space and with a capital; then single characters.

    Words stand without a leading space as well, so that `push-in` is three tokens and not a row of letters.
    """
    from transformers import T5Tokenizer

    words = [word for word in vocabulary() if word.isalnum() and len(word) > 1]
    pieces = [*(SPACE + word for word in words), *(SPACE + word.capitalize() for word in words), *words]
    characters = [*string.ascii_lowercase, *string.ascii_uppercase, *string.digits, *string.punctuation]
    single = [*characters, *(SPACE + letter for letter in "aA")]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (SPACE, -8.0)]
    vocab += [(piece, WORD) for piece in dict.fromkeys(pieces)]
    vocab += [(piece, LETTER if piece in characters else WORD) for piece in single]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=MAX_TOKENS)
