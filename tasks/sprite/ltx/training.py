"""Training of `sprite_ltx`, the family's second half: a picture comes to life as the prompt names.

Stages build on one another as those of the first half do and resume in the same way, drawing, encoding and the
teacher's pairs included: whatever is done is never done again.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reel.files import sha256_file, write_atomic
from tasks.sprite import export, preview, probe
from tasks.sprite.loop import CHECKPOINT, Log
from tasks.sprite.ltx import networks, reader
from tasks.sprite.ltx.bars import PROBE, Bars, write_sheet
from tasks.sprite.ltx.captions import plain_caption
from tasks.sprite.ltx.card import write_card
from tasks.sprite.ltx.closed_form import begin_linear
from tasks.sprite.ltx.data import ClipSet, draw_clip, draw_clips
from tasks.sprite.ltx.motions import ACTIONS, Motion
from tasks.sprite.ltx.render import Pictures, Sampling, render
from tasks.sprite.ltx.stage_few import LtxFewStage, make_pairs, schedule_levels
from tasks.sprite.ltx.stage_latents import encode_clips, read_latents
from tasks.sprite.ltx.stage_text import LtxTextStage
from tasks.sprite.ltx.stage_transformer import Drawn, LtxTransformerStage
from tasks.sprite.ltx.stage_vae import LtxVaeStage, mean_psnr
from tasks.sprite.ltx.tokenizer import build_tokenizer
from tasks.sprite.ltx.video import frames_psnr, normalise, to_video
from tasks.sprite.runner import Runner
from tasks.sprite.spec import load as load_spec

LIMIT = 24_000_000  # bytes of the whole family in git
CLIPS_FOR_SCALE = 256  # drawn clips whose latents set the per-channel scale
STUDENT = "transformer_few"  # the distilled transformer, beside its teacher in the working folder


class LtxTraining(Runner):
    """The stages of the second half, one method each, named as in `settings.LTX_STAGES`."""

    parts_folder = "ltx_parts"
    part_names = networks.PARTS

    @property
    def output(self) -> Path:
        return self.cfg.ltx.output

    def settings(self, stage: str) -> Any:
        return getattr(self.cfg.ltx, stage.removeprefix("ltx_"), None)

    def ltx_data(self) -> dict[str, float]:
        return {"clips": float(self.drawn.clips)}

    @cached_property
    def drawn(self) -> ClipSet:
        cfg = self.cfg
        folder, spec = self.work / "ltx_data" / "drawn", load_spec(cfg.ltx.first_half)
        return draw_clips(folder, cfg.ltx.clips, cfg.seed, cfg.threads, spec, cfg.ltx.frames)

    def ltx_vae(self) -> dict[str, float]:
        cfg = self.cfg.ltx.vae
        vae = networks.load(cfg.start, "vae") if cfg.start else self._fresh_vae()
        figures = self._train(LtxVaeStage(self.drawn, vae, cfg, self.cfg.threads).stage(), cfg, {})
        normalise(vae, np.array(self.drawn.read("rgb")[: min(CLIPS_FOR_SCALE, self.drawn.seen)]))
        self._keep("vae", vae)  # only now do its latents have the scale that the other stages count on
        preview.store(vae, self.output, self.drawn.spec)
        return figures

    def _fresh_vae(self) -> Any:
        vae = networks.build_vae(self.cfg.ltx.network)
        if (self.work / "ltx_vae" / CHECKPOINT).exists():  # which takes the place of all weights
            return vae
        begin_linear(vae, to_video(np.array(self.drawn.read("rgb")[: min(self.cfg.ltx.vae.linear, self.drawn.seen)])))
        return vae

    def ltx_latents(self) -> dict[str, float]:
        log = Log(self.work / "ltx_latents", "ltx_latents", self.sink)
        vae, stills = self._part("vae"), self.cfg.ltx.latents.stills
        count = encode_clips(
            self._latents_folder,
            self.drawn,
            vae,
            stills,
            self._identity("vae"),
            self.cfg.threads,
            log.write,
            self.where.mixed,
        )
        return {"clips": float(count)}

    def ltx_text(self) -> dict[str, float]:
        tokenizer = build_tokenizer()
        encoder = networks.build_text_encoder(self.cfg.ltx.network, len(tokenizer))
        stage = LtxTextStage(tokenizer, encoder, self.cfg.ltx.text.batch)
        self._keep("tokenizer", tokenizer)
        self._keep("scheduler", networks.build_scheduler())
        return self._train(stage.stage(), self.cfg.ltx.text, {"text_encoder": encoder})

    def ltx_transformer(self) -> dict[str, float]:
        cfg = self.cfg.ltx.transformer
        transformer = (networks.load(cfg.start, "transformer") if cfg.start
                       else networks.build_transformer(self.cfg.ltx.network))  # fmt: skip
        stage = self._transformer_stage(transformer)
        stage.check = self._check("ltx_transformer", transformer)
        return self._train(stage.stage(), cfg, {"transformer": transformer})

    def ltx_few(self) -> dict[str, float]:
        cfg, gates = self.cfg.ltx.few, self.cfg.ltx.gates
        transformer = self._part("transformer")
        stage = self._transformer_stage(transformer)
        log = Log(self.work / "ltx_few", "ltx_pairs", self.sink)
        pairs = make_pairs(self.work / "ltx_few" / "pairs", self._pipeline(transformer), stage.drawn, self.drawn, cfg,
                           self.cfg.seed, self._identity("transformer"), log.write)  # fmt: skip
        stage.check = self._check("ltx_few", transformer)
        few = LtxFewStage(pairs, stage, cfg, schedule_levels(gates.steps))
        return self._train(few.stage(), cfg, {STUDENT: transformer})

    def finish(self, stage: str) -> None:
        """The student takes the teacher's place in the exported family only when its own gate is passed."""
        if stage == "ltx_few":
            export.save_part(self._part(STUDENT), self.output, "transformer", half=True, parts=networks.PARTS)
            self._index()

    def ltx_gates(self) -> dict[str, float]:
        export.check_size(self.output, LIMIT)
        cfg, folder = self.cfg.ltx, self.work / "ltx_gates"
        measured = {"family": self._exported(), "settings": cfg.gates.model_dump(mode="json", exclude={"gate"})}
        file = folder / "bars.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        if {key: known.get(key) for key in measured} != measured:
            known = {**measured, "bars": {}}
        log = Log(folder, "ltx_gates", self.sink)
        bars = Bars(self.output, cfg.first_half, cfg.gates, cfg.frames, folder / "sheets")
        for number, (name, measure) in enumerate(bars.all().items()):
            if name not in known["bars"]:
                known["bars"][name] = measure()
                write_atomic(file, json.dumps(known, indent=1).encode())
                log.write(number, known["bars"][name])
        figures = {key: value for bar in known["bars"].values() for key, value in bar.items()}
        write_card(self.output, cfg, figures, bars.pipe)
        return figures

    def _transformer_stage(self, transformer: Any) -> LtxTransformerStage:
        cfg = self.cfg.ltx.transformer
        drawn = Drawn(self.drawn, read_latents(self._latents_folder), cfg.last_picture)
        texts, deviations = (self._part("tokenizer"), self._part("text_encoder")), self._part("vae").latents_std
        return LtxTransformerStage(drawn, *texts, transformer, deviations, cfg, self.cfg.threads)

    def _pipeline(self, transformer: Any) -> Any:
        parts = {name: self._part(name) for name in networks.PARTS if name != "transformer"}
        return networks.pipeline({**parts, "transformer": transformer})

    def _check(self, stage: str, transformer: Any) -> RenderedMotion:
        cfg = self.cfg.ltx
        return RenderedMotion(
            self._pipeline(transformer),
            probe.load(cfg.first_half / PROBE),
            Sampling(cfg.gates.steps, cfg.gates.guidance, cfg.frames),
            self.work / stage / "sheets",
        )

    @property
    def _latents_folder(self) -> Path:
        return self.work / "ltx_latents" / "encoded"

    def _identity(self, part: str) -> str:
        """Names a part's weights."""
        return sha256_file(next((self.parts / part).glob("*.safetensors")))

    def _exported(self) -> dict[str, str]:
        return {path.parent.name: sha256_file(path) for path in sorted(self.output.glob("*/*.safetensors"))}

    def _keep(self, name: str, part: Any) -> None:
        if name == STUDENT:  # exported when it has passed its gate, see `finish`
            export.save_part(part, self.parts, name, parts=(STUDENT,))
            return
        super()._keep(name, part)
        self._index()

    def _index(self) -> None:
        if all((self.output / part).is_dir() for part in networks.PARTS):
            write_index(self.output)

    def _load(self, folder: Path, name: str) -> Any:
        if name == STUDENT:
            from diffusers import LTXVideoTransformer3DModel

            return LTXVideoTransformer3DModel.from_pretrained(folder / name, dtype=torch.float32).eval()
        return networks.load(folder, name)


