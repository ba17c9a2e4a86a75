"""The op `animate.sound`: the latents of a film's sound to a WAV file."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from typing import Any

from reel.errors import UserError
from reel.op import Context, op
from reel.work import Extent, Work, choices
from tasks.animate import parts, stored
from tasks.animate.denoise import call_arguments
from tasks.animate.replay import call
from tasks.animate.replay.seams import PIXELS
from tasks.animate.settings import Sound
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up


def _work(cfg: Sound, given: Mapping[str, Extent], ctx: Context) -> Work:
    return Work({"seconds": cfg.keep}, choices(cfg))


@op(
    "animate",
    "sound",
    version=1,
    config=Sound,
    inputs=("denoised", "embeddings", "frames_*", "encoded_*", "latents"),
    distributions=LIBRARIES,
    models=parts.sources,
    gives="sound",
    work=_work,
)
def sound(cfg: Sound, inputs: Mapping[str, str], ctx: Context) -> str:
    """Sound as long as the film, 16 bit.

    Returns:
        digest of an object of kind ``sound`` with ``sound.wav``; its meta has ``rate`` (Hz) and ``seconds``.
    """
    given = stored.given(cfg.denoise, inputs, ctx)
    end = stored.take_end(ctx.store, inputs["denoised"])
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    arguments = call_arguments(cfg.denoise, given, device)

    def attempt(offload: str) -> tuple[Any, int]:
        voices = {name: parts.loaded(cfg, name, device) for name in recipe.voices}
        made = parts.around(cfg, voices, device, cfg.denoise)
        with placed(list(voices.values()), device, offload), quiet():
            found = call.decode(
                parts.stock_of(recipe), made, arguments, end, given.kept, cfg.denoise.seed, device, unread=(PIXELS,)
            )
        return found[1], int(voices["vocoder"].config.output_sampling_rate)

    waves, rate = retry_offloaded(attempt, device, ctx, "compute.offload=sequential, or assemble.sound=false")
    data, samples = wav(waves[0].float().cpu().numpy(), rate, cfg.keep)
    with ctx.store.draft("sound") as draft:
        draft.add("sound.wav", data)
        return draft.commit(rate=rate, seconds=f"{samples}/{rate}")


def wav(waves: Any, rate: int, seconds: float) -> tuple[bytes, int]:
    """A WAV file of at most so many seconds, and its length in samples.

    Args:
        waves: ``(channels, samples)`` from -1 to 1; what is louder is cut off.
        rate: samples a second.

    Raises:
        UserError: not all of them are numbers.
    """
    import numpy as np

    if not np.isfinite(waves).all():
        raise UserError("the vocoder gave sound that is not numbers", fix="compute.dtype=bfloat16 or float32")
    kept = waves[:, : round(seconds * rate)]
    levels = (np.clip(kept, -1, 1) * 32767).round().astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(len(levels))
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(levels.T.tobytes())
    return file.getvalue(), levels.shape[1]
