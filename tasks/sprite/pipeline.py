"""Training of the whole family: stages in order, each with a gate that the next one may rely on.

Everything lies under one working folder and every stage resumes from its own checkpoint, so the command can be killed
and started again at any time. Finished stages are skipped: what they left (`done.json` and exported parts) counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reel.errors import UserError
from tasks.sprite import export, networks, probe, stage_vae
from tasks.sprite.data import DataSet, draw_data_set
from tasks.sprite.diffusion import Family
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Log, Schedule, Stage, train
from tasks.sprite.progress import RenderCheck, set_threads
from tasks.sprite.settings import StageSettings, TrainSettings
from tasks.sprite.stage_joint import ControlsStage, JointStage
from tasks.sprite.stage_motion import MotionStage
from tasks.sprite.stage_text import TextStage
from tasks.sprite.tokenizer import build_tokenizer

Sink = Callable[[dict[str, float], int], None]
LATENTS_FOR_SCALE = 1024  # drawings whose latents set the per-channel scale


class Training:
    """The stages of the family, one method each, named as in `settings.STAGES`."""

    def __init__(self, cfg: TrainSettings, sink: Sink | None = None) -> None:
        self.cfg, self.sink = cfg, sink
        self.work, self.parts = Path(cfg.folder), Path(cfg.folder) / "parts"
        set_threads(cfg.threads)

    def run(self, stage: str) -> dict[str, float]:
        """Run one stage to its end, or return the figures of a finished one.

        Raises:
            UserError: the stage's result does not pass its gate.
        """
        done = self.work / stage / "done.json"
        if done.exists():
            return dict(json.loads(done.read_text()))
        torch.manual_seed(self.cfg.seed)
        figures: dict[str, float] = getattr(self, stage)()
        settings = getattr(self.cfg, stage, None)
        if isinstance(settings, StageSettings):
            _gate(stage, settings.gate, figures)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.write_text(json.dumps(figures))
        return figures

    def data(self) -> dict[str, float]:
        return {"pictures": float(len(self.drawn))}

    @cached_property
    def drawn(self) -> DataSet:
        return draw_data_set(self.work / "drawn", self.cfg.stills, self.cfg.clips, self.cfg.seed, self.cfg.threads)

    def text(self) -> dict[str, float]:
        stage = TextStage(build_tokenizer(), self.cfg.text.batch)
        figures = self._train(stage.stage(), self.cfg.text)
        self._keep("tokenizer", stage.tokenizer)
        self._keep("text_encoder", stage.encoder)
        return figures

    def vae(self) -> dict[str, float]:
        stage = stage_vae.VaeStage(self.drawn, self.cfg.vae.batch)
        figures = self._train(stage.stage(), self.cfg.vae)
        rgb = self.drawn.read("rgb")
        stage_vae.normalise_latents(stage.vae, rgb[:LATENTS_FOR_SCALE])
        self._keep("vae", stage.vae)
        vae = stage.vae.eval()
        np.save(self._latents_file, stage_vae.encode_rows(vae, rgb, self._rows_in_use()))
        return figures

    def _rows_in_use(self) -> np.ndarray:
        data = self.drawn
        clips = [data.clip_rows(clip) for clip in range(min(self.cfg.learn_clips, data.clips))]
        stills = np.arange(min(self.cfg.learn_stills, data.stills - stage_vae.UNSEEN))
        unseen = np.arange(data.stills - stage_vae.UNSEEN, data.stills)
        return np.concatenate([stills, unseen, *clips])

    def probe(self) -> dict[str, float]:
        vae, z = self._part("vae"), np.load(self._latents_file, mmap_mode="r")
        decoded = probe.decode_disturbed(vae, z[: probe.DECODED], self.cfg.seed)
        unseen = z[self.drawn.stills - stage_vae.UNSEEN : self.drawn.stills]
        decoded_unseen = probe.decode_disturbed(vae, unseen, self.cfg.seed + 1)
        stage = probe.ProbeStage(self.drawn, decoded, decoded_unseen, self.cfg.probe.batch)
        figures = self._train(stage.stage(), self.cfg.probe)
        probe.save(stage.probe, self._probe_file)
        return figures

    def joint(self) -> dict[str, float]:
        unet = networks.build_unet()
        openpose, text = networks.build_controlnet(unet), self._part("text_encoder")
        check = self._check("joint", text, unet, {"openpose": openpose}, ("", "openpose"))
        check.keep = {"unet": unet, "controlnet_openpose": openpose}
        stage = JointStage(self._latents, self._part("tokenizer"), text, _channels_last(unet),
                           _channels_last(openpose), self.cfg.joint.batch, check=check)  # fmt: skip
        figures = self._train(stage.stage(), self.cfg.joint)
        self._keep("unet", unet)
        self._keep("controlnet_openpose", openpose)
        return figures

    def controls(self) -> dict[str, float]:
        text, unet = self._part("text_encoder"), _channels_last(self._part("unet"))
        nets = {kind: _channels_last(self._part("controlnet_openpose")) for kind in networks.CONTROLS[1:]}
        check = self._check("controls", text, unet, nets, tuple(nets))
        check.keep = {f"controlnet_{kind}": net for kind, net in nets.items()}
        stage = ControlsStage(self._latents, self._part("tokenizer"), text, unet, nets, self.cfg.controls.batch, check)
        figures = self._train(stage.stage(), self.cfg.controls)
        for kind, net in nets.items():
            self._keep(f"controlnet_{kind}", net)
        return figures

    def motion(self) -> dict[str, float]:
        tokenizer, text, unet = self._part("tokenizer"), self._part("text_encoder"), self._part("unet")
        openpose, adapter = self._part("controlnet_openpose"), networks.build_motion_adapter()
        stage = MotionStage(self._latents, tokenizer, text, unet, openpose, adapter, self.cfg.motion.batch)
        figures = self._train(stage.stage(), self.cfg.motion)
        self._keep("motion_adapter", stage.adapter())
        return figures

    def _train(self, stage: Stage, settings: StageSettings) -> dict[str, float]:
        folder = self.work / stage.name
        schedule = Schedule(settings.steps, settings.lr, ema=settings.ema, check_every=settings.check_every)
        train(stage, schedule, folder, self.cfg.seed, Log(folder, stage.name, self.sink))
        with torch.no_grad():
            return stage.check(settings.steps) if stage.check is not None else {}

    def _keep(self, name: str, part: Any) -> None:
        """Full precision in the working folder, fp16 in the exported family."""
        export.save_part(part, self.parts, name)
        export.save_part(part, self.cfg.output, name, half=True)

    def _part(self, name: str) -> Any:
        return networks.load(self.parts, name)

    @cached_property
    def _latents(self) -> Latents:
        return Latents(self.drawn, self._latents_file, self.cfg.learn_stills, self.cfg.learn_clips)

    @property
    def _latents_file(self) -> Path:
        return self.work / "vae" / "latents.npy"

    @property
    def _probe_file(self) -> Path:
        return self.cfg.output / "probe.safetensors"

    def _check(
        self, stage: str, text: nn.Module, unet: nn.Module, nets: dict[str, nn.Module], kinds: tuple[str, ...]
    ) -> RenderCheck:
        family = Family(self._part("tokenizer"), text, unet, self._part("vae"), networks.build_scheduler())
        return RenderCheck(family, nets, kinds, self._probe_file, self.work / stage / "sheets", self.cfg.output)


def _channels_last(net: nn.Module) -> Any:
    """oneDNN's convolutions are twice as fast in this layout on a CPU."""
    return net.to(memory_format=torch.channels_last)


def _gate(stage: str, gates: dict[str, float], figures: dict[str, float]) -> None:
    for name, least in gates.items():
        if name not in figures:
            raise UserError(f"{stage}.gate.{name}: the stage gives no such figure; it gives {', '.join(figures)}")
        if figures[name] < least:
            raise UserError(
                f"stage {stage}: {name} is {figures[name]:.3f}, the gate asks for {least:g}",
                fix=f"train longer ({stage}.steps=...; it resumes) or lower {stage}.gate.{name}",
            )