class RenderedMotion:
    """What the transformer is judged by while it trains: two clips of each action, made from unseen pictures."""

    def __init__(self, pipe: Any, instrument: probe.Probe, sampling: Sampling, sheets: Path) -> None:
        self.pipe, self.instrument, self.sampling, self.sheets = pipe, instrument, sampling, sheets
        self.clips = [draw_clip(np.random.default_rng([20260303, i]), instrument.spec, Motion(action),
                                sampling.frames, posed=0.0) for i, action in enumerate(ACTIONS * 2)]  # fmt: skip

    def __call__(self, step: int) -> dict[str, float]:
        keys = Pictures(np.stack([clip.rgb[0] for clip in self.clips]))
        prompts = [plain_caption(clip.motion) for clip in self.clips]
        made = render(self.pipe, prompts, [keys], self.sampling, seed=7)
        found = reader.read_clips(self.instrument, made)[0]
        truth = np.stack([clip.rgb for clip in self.clips])
        write_sheet(self.sheets / f"{step:06d}.png", made[: len(ACTIONS)], list(truth[: len(ACTIONS)]))
        return {"action": reader.accuracy(found, [clip.motion for clip in self.clips])["action"],
                "psnr_first": mean_psnr(frames_psnr(made[:, 0], truth[:, 0])),
                "psnr_last": mean_psnr(frames_psnr(made[:, -1], truth[:, -1]))}  # fmt: skip


