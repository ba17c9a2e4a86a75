"""Settings of the second half's training, `sprite_ltx`; values with comments stand in conf/train_sprite.yaml."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from pydantic import Field

from reel.config import Config, LocalPath
from reel.errors import UserError
from tasks.sprite.stage_settings import StageSettings

LTX_STAGES = ("ltx_data", "ltx_vae", "ltx_latents", "ltx_text", "ltx_transformer", "ltx_few", "ltx_gates")
"""Stages of the second half in the order in which they build on one another."""
MUON = 256
FOLDED = (4, 2, 8, 8)  # how many numbers each block of the encoder folds into one place


class NetworkSettings(Config):
    """Widths of the networks; their geometry is no setting."""

    latent_channels: int = Field(ge=4)
    """Numbers of a latent cell of 8 frames and 16 x 16 px."""
    encoder: list[int] = Field(min_length=5, max_length=5)
    """Channels of the VAE's encoder at 2 px, 4 px, the same at half the frame rate, 8 px and 16 px."""
    encoder_layers: list[int] = Field(min_length=5, max_length=5)
    """Residual blocks at each of them; 0 leaves a place out."""
    decoder: list[int] = Field(min_length=4, max_length=4)
    """Channels of the decoder, the finest first; multiples of 8."""
    decoder_layers: list[int] = Field(min_length=5, max_length=5)
    """Residual blocks of the decoder, the finest first, and in the middle."""
    decoder_factors: list[int] = Field(default=[1, 1, 1, 1], min_length=4, max_length=4)
    """What each block of the decoder divides its channels by as it doubles the sides, the finest first: they are then
    the next block's, so that nothing normalises the way from one to the other."""
    layers: int = Field(ge=1)
    """Transformer blocks."""
    heads: int = Field(ge=1)
    """Attention heads."""
    head_width: int = Field(ge=2, multiple_of=2)
    """Channels of a head; times the heads it is the transformer's width."""
    text_width: int = Field(ge=4, multiple_of=4)
    """Width of the T5 encoder."""
    text_layers: int = Field(ge=1)
    """Layers of the T5 encoder."""


class LtxVaeSettings(StageSettings):
    """The video autoencoder's stage.

    `batch` counts crops of clips: a step of whole clips has a fourth as many, one of whole pictures twice.
    """

    linear: int = Field(default=160, ge=16)
    """Drawn clips by which least squares find the weights that training begins with."""

    crop: int = Field(default=64, multiple_of=32, ge=32, le=128)
    """Side of the crops (px)."""
    pictures: float = Field(default=0.2, ge=0, le=1)
    """Share of steps that have single whole pictures instead of clips: what a key picture is."""
    textures: float = Field(default=0.08, ge=0, le=1)
    """Share of samples before (or of) photo-like textures, so that real pictures encode as well."""
    whole_from: float = Field(default=0.3, ge=0, le=1)
    """Share of the stage after which whole clips take the place of crops."""
    muon: int = Field(default=MUON, ge=0)
    """Matrices whose shorter side is at most this are trained with Muon, the others with AdamW."""
    start: LocalPath | None = None
    """A folder with a `vae` to go on from instead of from nothing."""


class LatentSettings(Config):
    """What is encoded once for the transformer's stages."""

    stills: int = Field(default=3, ge=1)
    """Single frames of each clip that are encoded as pictures: the last one and others by chance."""


class FlowSettings(StageSettings):
    """The transformer's stage."""

    shift: float = Field(default=2.5, gt=0)
    """Emphasis of high noise levels: s u / (1 + (s - 1) u) for uniform u, as the schedule spends its steps there."""
    muon: int = Field(default=MUON, ge=0)
    """Matrices whose shorter side is at most this are trained with Muon, the others with AdamW."""
    last_picture: float = Field(default=0.35, ge=0, le=1)
    """Share of steps with a further picture at a frame of the clip, in half of them the last one."""
    emphasis: float = Field(default=0.0, ge=0)
    """How much more a cell weighs that changes over a clip: an arm is a few cells of 64."""
    cells: float = Field(default=1.0, gt=0, le=1)
    """Share of a clip's cells that a step looks at, those that move first; the last steps look at all."""
    start: LocalPath | None = None
    """A folder with a `transformer` to go on from instead of from nothing."""


