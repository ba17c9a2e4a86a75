"""Settings of the family's training; values with comments stand in conf/train_sprite.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reel.compute import Compute
from reel.config import OPERATIONAL, Config, LocalPath, suggest
from reel.errors import UserError
from tasks.sprite.ltx.settings import LTX_STAGES, LtxSettings, check_ltx
from tasks.sprite.stage_settings import StageSettings

STAGES = ("data", "text", "vae", "probe", "joint", "controls", "motion", "few")
"""Stages of the first half in the order in which they build on one another."""
SPARSE = "sparse"
"""The SparseCtrl's, in a folder of its own: none of the others builds on it."""
ALL_STAGES = (*STAGES, SPARSE, *LTX_STAGES)
LTX = "ltx"
"""In `stages`: all of `LTX_STAGES`."""


WARM = ("vae", "unet", "controlnet_openpose", "motion_adapter")
"""Parts that training can begin with from a family of another generation."""


class VaeSettings(StageSettings):
    """The autoencoder's stage."""

    decoder_only: bool = False
    """Leave the encoder as it is in `start`: latents, and with them every other network, stay valid."""


class ProbeSettings(StageSettings):
    """The measuring instrument's stage."""

    decoded: int = Field(default=3072, ge=1)
    """Pictures that it learns from as the VAE decodes them, from disturbed latents: each costs 0.1 s of decoding."""


class ControlsSettings(StageSettings):
    """The stage of the ControlNets on a frozen UNet."""

    kinds: list[str] = Field(default=["lineart", "depth", "tile"], min_length=1)
    """ControlNets to train."""
    blank: float = Field(default=0.5, ge=0, le=1)
    """Share of line art and depth maps with a region blanked, so that a blank region leaves the prompt its way."""

    @property
    def gates(self) -> dict[str, float]:
        """The gate without what it says of ControlNets that are not trained."""
        return {name: least for name, least in self.gate.items() if name.partition("_")[0] in self.kinds}


class MotionSettings(StageSettings):
    """The motion adapter's stage."""

    steady: float = Field(default=0.0, ge=0)
    """Weight of the error's change from frame to frame, which is what flickers, beside the error itself."""
    shared_noise: float = Field(default=0.0, ge=0, le=1)
    """Share of clips whose frames have noise in common, in part or as a whole."""
    leave_out: float = Field(default=0.08, ge=0, le=1)
    """Chance of each clause of a caption to be left out: what is left open must be one thing in all frames."""
    early: float = Field(default=0.0, ge=0, le=1)
    """Share of clips trained at the noisiest quarter of the timesteps, where what is left open is decided."""


class FewSettings(StageSettings):
    """The stage of the few-step LoRA: see `tasks.sprite.stage_few`."""

    rank: int = Field(default=12, ge=1)
    """Rank of the LoRA."""
    kinds: list[str] = Field(default=["openpose", "lineart", "depth", "tile"], min_length=1)
    """ControlNets under which it is distilled; openpose has most of the clips."""
    student_steps: int = Field(default=4, ge=1, le=16)
    """Steps of a render with the LoRA."""
    substeps: int = Field(default=2, ge=1, le=16)
    """Guided steps of the teacher for one of them."""
    guidance_scale: float = Field(default=4.0, ge=1, le=20)
    """The teacher's guidance, which the LoRA takes over."""
    frames: int = Field(default=16, ge=1, le=16)
    """Frames of a training clip."""
    rollout: float = Field(default=0.4, ge=0, le=1)
    """Share of clips whose noisy start the student itself has made."""
    other_source: float = Field(default=0.4, ge=0, le=1)
    """Share of the others that start from another clip or a texture."""
    leave_out: float = Field(default=0.25, ge=0, le=1)
    """Chance of each clause of a caption to be left out."""
    shared_noise: float = Field(default=0.4, ge=0, le=1)
    """Share of clips whose frames have noise in common, in part or as a whole."""


class SparseSettings(StageSettings):
    """The stage of the SparseCtrl on a frozen UNet with its motion adapter."""

    output: LocalPath
    """Folder that it is written to (fp16); what `model.sparsectrls` names."""
    cut: float = Field(default=0.3, ge=0, le=1)
    """Share of clips that turn into another at some frame, as pictures on ranges of frames do."""
    shared_noise: float = Field(default=0.0, ge=0, le=1)
    """Share of clips whose frames have noise in common, in part or as a whole."""
    leave_out: float = Field(default=0.35, ge=0, le=1)
    """Chance of each clause of a caption to be left out: then the picture alone says it."""
    steady: float = Field(default=0.0, ge=0)
    """Weight of the error's change from frame to frame, beside the error itself."""
    held: float = Field(default=1.0, ge=0)
    """Weight of the error of the given frames, beside that of all frames."""


