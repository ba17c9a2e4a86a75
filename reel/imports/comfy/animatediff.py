"""Nodes of AnimateDiff-Evolved: motion modules, context windows, FreeInit."""

from __future__ import annotations

from reel.imports.comfy.rows import Go, Input, Is, No, Plain, Row

_MOTION_WIRES: dict[str, Input] = {
    "motion_lora": Go(),
    "ad_settings": No("changes to the motion module's weights have no counterpart"),
    "ad_keyframes": No("the motion module counts the same for all steps"),
    "scale_multival": No("the motion module counts as it was trained"),
    "effect_multival": No("the motion module counts as it was trained"),
    "per_block": No("the motion module counts as it was trained"),
}
_CONTEXT: dict[str, Input] = {
    "context_length": Is("windows.length"),
    "context_stride": Is("windows.stride"),
    "context_overlap": Is("windows.overlap"),
    "closed_loop": Is("windows.closed_loop"),
    "fuse_method": Is("windows.fuse"),
    "use_on_equal_length": Plain((False,), "clips no longer than a window need none here"),
    "start_percent": Plain((0, 0.0), "windows are the same for all steps"),
    "guarantee_steps": Plain((1, 0), "windows are the same for all steps"),
    "prev_context": No("windows are the same for all steps"),
    "view_opts": No("views inside of windows have no counterpart"),
}
_LOOPED = "looped-uniform"
_NOISE = Plain(
    ("autoselect", "sqrt_linear (AnimateDiff)", "use existing"),
    "the family's own schedule of noise (model.scheduler_config)",
)
_BETA: dict[str, Input] = {"beta_schedule": _NOISE, "model": Go("model")}
ANIMATEDIFF: dict[str, Row] = {
    "ADE_AnimateDiffLoaderGen1": Row(
        {"model_name": Is("motion"), **_BETA, "context_options": Go(), "sample_settings": Go(), **_MOTION_WIRES}
    ),
    "ADE_AnimateDiffLoaderWithContext": Row(
        {
            "model_name": Is("motion"),
            **_BETA,
            "context_options": Go(),
            "sample_settings": Go(),
            "motion_lora": Go(),
            "motion_model_settings": No("changes to the motion module's weights have no counterpart"),
            "motion_scale": Plain((1, 1.0), "the motion module counts as it was trained"),
            "apply_v2_models_properly": Plain((True,), "v2 modules are always applied properly"),
        }
    ),
    "ADE_UseEvolvedSampling": Row({**_BETA, "m_models": Go(), "context_options": Go(), "sample_settings": Go()}),
    "ADE_ApplyAnimateDiffModelSimple": Row({"motion_model": Go(), **_MOTION_WIRES}),
    "ADE_ApplyAnimateDiffModel": Row(
        {
            "motion_model": Go(),
            **_MOTION_WIRES,
            "start_percent": Plain((0, 0.0), "the motion module counts for all steps"),
            "end_percent": Plain((1, 1.0), "the motion module counts for all steps"),
            "prev_m_models": No("one motion module is used"),
        }
    ),
    "ADE_LoadAnimateDiffModel": Row({"model_name": Is("motion"), "ad_settings": _MOTION_WIRES["ad_settings"]}),
    "ADE_AnimateDiffLoRALoader": Row(
        {
            "name": Is("motion_lora.file"),
            "lora_name": Is("motion_lora.file"),
            "strength": Is("motion_lora.weight"),
            "prev_motion_lora": Go(),
        },
        opens="motion_lora",
    ),
    "ADE_StandardStaticContextOptions": Row(_CONTEXT, gives={"windows.schedule": "standard-static"}),
    "ADE_StandardUniformContextOptions": Row(_CONTEXT, gives={"windows.schedule": "standard-uniform"}),
    "ADE_LoopedUniformContextOptions": Row(_CONTEXT, gives={"windows.schedule": _LOOPED}),
    "ADE_AnimateDiffUniformContextOptions": Row(
        {**_CONTEXT, "context_schedule": Plain(("uniform",), "windows are uniform here")},
        gives={"windows.schedule": _LOOPED},
    ),
    "ADE_AnimateDiffSamplingSettings": Row(
        {
            "batchoffset": Plain((0,), "noise is drawn from the seed as it is"),
            "noise_type": Is("noise"),
            "seed_gen": Plain(("comfy",), "noise is drawn in one way"),
            "seedoffset": Plain((0,), "noise is drawn from the seed as it is"),
            "adapt_denoise_steps": Plain((False,), "strength divides the steps"),
            "noise_layers": No("noise is drawn once"),
            "iteration_opts": Go(),
            "custom_cfg": Go(),
            "sigma_schedule": No("the scheduler's own"),
            "image_inject": No("pictures are not mixed in between the steps"),
        }
    ),
    "ADE_IterationOptsFreeInit": Row(
        {
            "iterations": Is("free_init.iterations"),
            "filter": Is("free_init.method"),
            "d_s": Is("free_init.spatial"),
            "d_t": Is("free_init.temporal"),
            "n_butterworth": Is("free_init.order"),
            "sigma_step": Plain((999,), "noise is added to the last step's level"),
            "apply_to_1st_iter": Plain((False,), "the first round begins from plain noise"),
            "init_type": No("rounds begin as in the paper"),
            "iter_batchoffset": Plain((0,), "noise is drawn from the seed as it is"),
            "iter_seedoffset": No("noise of a round is drawn from the seed as it is"),
        }
    ),
    "ADE_IterationOptsDefault": Row({"iterations": Plain((1,), "rounds without FreeInit have no counterpart")}),
    "ADE_CustomCFGSimple": Row({"cfg": Is("cfg"), "cfg_extras": No("guidance is plain here")}),
    "ADE_EmptyLatentImageLarge": Row(
        {"width": Is("width"), "height": Is("height"), "batch_size": Is("frames")}, gives={"empty": True}
    ),
}
