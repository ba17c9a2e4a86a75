"""What a run imports before it works, imported once: each run is forked from a process that has done so.

A fork costs milliseconds where imports cost seconds. It is a process like any other: its own group to be killed in, its
own files and locks. Nothing that is imported here may start a thread or hold a lock; that is checked.
"""

from __future__ import annotations

import contextlib
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
    *("diffusers.models.controlnets.controlnet", "diffusers.schedulers.scheduling_ddim"),
)

for name in NAMES:
    with contextlib.suppress(ImportError):  # a part that this machine lacks is imported by the run that needs it
        importlib.import_module(name)
if threading.active_count() != 1:
    raise RuntimeError(f"an import has started threads, so no fork is safe: {threading.enumerate()}")