class TrainSettings(Config):
    """Settings of the whole training."""

    folder: LocalPath
    """Working folder: drawn data, checkpoints, logs."""
    output: LocalPath
    """Where the family is written (fp16 safetensors in diffusers' layout)."""
    frame: int = Field(default=192, ge=64, multiple_of=32)
    """Side of a picture (px) of a family that is trained from nothing; `start` has its own."""
    compute: Compute = Field(default_factory=Compute)
    """Device and number format; products are bfloat16 where the device computes them."""
    batch_times: int | None = Field(default=None, ge=1)
    """Factor of every stage's batch; empty: 4 on a GPU, 1 on a CPU."""
    start: LocalPath | None = None
    """An exported family to go on from instead of from nothing: stages train its weights further, and parts of stages
    that are not run are taken from it."""
    warm: LocalPath | None = None
    """A family of another generation whose networks are where training begins, though it draws other pictures: VAE,
    UNet, openpose and motion adapter; words and the probe are learned from nothing."""
    seed: int = Field(default=1, ge=0)
    """Seed of the drawn data, the first weights and every batch."""
    threads: int = Field(default=2, ge=1)
    """CPU threads."""
    stills: int = Field(default=20000, ge=1024)
    """Drawn single pictures; the last 512 are never trained on."""
    clips: int = Field(default=400, ge=1)
    """Drawn dances of 16 frames."""
    learn_stills: int = Field(default=12000, ge=1)
    """Stills that the UNet stages learn from: each costs 20 ms of encoding before the first step."""
    learn_clips: int = Field(default=400, ge=1)
    """Dances that the UNet stages learn from."""
    checkpoint_seconds: Annotated[float, OPERATIONAL] = Field(default=180.0, ge=0)
    """Seconds between checkpoints: the most that a killed run loses."""
    length: float = Field(default=1.0, gt=0)
    """Factor of every stage's steps: what a slower or faster machine can do in the same time."""
    stages: list[str]
    """Stages to run; they run in the order in which they build on one another. `ltx`: all of the second half."""
    text: StageSettings
    vae: VaeSettings
    probe: ProbeSettings
    joint: StageSettings
    controls: ControlsSettings
    motion: MotionSettings
    few: FewSettings
    sparse: SparseSettings
    """Its SparseCtrl, for `loop` and `timeframe`; not among the stages of a family."""
    ltx: LtxSettings
    """The second half, `sprite_ltx`: stages ltx_data to ltx_gates."""

    @property
    def chosen(self) -> list[str]:
        """The stages to run, in order, `ltx` spelt out."""
        return [name for name in ALL_STAGES if name in self.stages or (name in LTX_STAGES and LTX in self.stages)]


def check_settings(cfg: TrainSettings) -> None:
    """What types alone do not check, before anything is drawn or loaded.

    Raises:
        UserError: an unknown stage or ControlNet, or a `start` that is not an exported family; see `check_ltx`.
    """
    from tasks.sprite.export import PARTS
    from tasks.sprite.networks import CONTROLS
    from tasks.sprite.spec import FILE, Spec, load

    for key, names, known in (("stages", cfg.stages, (*ALL_STAGES, LTX)),
                              ("controls.kinds", cfg.controls.kinds, CONTROLS),
                              ("few.kinds", cfg.few.kinds, CONTROLS)):  # fmt: skip
        for name in names:
            if name not in known:
                raise UserError(f"{key}: unknown {name!r}; there are {', '.join(known)}", fix=suggest(name, known))
    for name in cfg.controls.gate:
        if name.partition("_")[0] not in CONTROLS:
            raise UserError(
                f"controls.gate.{name}: names begin with a ControlNet and _; there are {', '.join(CONTROLS)}",
                fix=suggest(name, [f"{kind}_worst" for kind in CONTROLS]),
            )
    if cfg.start is not None:
        lacking = [part for part in (*PARTS, "probe.safetensors", FILE) if not (cfg.start / part).exists()]
        if lacking:
            raise UserError(
                f"start: {cfg.start} is not an exported family: it lacks {', '.join(lacking)}",
                fix="name a folder that train_sprite has written, such as data/models/sprite",
            )
    if cfg.warm is not None:
        if cfg.start is not None:
            raise UserError("warm: means nothing with `start`, which has all the weights", fix="leave one of them out")
        lacking = [part for part in (*WARM, FILE) if not (cfg.warm / part).exists()]
        if lacking:
            raise UserError(f"warm: {cfg.warm} lacks {', '.join(lacking)}", fix="warm=data/models/sprite")
    spec = load(cfg.start) if cfg.start else Spec(cfg.frame)
    writes = any(stage in STAGES for stage in cfg.stages)
    if writes and (cfg.output / FILE).exists() and load(cfg.output) != spec:
        raise UserError(
            f"output: {cfg.output} holds a family that draws other pictures; until the last stage is done it would be "
            "a mixture of both",
            fix="output=/tmp/sprite; copy what is better by its bars",
        )
    if cfg.start is None and cfg.vae.decoder_only:
        raise UserError("vae.decoder_only: true needs `start`, whose encoder is kept", fix="start=data/models/sprite")
    check_ltx(cfg.ltx, cfg.chosen)
