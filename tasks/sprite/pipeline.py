"""Training of the family's first half: stages in order, each with a gate that the next one may rely on."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reel.errors import UserError
from tasks.sprite import export, few_lora, networks, preview, probe, stage_vae
from tasks.sprite.clips import FEW, TEACHER, MotionCheck, Sampling, stock_pipeline
from tasks.sprite.data import DataSet, draw_data_set
from tasks.sprite.diffusion import Family
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Precision
from tasks.sprite.progress import RenderCheck
from tasks.sprite.runner import Runner, Sink, on_cpu
from tasks.sprite.settings import TrainSettings
from tasks.sprite.spec import STRIDE, Spec
from tasks.sprite.spec import load as load_spec
from tasks.sprite.stage_few import Distillation, FewStage
from tasks.sprite.stage_joint import ControlsStage, JointStage
from tasks.sprite.stage_motion import MotionStage
from tasks.sprite.stage_settings import StageSettings
from tasks.sprite.stage_sparse import SparseCheck, SparseStage
from tasks.sprite.stage_text import TextStage
from tasks.sprite.tokenizer import build_tokenizer

LATENTS_FOR_SCALE = 1024  # drawings whose latents set the per-channel scale
TEXTURES = 96  # photo-like pictures that stage `few` begins renders from
LARGER = 4  # times the samples of a step on a GPU


class Training(Runner):
    """The stages of the family, one method each, named as in `settings.STAGES`."""

    def __init__(self, cfg: TrainSettings, sink: Sink | None = None) -> None:
        super().__init__(cfg, sink)
        self.where = precision(cfg)

    @cached_property
    def spec(self) -> Spec:
        """What the family draws: as `start` does, or as it is drawn today."""
        return load_spec(self.cfg.start) if self.cfg.start else Spec(self.cfg.frame)

    def begin(self, stage: str) -> None:
        self.spec.save(self.cfg.output)

    def data(self) -> dict[str, float]:
        return {"pictures": float(len(self.drawn))}

    @cached_property
    def drawn(self) -> DataSet:
        cfg = self.cfg
        return draw_data_set(self.work / "drawn", cfg.stills, cfg.clips, cfg.seed, cfg.threads, self.spec)

    def text(self) -> dict[str, float]:
        tokenizer = self._part("tokenizer") if self.cfg.start else build_tokenizer()
        stage = TextStage(tokenizer, self._batch("text"), self._start("text_encoder"), self.spec.choices)
        self._keep("tokenizer", tokenizer)
        self._keep("scheduler", networks.build_scheduler())
        return self._train(stage.stage(), self.cfg.text, {"text_encoder": stage.encoder})

    def vae(self) -> dict[str, float]:
        cfg, rgb = self.cfg.vae, self.drawn.read("rgb")
        vae = self._begin("vae") or networks.build_vae(self.spec.frame)
        stage = stage_vae.VaeStage(self.drawn, self._batch("vae"), vae, cfg.decoder_only)
        figures = self._train(stage.stage(), cfg, {"vae": vae} if cfg.decoder_only else {})
        if not cfg.decoder_only:  # only now do its latents have the scale that the other stages count on
            stage_vae.normalise_latents(vae, rgb[:LATENTS_FOR_SCALE])
            self._latents_file.unlink(missing_ok=True)
            self._keep("vae", vae)
            preview.store(vae, self.cfg.output, self.spec)
        return figures

    def _encoded(self) -> Path:
        """The file of the drawings' latents; rows that are in use and not in it yet are added."""
        rgb, rows = self.drawn.read("rgb"), self._rows_in_use()
        z = np.load(self._latents_file) if self._latents_file.exists() else stage_vae.no_latents(len(rgb), self.spec)
        missing = rows[~z[rows].any((1, 2, 3))]
        if len(missing):
            vae = self._part("vae").to(self.where.device, memory_format=torch.channels_last)
            z[missing] = stage_vae.encode_rows(vae, rgb, missing)
            self._latents_file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._latents_file.with_suffix(".new.npy")
            np.save(draft, z)
            draft.replace(self._latents_file)
        return self._latents_file

    def _rows_in_use(self) -> np.ndarray:
        data, cfg = self.drawn, self.cfg
        clips = [data.clip_rows(clip) for clip in range(min(cfg.learn_clips, data.clips))]
        wanted = max(cfg.learn_stills, cfg.probe.decoded if "probe" in cfg.stages else 0)
        stills = np.arange(min(wanted, data.stills - stage_vae.UNSEEN))
        return np.concatenate([stills, *clips])

    def probe(self) -> dict[str, float]:
        vae, z = self._part("vae").to(self.where.device), np.load(self._encoded(), mmap_mode="r")
        decoded = probe.decode_disturbed(vae, z[: self.cfg.probe.decoded], self.cfg.seed)
        pictures = self.drawn.read("rgb")[self.drawn.stills - stage_vae.UNSEEN : self.drawn.stills]
        unseen = stage_vae.encode_rows(vae, pictures, np.arange(len(pictures)))
        decoded_unseen = probe.decode_disturbed(vae, unseen, self.cfg.seed + 1)
        start = probe.load(self._known_probe) if self.cfg.start else probe.Probe(self.spec)
        stage = probe.ProbeStage(self.drawn, decoded, decoded_unseen, self._batch("probe"), start)
        figures = self._train(stage.stage(), self.cfg.probe, {})
        probe.save(stage.probe, self._probe_file)
        return figures

    def joint(self) -> dict[str, float]:
        unet = self._begin("unet") or networks.build_unet(self.spec.frame)
        openpose = self._begin("controlnet_openpose") or networks.build_controlnet(unet)
        text = self._part("text_encoder")
        check = self._check("joint", text, unet, {"openpose": openpose}, ("", "openpose"))
        stage = JointStage(self._latents, self._part("tokenizer"), text, _channels_last(unet),
                           _channels_last(openpose), self._batch("joint"), check=check)  # fmt: skip
        return self._train(stage.stage(), self.cfg.joint, {"unet": unet, "controlnet_openpose": openpose})

    def controls(self) -> dict[str, float]:
        text, unet = self._part("text_encoder"), _channels_last(self._part("unet"))
        kinds = self.cfg.controls.kinds
        nets = {kind: _channels_last(self._start(f"controlnet_{kind}") or self._part("controlnet_openpose"))
                for kind in kinds}  # fmt: skip
        check = self._check("controls", text, unet, nets, tuple(nets))
        stage = ControlsStage(self._latents, self._part("tokenizer"), text, unet, nets, self._batch("controls"),
                              self.cfg.controls.blank, check)  # fmt: skip
        return self._train(stage.stage(), self.cfg.controls, {f"controlnet_{kind}": net for kind, net in nets.items()})

    def motion(self) -> dict[str, float]:
        tokenizer, text, unet = self._part("tokenizer"), self._part("text_encoder"), self._part("unet")
        openpose = self._part("controlnet_openpose")
        adapter = self._begin("motion_adapter") or networks.build_motion_adapter()
        cfg = self.cfg.motion
        stage = MotionStage(self._latents, tokenizer, text, unet, openpose, adapter, self._batch("motion"),
                            cfg.steady, cfg.shared_noise, cfg.leave_out, cfg.early)  # fmt: skip
        stage.check = self._motion_check("motion", tokenizer, text, openpose, stage.unet, TEACHER)
        return self._train(stage.stage(), cfg, {"motion_adapter": stage.adapter})

    def few(self) -> dict[str, float]:
        from diffusers import UNetMotionModel

        cfg, tokenizer, text = self.cfg.few, self._part("tokenizer"), self._part("text_encoder")
        unet = UNetMotionModel.from_unet2d(self._part("unet"), self._part("motion_adapter"))
        nets = {kind: self._part(f"controlnet_{kind}") for kind in cfg.kinds}
        how = Distillation(cfg.student_steps, cfg.substeps, cfg.guidance_scale, cfg.frames, cfg.rollout,
                           cfg.other_source, cfg.leave_out, cfg.shared_noise)  # fmt: skip
        textures = stage_vae.textures(self._part("vae"), TEXTURES, self.spec).to(self.where.device)
        stage = FewStage(self._latents, tokenizer, text, unet, nets, textures, cfg.rank, self._batch("few"), how)
        sampling = Sampling(cfg.student_steps, FEW.guidance_scale, teacher=False)
        stage.check = self._motion_check("few", tokenizer, text, self._part("controlnet_openpose"), unet, sampling)
        figures = self._train(stage.stage(), cfg, {few_lora.FOLDER: stage.lora})
        return figures | {"megabytes": export.check_size(self.cfg.output) / 1e6}

    def sparse(self) -> dict[str, float]:
        from diffusers import UNetMotionModel

        cfg, tokenizer, text = self.cfg.sparse, self._part("tokenizer"), self._part("text_encoder")
        unet = UNetMotionModel.from_unet2d(self._part("unet"), self._part("motion_adapter"))
        net = networks.build_sparsectrl(unet)
        vae = self._part("vae").to(self.where.device)
        sheets = self.work / "sparse" / "sheets"
        check = SparseCheck(tokenizer, text, vae, unet, net, self._known_probe, sheets, self.spec)
        stage = SparseStage(self._latents, tokenizer, text, unet, net, self._batch("sparse"), cfg.cut,
                            cfg.shared_noise, cfg.leave_out, cfg.steady, cfg.held, check)  # fmt: skip
        return self._train(stage.stage(), cfg, {export.SPARSECTRL: net})

    def _motion_check(
        self, stage: str, tokenizer: Any, text: nn.Module, openpose: nn.Module, unet: nn.Module, sampling: Sampling
    ) -> MotionCheck:
        vae, scheduler = self._part("vae").to(self.where.device), networks.build_scheduler()
        parts = {"vae": vae, "text_encoder": text, "tokenizer": tokenizer, "scheduler": scheduler}
        pipe = stock_pipeline(parts, [openpose.to(self.where.device)], unet)
        return MotionCheck(pipe, self._known_probe, self.work / stage / "sheets", self.spec, sampling)

    def _batch(self, stage: str) -> int:
        """Samples of a step, `batch_times` as many as the stage's settings say."""
        settings: StageSettings = getattr(self.cfg, stage)
        times = self.cfg.batch_times or (LARGER if self.where.device.type == "cuda" else 1)
        return settings.batch * times

    def _keep(self, name: str, part: Any) -> None:
        """Full precision in the working folder, fp16 in the exported family, or in the folder of its own."""
        export.save_part(part, self.parts, name, parts=self.part_names)
        if name == export.SPARSECTRL:
            own = self.cfg.sparse.output
            return export.save_part(part, own.parent, own.name, half=True, parts=(own.name,))
        if name in few_lora.CHANGED:  # a LoRA of other weights would be taken off these
            shutil.rmtree(self.cfg.output / few_lora.FOLDER, ignore_errors=True)
        export.save_part(part, self.cfg.output, name, half=True)
        if name == few_lora.FOLDER:  # the exported networks have it inside
            for changed in few_lora.CHANGED:
                net = self._part(changed)
                part.add_to(net, 1)
                export.save_part(net, self.cfg.output, changed, half=True)

    def _start(self, name: str) -> Any:
        """A network of `cfg.start` to train further; None when training begins from nothing."""
        return networks.load(self.cfg.start, name, teacher=True) if self.cfg.start else None

    def _begin(self, name: str) -> Any:
        """A network to train: of `start`, else with the weights of `warm`; None: from nothing.

        A network with the weights of another generation says the size of its own pictures.
        """
        if self.cfg.start or self.cfg.warm is None:
            return self._start(name)
        net = networks.load(self.cfg.warm, name, teacher=True)
        if "sample_size" in net.config:
            net.register_to_config(sample_size=self.spec.frame // (1 if name == "vae" else STRIDE))
        return net

    def _part(self, name: str) -> Any:
        """A finished part: trained in this folder, or else that of `cfg.start`."""
        if self.cfg.start and not (self.parts / name).is_dir():
            return networks.load(self.cfg.start, name, teacher=True)
        return super()._part(name)

    @property
    def _lacking(self) -> str:
        return f"run the stages before it as well, or start={self.cfg.output}"

    @cached_property
    def _latents(self) -> Latents:
        cfg = self.cfg
        return Latents(self.drawn, self._encoded(), cfg.learn_stills, cfg.learn_clips, self.where.device)

    @property
    def _latents_file(self) -> Path:
        return self.work / "vae" / "latents.npy"

    @property
    def _probe_file(self) -> Path:
        return self.cfg.output / "probe.safetensors"

    @property
    def _known_probe(self) -> Path:
        """The probe that checks read with: this training's, or else that of `cfg.start`."""
        if self.cfg.start and not self._probe_file.exists():
            return self.cfg.start / self._probe_file.name
        return self._probe_file

    def _check(
        self, stage: str, text: nn.Module, unet: nn.Module, nets: dict[str, nn.Module], kinds: tuple[str, ...]
    ) -> RenderCheck:
        vae = self._part("vae").to(self.where.device)
        family = Family(self._part("tokenizer"), text, unet, vae, networks.build_scheduler())
        return RenderCheck(family, nets, kinds, self._known_probe, self.work / stage / "sheets", self.spec)


def precision(cfg: TrainSettings) -> Precision:
    """Where to train, and the number format: bfloat16 products on a device that computes them, else float32.

    Raises:
        UserError: `compute.device` names a device that is not there.
    """
    name = cfg.compute.device
    if name in ("auto", "cuda") and torch.cuda.is_available():
        mixed = cfg.compute.dtype != "float32" and torch.cuda.is_bf16_supported()
        return Precision(torch.device("cuda"), torch.bfloat16 if mixed else torch.float32)
    if name not in ("auto", "cpu"):
        raise UserError(f"compute.device: there is no {name} to train on", fix="compute=cpu, which takes hours")
    return on_cpu(cfg)


def _channels_last(net: nn.Module) -> Any:
    """oneDNN's convolutions are twice as fast in this layout on a CPU."""
    return net.to(memory_format=torch.channels_last)
