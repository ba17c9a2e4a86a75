"""The stages of `animate`, which pass digests.

pictures -> extract -> encode ─┐
prompt ──────────────> embed ──┴> denoise -> [upsample -> refine] -> decode -> assemble
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows.animate.keys import Held
from flows.flow import Made, Source
from flows.render.finishing import Finishing
from flows.render.measures import Measures
from reel.config import Config
from reel.op import Context, Op, get
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Sound, Upsample
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.extract import Extract


@dataclass(frozen=True)
class Passes:
    """Settings of the ops: one denoising, or a small one, its enlargement, and the one that refines it."""

    embed: Embed | None
    """None: it reads no prompt."""
    encode: Encode
    denoise: Denoise
    decode: Decode
    sound: Sound | None = None
    small: Denoise | None = None
    small_embed: Embed | None = None
    """Of the texts as the first pass takes them, where one of the two is guided alone; None: ``embed`` is both's."""
    upsample: Upsample | None = None


@dataclass(frozen=True)
class AnimatePlan:
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        held: what the film is held to, in the order of ``passes.denoise.keys``.
        shown: settings of the clip that shows the pictures beside the film.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
    """

    held: Sequence[Held]
    passes: Passes
    shown: ShownKeys
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures

    @property
    def sources(self) -> Mapping[str, Source]:
        return {one.setting: one.source for one in self.held}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        extracts = [each for one in self.held for each in (one.small, one.extract) if each is not None]
        picks = [(get("pick", "pick"), one.pick) for one in self.held if one.pick is not None]
        passes = self.passes
        stages = [
            ("embed", passes.embed),
            ("embed", passes.small_embed),
            ("encode", passes.encode),
            ("denoise", passes.small),
            ("upsample", passes.upsample),
            ("denoise", passes.denoise),
            ("decode", passes.decode),
            ("sound", passes.sound),
            ("shown", self.shown),
        ]
        return [
            *((get("extract", "extract"), each) for each in extracts),
            *picks,
            *((get("animate", name), cfg) for name, cfg in stages if cfg is not None),
            *self.finish.ops,
            (get("assemble", "assemble"), self.assembly),
        ]

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        small = [] if self.passes.small is None else [one.small for one in self.held if one.small is not None]
        extracts = [one.extract for one in self.held]
        seen = self._frames(extracts, ctx) if looks(self.passes.embed) else []
        embeddings = embedded(self.passes.embed, seen, ctx)
        large = seen or self._frames(extracts, ctx)
        made = animated(self.passes, embeddings, large, self._frames(small, ctx), ctx)
        pictures = {f"frames_{index}": digest for index, digest in enumerate(large)}
        beside = call(get("animate", "shown"), self.shown, pictures, ctx).digest
        return replace(made, maps={"map_pictures": beside})

    def _frames(self, extracts: Sequence[Extract], ctx: Context) -> list[str]:
        """The pictures at a size."""
        found = []
        for one, extract in zip(self.held, extracts, strict=False):
            own = replace(ctx, files={"source": one.source.path})
            frames = call(get("extract", "extract"), extract, {"source": one.source.digest}, own).digest
            if one.pick is not None:
                frames = call(get("pick", "pick"), one.pick, {"frames": frames}, ctx).digest
            found.append(frames)
        return found

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        sound = {"sound": made.sound} if made.sound else {}
        return self.finish.film(made, self.assembly, self.embed_facts, ctx, **sound)


def looks(embed: Embed | None) -> bool:
    """Whether the text encoder looks at the pictures."""
    return embed is not None and embed.seen is not None


def embedded(embed: Embed | None, frames: Sequence[str], ctx: Context) -> str:
    """Digest of what the text encoder makes of the film's words; empty where there is none.

    Args:
        frames: digests of the pictures; they count where it looks at them.
    """
    if embed is None:
        return ""
    shown = {f"frames_{index}": digest for index, digest in enumerate(frames)} if looks(embed) else {}
    return call(get("animate", "embed"), embed, shown, ctx).digest


def animated(passes: Passes, embeddings: str, frames: Sequence[str], small: Sequence[str], ctx: Context) -> Made:
    """A film from pictures and words: encoded, denoised and decoded.

    Args:
        embeddings: what `embedded` gives.
        frames: digests of the pictures, in the order of ``passes.denoise.keys``.
        small: the same at half the size, for a first pass.
    """
    words = {"embeddings": embeddings} if embeddings else {}
    begun = {**words, "embeddings": embedded(passes.small_embed, small, ctx)} if passes.small_embed else words
    given = {**words, **_keys(passes, frames, ctx)}
    if passes.small is not None and passes.upsample is not None:
        first = {**begun, **_keys(passes, small, ctx)}
        drafted = call(get("animate", "denoise"), passes.small, first, ctx).digest
        given["latents"] = call(get("animate", "upsample"), passes.upsample, {"denoised": drafted}, ctx).digest
    denoised = call(get("animate", "denoise"), passes.denoise, given, ctx)
    after = {"denoised": denoised.digest, **given}
    decoded = call(get("animate", "decode"), passes.decode, after, ctx).digest
    sound = "" if passes.sound is None else call(get("animate", "sound"), passes.sound, after, ctx).digest
    return Made(decoded, sound=sound, key=denoised.key)


def _keys(passes: Passes, frames: Sequence[str], ctx: Context) -> dict[str, str]:
    """Pictures, and what the VAE makes of each, or of all of them at once."""
    shown = {f"frames_{index}": digest for index, digest in enumerate(frames)}
    together = passes.encode.keys is not None
    sets = [shown] if together else [{"frames_0": digest} for digest in frames]
    encoded = [call(get("animate", "encode"), passes.encode, given, ctx).digest for given in sets]
    return shown | {f"encoded_{index}": digest for index, digest in enumerate(encoded)}
