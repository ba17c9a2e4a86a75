"""The other stock pipelines for `benchmarks.engine_steps`: each with random models of its real classes, and our way.

Every side gets the same frames, steps, guidance, embeddings and first latents, and marks the beginning of its first
step and the end of each. Text encoding and VAE are left out on both sides: embeddings are handed over, latents come
back, and what the VAE of Wan VACE makes of the maps lies before the first mark. That both sides came to the same
latents is told with the figures: else they did not do the same work.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.engine_models import work_of
from tasks.bench.random_models import SIZES, Models, draw, random_models
from tasks.bench.sides import CONTROL, GUIDANCE, Marks, Work, engine_steps, inputs, network, small_vae, stock_steps

PIPELINES = ("t2v", "sparse", "sdxl", "vace")
SDXL: dict[str, Any] = {
    "block_out_channels": (64, 128, 256),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 128,
    "attention_head_dim": (2, 4, 8),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 32,
}
"""SDXL's order and numbers of layers (arXiv:2307.01952), a fifth as wide."""
POOLED = 64
"""Width of SDXL's pooled embedding here."""
MOVING = ("CrossAttnDownBlockMotion",) * 3 + ("DownBlockMotion",)
Side = Callable[[Marks], Marks]
"""Does all the work of one side and marks its steps."""


@dataclass
class Operations(Marks):
    """Marks that also note how many floating-point operations there have been so far."""

    counter: Any = None
    flops: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        super().__call__()
        self.flops.append(self.counter.get_total_flops())


def refused(args: argparse.Namespace) -> str:
    """Why a pipeline cannot be compared as it is asked for; empty: it can."""
    if args.pipeline == "vace" and args.frames % 4 != 1:
        return f"--frames: Wan VACE makes 4k+1, got {args.frames}"
    if args.pipeline != "vace" and args.frames > args.window:
        return f"--frames: {args.frames} are more than --window ({args.window}): the engine would do other work"
    if args.size == "sprite" or (args.pipeline in ("sdxl", "vace") and args.size != "small"):
        return f"--size: --pipeline {args.pipeline} has no models of size {args.size}"
    return ""


def sides(args: argparse.Namespace) -> dict[str, Side]:
    """The stock pipeline's and our own side of the pipeline that is asked for."""
    work = work_of(args)
    if args.pipeline == "vace":
        return _vace(work)
    if args.pipeline == "sdxl":
        return _sdxl(work)
    models = random_models(args.size, work.dtype, work.device, controls=0)
    return _t2v(work, models) if args.pipeline == "t2v" else _sparse(work, models, args.size)


