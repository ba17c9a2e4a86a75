"""Bad inputs of `animate`: pictures, places, sizes and lengths that its models do not make; nothing is fetched."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases

FILM = "animate model=ltx_2b 'prompt=the girl waves slowly'"
LONG = "a" * 5000

ANIMATE = [
    case("animate picture=a.png 'prompt=she waves'", "model: none is named", "model=ltx_distilled"),
    case("animate model=sd15 picture=a.png", "model: the chosen one has no advice.frames", "rotoscope models"),
    case("animate model=ltx_3b", "model=ltx_3b: no such choice; nearest: ltx_13b"),
    case("animate model=ltx_2b picture=a.png", "prompt: model ltx_2b needs one"),
    *cases(
        FILM,
        ("seed=1", "picture: there is none", "picture=key.png"),
        ("picture=", "picture: there is none"),
        ("picture=nowhere.png", "picture: there is no file nowhere.png"),
        ("picture=/", "picture: the folder / holds no pictures"),
        ("picture=/dev/zero", "picture: /dev/zero is neither a regular file nor a folder"),
        ("picture=https://example.org/a.png", "picture", "only local files are read"),
        (f"picture={LONG}", "picture", "5000 bytes, at most 255"),
        ("last=nowhere.png", "last: there is no file nowhere.png"),
        ("loop=true", "loop ends with the picture that the film begins with, and there is none"),
        ("loop=maybe", "loop"),
        ("extend=nowhere.mp4", "extend: there is no file nowhere.mp4"),
        ("pictures=[{picture: b.png}]", "pictures.0.at: a value is needed"),
        ("pictures=[{picture: b.png, at: -1}]", "pictures.0.at"),
        ("pictures=[{picture: b.png, at: end}]", "pictures.0.at", "last"),
        ("pictures=[{picture: b.png, at: 97}]", "pictures.0: frame 97 is past the end: 97 frames"),
        ("pictures=[{picture: b.png, at: 8, strength: 2}]", "pictures.0.strength"),
        ("pictures=b.png", "pictures: must be a valid list"),
        ("track=0-4: red", "track: this schedule has no pictures", "kind: track"),
        ("track=@nowhere.yaml", "cannot read the schedule nowhere.yaml"),
        ("frames=120", "frames: model ltx_2b makes 8k+1, 9 to 257 frames, got 120", "frames=121, or snap=nearest"),
        ("frames=257", "more than the 257", "frames=249"),
        ("frames=1000000", "frames: model ltx_2b makes 8k+1", "frames=257"),
        ("frames=0", "frames: must be greater than or equal to 1"),
        ("frames=many", "frames: must be a valid integer"),
        ("fps=0", "fps: must be greater than 0"),
        ("fps=inf", "fps: must be a finite number"),
        ("fps=120", "fps: model ltx_2b makes 1 to 60 frames a second, got 120"),
        ("snap=maybe", "snap", "'error' or 'nearest'"),
        ("fit=squeeze", "fit", "'crop', 'pad' or 'stretch'"),
        ("background=red", "background"),
        ("strength=0", "strength: must be greater than 0"),
        ("strength=nan", "strength: must be a finite number"),
        ("seed=-1", "seed: must be greater than or equal to 0"),
        ("animate.two_pass=true", "animate.two_pass: model ltx_2b names no latent upsampler"),
        ("animate.extra_frames=5", "animate.extra_frames: model ltx_2b makes multiples of 8 more, got 5"),
        ("animate.timesteps=[1,2]", "animate.timesteps: must descend"),
        ("animate.timesteps=[2000,1]", "animate.timesteps: must lie in 0 to 1000"),
        ("animate.num_inference_steps=0", "animate.num_inference_steps: must be greater than or equal to 1"),
        ("animate.guidance=3", "unknown key 'animate.guidance'", "animate.guidance_scale"),
        ("animate.loras=[{}]", "animate.loras.0.source: a value is needed"),
        ("model.call={stg_scale: 1}", "model.call: stg_scale is not set there"),
        ("model.architecture=ltx3", "of architecture 'ltx3'", "nearest: ltx, ltx2"),
        ("model.limits.frames=5", "model.limits.frames"),
    ),
]
