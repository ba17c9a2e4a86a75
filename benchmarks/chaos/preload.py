"""What a run imports before it works, imported once: each run is forked from a process that has done so.

A fork costs milliseconds where imports cost seconds. It is a process like any other: its own group to be killed in, its
own files and locks. Nothing that is imported here may start a thread or hold a lock; that is checked.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import threading

NAMES = (
    *("flows.cli", "flows.config.compose", "flows.config.engine", "flows.edge.entry", "flows.dance.flow"),
    *("flows.search.flow", "flows.search.run", "flows.compare.flow", "flows.sweep.sweep", "flows.sweep.sweeper"),
    *("prefect.flow_engine", "prefect.task_engine", "prefect.main", "hydra.main"),
    *("tasks.extract", "tasks.assemble", "tasks.pick", "tasks.preprocess.blazepose", "tasks.preprocess.pose_map"),
    *("tasks.stylize.encode", "tasks.stylize.embed", "tasks.stylize.denoise", "tasks.stylize.decode"),
    *("av", "cv2", "numpy", "scipy.stats", "optuna", "matplotlib.figure", "ai_edge_litert.interpreter"),
    *("torch", "safetensors.torch", "transformers.models.clip.modeling_clip"),
    *("diffusers.models.autoencoders.autoencoder_kl", "diffusers.models.unets.unet_motion_model"),
    *(
        "diffusers.models.controlnets.controlnet",
        "diffusers.schedulers.scheduling_ddim",
        "diffusers.loaders.ip_adapter",
    ),
    *("diffusers.pipelines.animatediff.pipeline_animatediff_video2video", "diffusers.loaders.textual_inversion"),
    *("flows.prefect_server.address", "reel.estimate", "reel.log_lines", "tasks.media.export", "tasks.tracking.render"),
    *("tasks.measure.flicker", "tasks.measure.flow", "tasks.networks.kernels", "tasks.stylize.job.render"),
    *("tasks.stylize.engine.walk", "tasks.stylize.engine.network", "scipy.signal", "ffmpeg", "imageio_ffmpeg"),
    *("prefect.utilities.visualization", "graphviz", "anyio._backends._asyncio", "PIL.JpegImagePlugin"),
)
ANIMATE = (
    *(
        "flows.animate.flow",
        "flows.animate.plan",
        "tasks.animate.denoise",
        "tasks.animate.embed",
        "tasks.animate.encode",
    ),
    *("tasks.animate.decode", "transformers.models.t5.modeling_t5", "transformers.models.t5.tokenization_t5"),
    *("diffusers.models.autoencoders.autoencoder_kl_ltx", "diffusers.models.transformers.transformer_ltx"),
    *("diffusers.pipelines.ltx.pipeline_ltx_condition", "diffusers.schedulers.scheduling_flow_match_euler_discrete"),
)
STORYBOARD = (
    *("flows.storyboard.flow", "flows.storyboard.plan", "tasks.keyframe.draw", "tasks.keyframe.sheet"),
    *("tasks.film.build", "tasks.film.mix", "tasks.film.cut", "tasks.compare.story_page", "reel.story.file"),
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
)
COMFYUI = (
    *("flows.comfyui.flow", "tasks.comfyui.run", "tasks.comfyui.frames", "tasks.comfyui.messages", "httpx"),
    "websockets.sync.client",
)

for name in (*NAMES, *ANIMATE, *STORYBOARD, *COMFYUI):
    with contextlib.suppress(ImportError):  # a part that this machine lacks is imported by the run that needs it
        importlib.import_module(name)
with contextlib.suppress(
    ImportError, AttributeError
):  # a thousand expressions that transformers compiles once a process
    importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("clip")
gc.freeze()  # forks share what a collection would write to
if threading.active_count() != 1:
    raise RuntimeError(f"an import has started threads, so no fork is safe: {threading.enumerate()}")