def counted(args: argparse.Namespace) -> dict[str, Any]:
    """GFLOP per frame-step of both sides, their ratio, and how far apart their latents are.

    Attention is taken apart into products of matrices: PyTorch's counter does not know the CPU's kernel for it.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    found, latents = {}, []
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        for name, side in sides(args).items():
            with FlopCounterMode(display=False) as counter:
                marks = Operations(args.device, counter=counter)
                side(marks)
            assert len(marks.flops) == args.steps + 1, f"{name}: {len(marks.flops) - 1} steps"
            found[name] = (marks.flops[-1] - marks.flops[0]) / args.frames / args.steps / 1e9
            latents.append(marks.latents)
    first, second = found
    facts = {name: getattr(args, name) for name in ("pipeline", "size", "frames", "steps", "side_px")}
    return {
        **facts,
        "gflop_per_frame_step": {name: round(value, 3) for name, value in found.items()},
        "ratio": round(found[second] / found[first], 4),
        "apart": apart(*latents),
    }


def apart(one: Any, other: Any) -> float:
    """The largest difference of latents, of the largest value."""
    return float(f"{float((one - other).abs().max() / one.abs().max()):.1e}")


def _stock(kind: type, work: Work, models: Models, words: Any, *, parts: Mapping[str, Any], **told: Any) -> Side:
    """Calls of an AnimateDiff pipeline."""
    from diffusers import DDIMScheduler

    absent = {"text_encoder": None, "tokenizer": None, "motion_adapter": None}
    common = {"vae": small_vae(work, models), "unet": models.unet, "scheduler": DDIMScheduler(clip_sample=False)}
    pipe = kind(**absent, **common, **parts)
    pipe.set_progress_bar_config(disable=True)
    return lambda marks: stock_steps(work, pipe, words, marks, num_frames=work.frames, **told)


def _t2v(work: Work, models: Models) -> dict[str, Side]:
    from diffusers import AnimateDiffPipeline

    latents, words, _ = inputs(work, models)
    made, begun = network(work, models)
    return {
        "stock": _stock(AnimateDiffPipeline, work, models, words, parts={}, latents=latents),
        "engine": lambda marks: engine_steps(work, made, begun, [models.unet], marks),
    }


def _sparse(work: Work, models: Models, size: str) -> dict[str, Side]:
    """A SparseCtrl that reads pixels, with a picture on the first and on the last frame."""
    import numpy as np
    import torch
    from accelerate import init_empty_weights
    from diffusers import AnimateDiffSparseControlNetPipeline, SparseControlNetModel
    from PIL import Image

    from tasks.stylize.engine.sparse import SparseTrack, all_residuals

    with init_empty_weights():
        own = {"conditioning_channels": 3, "use_simplified_condition_embedding": False}
        net = SparseControlNetModel(down_block_types=MOVING, attention_head_dim=8, **own, **SIZES[size])
    dtype = getattr(torch, work.dtype)
    draw(net, 2, dtype, work.device)
    net.eval().requires_grad_(False).to(work.device)
    latents, words, maps = inputs(work, models)
    ends = [0, work.frames - 1]
    pictures = torch.from_numpy(np.array(maps[ends])).permute(0, 3, 1, 2).to(work.device, dtype) / 255
    track = SparseTrack("ends", net, pictures, ends, np.full(work.frames, CONTROL))
    made, begun = network(work, models)
    told = {
        "conditioning_frames": [Image.fromarray(maps[at]) for at in ends],
        "controlnet_frame_indices": ends,
        "controlnet_conditioning_scale": CONTROL,
    }
    kind = AnimateDiffSparseControlNetPipeline
    told_engine = replace(made, extra=all_residuals([track]))
    return {
        "stock": _stock(kind, work, models, words, parts={"controlnet": net}, latents=latents, **told),
        "engine": lambda marks: engine_steps(work, told_engine, begun, [models.unet, net], marks),
    }


def _sdxl(work: Work) -> dict[str, Side]:
    import torch
    from diffusers import AnimateDiffSDXLPipeline
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    models = _sdxl_models(work)
    latents, words, _ = inputs(work, models)
    generator, dtype = torch.Generator().manual_seed(1), getattr(torch, work.dtype)
    pooled = torch.randn(2, POOLED, generator=generator).to(work.device, dtype)
    made, begun = network(work, models)
    told = made.conditioning
    told.negative.pooled, told.positive.pooled = pooled[:1], pooled[1:]
    sizes = torch.tensor([[work.px, work.px, 0, 0, work.px, work.px]] * 2, dtype=dtype, device=work.device)
    made = replace(made, conditioning=replace(told, added={"time_ids": sizes}))
    config = CLIPTextConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, projection_dim=POOLED
    )
    parts = {"text_encoder_2": CLIPTextModelWithProjection(config), "tokenizer_2": None}  # asked for its width alone
    both = {"pooled_prompt_embeds": pooled[1:], "negative_pooled_prompt_embeds": pooled[:1]}
    return {
        "stock": _stock(AnimateDiffSDXLPipeline, work, models, words, parts=parts, latents=latents, **both),
        "engine": lambda marks: engine_steps(work, made, begun, [models.unet], marks),
    }


def _sdxl_models(work: Work) -> Models:
    import torch
    from accelerate import init_empty_weights
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

    with init_empty_weights():
        adapter = MotionAdapter(
            block_out_channels=SDXL["block_out_channels"], motion_max_seq_length=32, use_motion_mid_block=False
        )
        joined = 6 * SDXL["addition_time_embed_dim"] + POOLED
        base = UNet2DConditionModel(sample_size=128, projection_class_embeddings_input_dim=joined, **SDXL)
        unet = UNetMotionModel.from_unet2d(base, adapter, load_weights=False)
    draw(unet, 0, getattr(torch, work.dtype), work.device)
    return Models(unet.eval().requires_grad_(False).to(work.device), None, [])


def _vace(work: Work) -> dict[str, Side]:
    """A clip driven by maps with a picture of the character: the stock call, and that call as our ops replay it.

    Both are marked from the first run of the transformer on: preparing maps is not denoising. The replay has the
    journal that the op has, which keeps the state after each step; writing it to the disk is left out.
    """
    import torch
    from diffusers import WanVACEPipeline

    from tasks.animate.replay import call
    from tasks.animate.replay.journal import Journal
    from tasks.animate.replay.shell import shell
    from tests.tasks import animate_models as tiny

    parts = {**tiny.vace(), "transformer": _vace_transformer(work)}
    texts = ("she waves slowly", "still")
    arguments = {"prompt": texts[0], "negative_prompt": texts[1], **_vace_arguments(work)}
    stock = call.Stock(WanVACEPipeline, embeddings=2)
    vae, transformer = (shell(type(parts[n]), parts[n].config, dtype=torch.float32) for n in ("vae", "transformer"))
    words = {name: parts[name] for name in ("text_encoder", "tokenizer")}
    with torch.inference_mode():
        kept = call.embed(stock, words, [texts], guided=True, limit=arguments["max_sequence_length"], device="cpu")
        bare = {"scheduler": parts["scheduler"]}
        kept |= call.encode(stock, {**bare, "vae": parts["vae"], "transformer": transformer}, arguments)

    def theirs(marks: Marks) -> Marks:
        def tick(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            marks()
            return values

        pipe = stock.made(parts)
        own = {"generator": torch.Generator().manual_seed(0), "output_type": "latent", "callback_on_step_end": tick}
        with _begun(parts["transformer"], marks):
            marks.latents = pipe(**arguments, **own).frames
        return marks

    def ours(marks: Marks) -> Marks:
        journal = Journal(torch.Generator().manual_seed(0), stepped=lambda _: marks())
        real = {**bare, "vae": vae, "transformer": parts["transformer"]}
        with _begun(parts["transformer"], marks):
            (marks.latents,) = call.denoise(stock, real, arguments, journal, kept, "cpu")
        return marks

    return {"stock": theirs, "replay": ours}


def _vace_transformer(work: Work) -> Any:
    """Wan's transformer with 8 layers of 256 channels, every second of them told of the maps."""
    import torch
    from accelerate import init_empty_weights
    from diffusers import WanVACETransformer3DModel

    from tests.tasks import animate_models as tiny

    shape = {"num_attention_heads": 4, "attention_head_dim": 64, "ffn_dim": 1024, "num_layers": 8, "freq_dim": 64}
    with init_empty_weights():
        made = WanVACETransformer3DModel(text_dim=tiny.TEXT, rope_max_seq_len=256, vace_layers=[0, 2, 4, 6], **shape)
    draw(made, 0, getattr(torch, work.dtype), work.device)
    return made.eval().requires_grad_(False).to(work.device)


def _vace_arguments(work: Work) -> dict[str, Any]:
    from tests.tasks import animate_models as tiny

    return {
        "video": [tiny.picture(seed, work.px, work.px) for seed in range(work.frames)],
        "reference_images": [tiny.picture(90, work.px, work.px)],
        "height": work.px,
        "width": work.px,
        "num_frames": work.frames,
        "num_inference_steps": work.steps,
        "guidance_scale": GUIDANCE,
        "max_sequence_length": 77,
    }


@contextmanager
def _begun(model: Any, marks: Marks) -> Iterator[None]:
    """Inside the block the model's first run is marked as the beginning."""
    from tasks.animate.replay.seams import replaced

    real = model.forward

    @functools.wraps(real)
    def forward(*args: Any, **kwargs: Any) -> Any:
        if not marks.wall:
            marks()
        return real(*args, **kwargs)

    with replaced(model, "forward", forward):
        yield
