"""Settings to start from, under which as many others as can be have an effect."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import ROOT

SPARSECTRLS = "model.sparsectrls={rgb: {kind: embedded, id: sparse}, scribble: {kind: embedded, id: sparse2}}"
BASES: dict[str, Sequence[Sequence[str]]] = {
    "dance": [
        [
            *("control=[pose,lineart,depth]", "controls.lineart.mask.region=face", "controls.depth.mask.region=file"),
            *(
                "controls.depth.mask_file=$mask",
                "negative_prompt=blurred",
                "stylize.guidance_scale=4",
                "assemble.metadata={artist: me}",
            ),
            "controls.lineart.timestep_keyframes=[{at: 0.0, scale: 1.0}, {at: 0.5, scale: 0.5}]",
            "regions={wall: {prompt: green, mask: {region: background}}, "
            "sign: {prompt: red, mask: {region: file}, mask_file: $mask}}",
            *("measure=[flicker,motion,palette,ssim]", "finish=[interpolate,upscale,grain]"),
        ],
        [
            *("control=[lineart]", "measure=[pose,probe_attributes,probe_joints]", "measure.pose.embedded=true"),
            *("extract.short_side=null", "extract.width=64", "extract.height=64"),
            *("stylize.composite=keep_background", "stylize.strength=0.7", "stylize.free_init.iterations=2"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.guidance_scale=4"),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]", "model.camera=true"),
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
            "model.scheduler_config={clip_sample: false}",
        ],
        [
            *("renderer=vace", "model.base={kind: embedded, id: tiny_vace, files: null}", "extract.max_frames=17"),
            *("control=[pose,depth]", "controls.depth.weight=1", "stylize.overlay=[depth,pose]", "measure=[flicker]"),
            *("stylize.windows.frames=9", "stylize.references=[$picture]", "stylize.composite=keep_background"),
            *("controls.pose.layer_weights=[1,0.5]", "controls.depth.layer_weights=[1,0.5]"),
            *("stylize.windows.overlap=1", "prompt=the figure waves slowly and turns to the left"),
            "model.parts={tokenizer: {kind: embedded, id: tiny_vace, subfolder: tokenizer}}",
        ],
        [
            *("renderer=wan_animate", "model.base={kind: embedded, id: tiny_wan_animate, files: null}", "measure=none"),
            *("stylize.references=[$picture]", "stylize.mode=replace", "stylize.segments.frames=13"),
            *("extract.max_frames=17", "prompt=the figure waves slowly and turns to the left"),
            "model.parts={tokenizer: {kind: embedded, id: tiny_wan_animate, subfolder: tokenizer}}",
        ],
    ],
    "animate": [
        [
            *(
                "model=ltx_2b",
                "model.base={kind: embedded, id: tiny_ltx, files: null}",
                "picture=$mask",
                "last=$picture",
                "frames=17",
            ),
            *("width=64", "height=64", "prompt=she waves", "animate.num_inference_steps=4", "background='#ffffff'"),
            *("pictures=[{picture: $picture, at: 4, strength: 0.5}]", "model.scheduler_config={shift: 1.0}"),
            *("animate.loras=[{source: {kind: file, id: $ltx_lora}}]", "assemble.metadata={artist: me}"),
            "model.parts={latent_upsampler: {kind: embedded, id: tiny_ltx, subfolder: latent_upsampler}}",
            *("animate.two_pass=true", "animate.refine_steps=4", "animate.refine_strength=0.5", "finish=[grain]"),
            "animate.refine_loras=[{source: {kind: file, id: $ltx_lora}}]",
            "model.refine_scheduler_config={invert_sigmas: false}",
        ],
        [
            *(
                "model=ltx_2b",
                "model.base={kind: embedded, id: tiny_ltx, files: null}",
                f"extend={ROOT}/data/source/sample.mp4",
            ),
            *("frames=25", "width=64", "height=64", "prompt=she waves", "animate.timesteps=[1000, 500]"),
        ],
        [
            *("model=ltx_long", "model.base={kind: embedded, id: tiny_ltx, files: null}", "picture=$mask", "width=64"),
            *("height=64", "prompt=she waves", "frames=97", "+model.limits.sizes=[{width: 64, height: 64}]"),
        ],
        [
            *("model=ltx2", "model.base={kind: embedded, id: tiny_av, files: null}", "picture=$mask", "frames=17"),
            *("width=64", "height=64", "prompt=she waves"),
        ],
        [
            *("model=ltx2", "model.base={kind: embedded, id: tiny_av, files: null}", "picture=$mask", "frames=17"),
            *("width=64", "height=64", "prompt=she waves", "animate.two_pass=true", "animate.refine_loras=[]"),
            "model.parts={latent_upsampler: {kind: embedded, id: tiny_av, subfolder: latent_upsampler}}",
        ],
    ],
    "storyboard": [
        [
            *(
                "model=ltx_2b",
                "model.base={kind: embedded, id: tiny_ltx, files: null}",
                "width=64",
                "height=64",
                "frames=9",
            ),
            *("story=A girl waits. She waves.", "count=2", "keyframe.call={clip_skip: 1}"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            "keyframe.scheduler_config={clip_sample: false}",
        ],
        [
            *(
                "model=ltx_2b",
                "model.base={kind: embedded, id: tiny_ltx, files: null}",
                "width=64",
                "height=64",
                "frames=9",
            ),
            *("file=$story", "shots.1.seed=3", "shots.1.caption=Hello", "seconds=1", "film.captions.show=soft"),
            *("shots.1.transition.kind=fade", "shots.1.transition.frames=2", "shots.2.transition.kind=fade"),
        ],
        [
            *(
                "model=ltx_2b",
                "model.base={kind: embedded, id: tiny_ltx, files: null}",
                "width=64",
                "height=64",
                "frames=9",
            ),
            *("file=$story", "shots.1.frames=9", "film.captions.show=none", "background='#ffffff'", "fit=pad"),
            *("shots.1.sound=$clip", "shots.1.gain=-3"),
            *("shots.1.transition.kind=fade", "shots.1.transition.seconds=0.1"),
        ],
    ],
    "text2video": [
        [
            *(
                "frames=4",
                "width=64",
                "height=64",
                "negative_prompt=blurred",
                "stylize.guidance_scale=4",
                "assemble.metadata={artist: me}",
            ),
            *("measure=[flicker,movement,probe_attributes]", "model.scheduler_config={clip_sample: false}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            *("stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]", "model.camera=true"),
            *("model.camera=true", "moves={push: {source: {kind: file, id: $motion_lora}, weight: 0.5}}"),
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
        ],
        [
            *("frames=6", "width=64", "height=64", "model.scheduler_config={rescale_betas_zero_snr: false}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.free_init.iterations=2"),
        ],
        [
            *("frames=4", "width=64", "height=64", "motion=$clip", "control=[pose,lineart]", "measure=none"),
            "stylize.guidance_scale=4",
            "controls.lineart.timestep_keyframes=[{at: 0.0, scale: 1.0}, {at: 0.5, scale: 0.5}]",
        ],
    ],
    "loop": [
        [
            *(
                "frames=6",
                "width=64",
                "height=64",
                "negative_prompt=blurred",
                "stylize.guidance_scale=4",
                "assemble.metadata={artist: me}",
            ),
            "pictures=[{picture: $mask, at: 0, strength: 0.5}, {picture: $picture, at: 3}]",
            *("match_colour=0.5", "model.scheduler_config={clip_sample: false}", SPARSECTRLS),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "background='#ffffff'"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
            *("stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]", "model.camera=true"),
            *("model.ip_adapter={kind: file, id: $ip_adapter}", "stylize.ip_adapter={picture: $mask}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
        ],
        [
            *("frames=6", "width=64", "height=64", "stills=[red top, blue top]", "prompt=a girl", SPARSECTRLS),
            *("model.scheduler_config={rescale_betas_zero_snr: false}", "keyframe.call={clip_skip: 1}"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            *("keyframe.scheduler_config={clip_sample: false}", "stylize.free_init.iterations=2"),
        ],
    ],
    "comfyui": [
        [
            *("workflow=$graph", "server=$comfyui", "files.LoadImage.image=$mask", "inputs.Size.width=32"),
            *("output=Save", "prompt=grey", "assemble.metadata={artist: me}", "measure=[flicker]", "finish=[grain]"),
        ]
    ],
    "timeframe": [
        [
            "track=0-3: red top --pic $mask; 3-6: blue top --pic $picture --by sparsectrl; 6-8: green top",
            *(
                "width=64",
                "height=64",
                "negative_prompt=blurred",
                "stylize.guidance_scale=4",
                "assemble.metadata={artist: me}",
                SPARSECTRLS,
            ),
            *("model.scheduler_config={clip_sample: false}", "background='#ffffff'", "prompt=a girl"),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1"),
            *(f"{key}=[{{source: {{kind: file, id: $lora}}}}]" for key in ("stylize.loras", "model.loras")),
            *("stylize.motion_loras=[{source: {kind: file, id: $motion_lora}}]", "model.camera=true"),
        ],
        [
            *("track=0-3: red top; 3-6: blue top", "drawn=true", "width=64", "height=64", "by=ip_adapter"),
            *("model.scheduler_config={rescale_betas_zero_snr: false}", "keyframe.call={clip_skip: 1}", SPARSECTRLS),
            *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "measure=none"),
            *("stylize.windows.context_schedule=looped-uniform", "stylize.free_init.iterations=2"),
            "keyframe.parts={vae: {kind: embedded, id: sprite, subfolder: vae}}",
            *("keyframe.scheduler_config={clip_sample: false}", "model.ip_adapter={kind: file, id: $ip_adapter}"),
            "model.ip_image_encoder={kind: embedded, id: sprite, subfolder: unet}",
            *("prompt=a girl with embedding:bad hair", "stylize.embeddings={bad: {kind: file, id: $embedding}}"),
        ],
    ],
    "compare": [["sweep_id=x"]],
}
"""Settings to start from, by flow; a flow that is not here starts from its defaults."""
BASES["bakeoff"] = BASES["animate"]
SMALL = ("extract.max_frames=4", "extract.short_side=64", "stylize.num_inference_steps=4", "paths.output=$here/out")
DECIDED = ("compute.dtype=float32", "compute.memory_format=contiguous")
"""Of every base where the flow has these settings: a dry run takes little, and nothing is left to the machine."""
