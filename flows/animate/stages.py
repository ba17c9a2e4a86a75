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

    embed: Embed
    encode: Encode
    denoise: Denoise
    decode: Decode
    sound: Sound | None = None
    small: Denoise | None = None
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
        embeddings = call(get("animate", "embed"), self.passes.embed, {}, ctx).digest
        given = {"embeddings": embeddings, **self._keys([one.extract for one in self.held], ctx)}
        if self.passes.small is not None and self.passes.upsample is not None:
            small = [one.small for one in self.held if one.small is not None]
            first = {"embeddings": embeddings, **self._keys(small, ctx)}
            drafted = call(get("animate", "denoise"), self.passes.small, first, ctx).digest
            larger = call(get("animate", "upsample"), self.passes.upsample, {"denoised": drafted}, ctx)
            given["latents"] = larger.digest
        denoised = call(get("animate", "denoise"), self.passes.denoise, given, ctx)
        decoded = call(get("animate", "decode"), self.passes.decode, {"denoised": denoised.digest, **given}, ctx)
        pictures = {name: digest for name, digest in given.items() if name.startswith("frames_")}
        beside = call(get("animate", "shown"), self.shown, pictures, ctx).digest
        sound = {}
        if self.passes.sound is not None:
            made = call(get("animate", "sound"), self.passes.sound, {"denoised": denoised.digest, **given}, ctx)
            sound["sound"] = made.digest
        return Made(decoded.digest, maps={"map_pictures": beside}, sound=sound.get("sound", ""), key=denoised.key)

    def _keys(self, extracts: Sequence[Extract], ctx: Context) -> dict[str, str]:
        """Pictures at a size, and what the VAE makes of each."""
        found = {}
        for index, (one, extract) in enumerate(zip(self.held, extracts, strict=True)):
            own = replace(ctx, files={"source": one.source.path})
            frames = call(get("extract", "extract"), extract, {"source": one.source.digest}, own).digest
            if one.pick is not None:
                frames = call(get("pick", "pick"), one.pick, {"frames": frames}, ctx).digest
            found[f"frames_{index}"] = frames
            encoded = call(get("animate", "encode"), self.passes.encode, {"frames": frames}, ctx)
            found[f"encoded_{index}"] = encoded.digest
        return found

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        key = {"render": made.key} if self.embed_facts else {}
        settings = self.assembly.model_copy(update={"metadata": {**key, **self.assembly.metadata}})
        given = {"frames": made.frames, **made.maps, **({"sound": made.sound} if made.sound else {})}
        given |= self.finish.inputs(made.frames, ctx)
        return call(get("assemble", "assemble"), settings, given, ctx).digest