def write_index(folder: Path) -> None:
    """`model_index.json`, by which `from_pretrained` knows the parts of a pipeline folder."""
    import diffusers

    classes = {"scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
               "text_encoder": ("transformers", "T5EncoderModel"), "tokenizer": ("transformers", "T5Tokenizer"),
               "transformer": ("diffusers", "LTXVideoTransformer3DModel"),
               "vae": ("diffusers", "AutoencoderKLLTXVideo")}  # fmt: skip
    index = {"_class_name": networks.PIPELINE, "_diffusers_version": diffusers.__version__, **classes}
    write_atomic(folder / "model_index.json", (json.dumps(index, indent=2) + "\n").encode())
    (folder / "model_index.json").chmod(0o644)


def export_random(folder: Path, cfg: Any, seed: int = 0) -> None:
    """A family of the sizes in `cfg` (`NetworkSettings`), untrained: the right classes and shapes, no meaning."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    parts = {"tokenizer": tokenizer, "scheduler": networks.build_scheduler(), "vae": networks.build_vae(cfg),
             "text_encoder": networks.build_text_encoder(cfg, len(tokenizer)),
             "transformer": networks.build_transformer(cfg)}  # fmt: skip
    for name, part in parts.items():
        export.save_part(part, folder, name, half=True, parts=networks.PARTS)
    write_index(folder)