class FewSettings(StageSettings):
    """The distillation to few steps without guidance."""

    pairs: int = Field(default=1600, ge=1)
    """Clips that the teacher makes: noise and what became of it."""
    teacher_steps: int = Field(default=12, ge=2)
    """Steps of the teacher for each of them."""
    guidance: float = Field(default=3.0, ge=1)
    """Guidance scale of the teacher, which the student then has without a second pass."""
    muon: int = Field(default=MUON, ge=0)
    """As for the transformer."""
    drawn: float = Field(default=0.3, ge=0, le=1)
    """Share of steps on drawn clips as before, so that what is not in the pairs (strengths below 1) stays."""


class GateSettings(Config):
    """The bars, measured on the exported family through diffusers' own pipeline."""

    count: int = Field(default=108, ge=1)
    """Clips of each bar, balanced over what it counts."""
    steps: int = Field(default=8, ge=1)
    """Denoising steps."""
    guidance: float = Field(default=3.0, ge=1)
    """Guidance scale, of the checks of a training too. Early in a training more of it makes more of what is not learned
    yet; later the motions that are named come out by it."""
    batch: int = Field(default=12, ge=1)
    """Clips that are made together."""
    seed: int = Field(default=20270000, ge=0)
    """Seed of figures and noise: never those that were trained on."""
    gate: dict[str, float] = Field(default_factory=dict)
    """Figure -> the least value with which the family is accepted."""


class LtxSettings(Config):
    """The second half of the embedded family."""

    output: LocalPath
    """Where the family is written (fp16 safetensors, a pipeline folder of diffusers)."""
    first_half: LocalPath
    """The first half's folder: its figures are drawn, and its probe reads joints and attributes off frames."""
    clips: int = Field(ge=65)
    """Drawn clips; the last 64 are never trained on."""
    frames: int = Field(default=25, ge=9)
    """Frames of a clip, 8k+1."""
    network: NetworkSettings
    vae: LtxVaeSettings
    latents: LatentSettings
    text: StageSettings
    transformer: FlowSettings
    few: FewSettings
    gates: GateSettings


def check_ltx(cfg: LtxSettings, stages: Collection[str]) -> None:
    """What types alone do not check, before anything is drawn or loaded.

    Raises:
        UserError: a length off the rule 8k+1, channels that do not fold, a first half or a start that is absent.
    """
    if cfg.frames % 8 != 1:
        near = max(1, (cfg.frames - 1) // 8 * 8 + 1)
        raise UserError(f"ltx.frames: {cfg.frames} is not 8k+1", fix=f"ltx.frames={near}, or {near + 8}")
    for key, widths in (("encoder", cfg.network.encoder), ("decoder", cfg.network.decoder)):
        odd = [width for width in widths if width % 8]
        if odd:
            raise UserError(f"ltx.network.{key}: {odd[0]} is not a multiple of 8, which its blocks fold")
    for (one, other), fold in zip(pairwise(cfg.network.encoder), FOLDED, strict=True):
        if one * fold % other:
            told = f"{one} channels, folded by {fold}, are no multiple of the next place's {other}"
            raise UserError(f"ltx.network.encoder: {told}")
    coarse = zip(cfg.network.decoder[1:], cfg.network.decoder_factors[1:], strict=True)
    for finer, (width, factor) in zip(cfg.network.decoder, coarse, strict=False):
        if finer * factor != width:
            raise UserError(
                f"ltx.network.decoder: {width} channels, divided by {factor} (decoder_factors), are not the next "
                f"block's {finer}", fix="let widths and factors lead from one to the next, such as [48, 96] and [1, 2]"
            )  # fmt: skip
    lacking = [name for name in ("probe.safetensors", "family.json") if not (cfg.first_half / name).is_file()]
    if lacking and set(LTX_STAGES) & set(stages):
        raise UserError(
            f"ltx.first_half: {cfg.first_half} has no {' and no '.join(lacking)}",
            fix="ltx.first_half=data/models/sprite",
        )
    for key, start, part in (("vae", cfg.vae.start, "vae"), ("transformer", cfg.transformer.start, "transformer")):
        if start is not None and f"ltx_{key}" in stages and not (start / part / "config.json").is_file():
            raise UserError(
                f"ltx.{key}.start: {start} has no {part}", fix="name a folder of the family, or a training's parts"
            )
