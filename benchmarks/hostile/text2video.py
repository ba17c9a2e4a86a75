"""Bad inputs of `text2video`: what needs a source, sizes and lengths, words and schedules; nothing is rendered."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases

TEXT = "text2video"

TEXT2VIDEO = [
    *cases(
        TEXT,
        ("clip=a.mp4", "unknown key 'clip'"),
        ("extract.fps=8", "unknown key 'extract"),
        ("control=[pose]", "control=[pose] follows a clip's maps, and none is named", "motion=walk.mp4"),
        ("motion=nowhere.mp4", "motion names a clip, and no control follows its maps", "control=[pose]"),
        ("motion_start=-1", "motion_start: must be greater than or equal to 0"),
        ("regions={}", "unknown key 'regions'"),
        ("strength_schedule=0: 1", "unknown key 'strength_schedule'"),
        ("stylize.strength=0.5", "stylize.strength: there is no source", "stylize.strength=1"),
        ("stylize.strength=0", "stylize.strength: must be greater than 0"),
        ("stylize.composite=keep_background", "stylize.composite: there is no source"),
        ("frames=0", "frames: must be greater than or equal to 1"),
        ("frames=-3", "frames: must be greater than or equal to 1"),
        ("frames=1000000", "frames: must be less than or equal to 10000"),
        ("frames=many", "frames"),
        ("frames=2.5", "frames"),
        ("frames=true", "frames: must be a number, true is not one"),
        ("fps=0", "fps: must be greater than 0"),
        ("fps=nan", "fps: must be a finite number"),
        ("fps=source", "fps"),
        ("width=100", "sides must be multiples of 8 px", "width=96"),
        ("height=100", "sides must be multiples of 8 px", "height=96"),
        ("width=0", "width: must be greater than or equal to 8"),
        ("width=100000", "width: must be less than or equal to 8192"),
        ("height=-8", "height: must be greater than or equal to 8"),
        ("width=wide", "width"),
        ("seed=-1", "seed: must be greater than or equal to 0"),
        ("seed=1e99", "seed"),
        ("prompt=", "prompt"),
        ("prompt=(girl:nan)", "prompt"),
        ("prompt_schedule=0 red", "prompt_schedule"),
        ("prompt_schedule=@nowhere.yaml", "cannot read the schedule nowhere.yaml"),
        ("guidance_schedule=0: 99", "guidance_schedule"),
        ("model=ltx_2b", "model"),
        ("model=sd16", "model=sd16: no such choice"),
        ("model=hotshot_xl", "model=hotshot_xl: no such choice"),
        ("stylize.scheduler=pndm", "scheduler pndm does not work with model sprite"),
        ("stylize.num_inference_steps=0", "stylize.num_inference_steps"),
        ("stylize.guidance_scale=-1", "stylize.guidance_scale: must be greater than or equal to 0"),
        ("stylize.free_init.iterations=2", "stylize.free_init: the noise of model sprite leaves nothing"),
        ("stylize.ip_adapter={picture: a.png}", "ip_adapter"),
        ("stylize.loras=[{source: {kind: file, id: nowhere.safetensors}}]", "nowhere.safetensors"),
        ("camera=[zoom_in]", "camera: zoom_in is made for AnimateDiff's v2 motion module", "model=sd15_v2"),
        ("camera=[zoom]", "camera=zoom: no such choice", "zoom_in"),
        ("moves.zoom_in.weight=1", "'zoom_in' is a choice of camera that is not chosen", "camera=[...,zoom_in]"),
        ("moves={mine: {weight: 1}}", "'moves.mine'", "one of your own needs all keys that the others have"),
        ("assemble.format=avi", "assemble.format"),
        ("assemble.fps=0", "assemble.fps"),
        ("mesure=none", "mesure"),
        ("measure=[fliker]", "measure"),
    ),
    *(
        case(f"text2video model=sdxl_beta {given}", f"{key}: model sdxl_beta is an SDXL family, drawn by words alone")
        for given, key in (
            ("stylize.clip_skip=1", "stylize.clip_skip"),
            ("'stylize.loras=[{source: {kind: file, id: a.safetensors}}]'", "stylize.loras"),
            ("'stylize.embeddings={mine: {kind: file, id: a.safetensors}}'", "stylize.embeddings"),
            ("'stylize.ip_adapter={picture: a.png}'", "stylize.ip_adapter"),
            ("control=[pose] motion=a.mp4", "control"),
        )
    ),
    case("text2video model=sdxl_beta camera=[zoom_in]", "camera: zoom_in is made for AnimateDiff's v2 motion module"),
    case("text2video model=sdxl_beta stylize.scheduler=lcm", "scheduler lcm does not work with model sdxl_beta"),
    case("text2video control=[pose] motion=nowhere.mp4", "motion: there is no file nowhere.mp4"),
    case("text2video control=[pose] motion=/dev/zero", "motion: /dev/zero is neither a regular file nor a folder"),
    case("text2video control=[edges] motion=a.mp4", "canny", "model sprite"),
    case(
        "text2video stylize.windows.closed_loop=true stylize.windows.context_schedule=looped-uniform frames=8",
        "a loop of 8 frames is shorter than a window",
    ),
    case("text2video stylize.windows.context_length=32 frames=40", "32 frames are over the motion module's window"),
    case("text2video prompt=red top prompt_schedule=x", "top"),
    case("text2video 'prompt=red top' 'prompt_schedule=0: x'", "prompt and prompt_schedule are both given"),
]
