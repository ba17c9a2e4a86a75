"""Bad inputs of `animate`: pictures, places, sizes and lengths that its models do not make; nothing is fetched."""

from __future__ import annotations

from benchmarks.hostile.case import Case, case, cases
from benchmarks.hostile.made import fifo, file, picture, png

FILM = "animate model=ltx_2b 'prompt=the girl waves slowly'"
LONG = "a" * 5000
SVD, WAN = "animate model=svd", "animate model=wan22 'prompt=the girl waves slowly'"
LTX2 = "animate model=ltx2 'prompt=the girl waves slowly'"
COG, HUNYUAN = (f"animate model={name} 'prompt=the girl waves slowly'" for name in ("cogvideox", "hunyuan15"))
SHOWN = picture("a.png", (640, 480))


def shown(flow: str, *rows: tuple[str, ...]) -> list[Case]:
    """Cases of one command with a picture: further arguments, and what must be said of them."""
    return [case(f"{flow} picture=a.png {more}", *said, make=SHOWN) for more, *said in rows]


ANIMATE = [
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
        ("background=red", "background: must be a colour as #rrggbb"),
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
    *cases(
        FILM,
        ("strength=true", "strength: must be a number, true is not one"),
        ("frames=true", "frames: must be a number, true is not one"),
        ("track=@/dev/zero", "the schedule /dev/zero is not a regular file"),
        ("animate.guidance_scale=nan", "animate.guidance_scale: must be a finite number"),
        ("animate.storage=float4", "animate.storage: must be 'same' or 'float8'"),
        ("pictures=[{picture: '', at: 5}]", "pictures.0.picture: is empty"),
    ),
    *shown(
        SVD,
        ("prompt=waves", "prompt: model svd reads none", "prompt=''"),
        ("frames=26", "frames: model svd makes any number, 8 to 25 frames, got 26", "frames=25"),
        ("fps=7.5", "fps: model svd makes 3 to 30 (whole numbers) frames a second, got 7.5", "fps=8"),
        ("animate.timesteps=[1000,500]", "animate.timesteps: model svd does not read it"),
        ("animate.decode_tiling=true", "animate.decode_tiling: model svd does not read it"),
        ("animate.two_pass=true", "animate.two_pass: model svd names no latent upsampler"),
        ("last=a.png", "pictures: model svd takes 1 at most, got 2"),
        ("strength=0.5", "picture: model svd holds a frame to its picture as it is"),
        ("width=1020 height=576", "width: sides must be multiples of 8 px", "width=1024"),
        ("width=1024 height=1024", "1024x1024 are more pixels than model svd makes"),
        ("+model.call.speed=2", "model.call: speed is not set there", "motion_bucket_id"),
    ),
    *shown(
        WAN,
        ("frames=80", "frames: model wan22 makes 4k+1, 5 to 81 frames, got 80", "frames=81"),
        ("fps=24", "fps: model wan22 makes 16 frames a second, got 24", "finish=[interpolate]"),
        ("animate.picture_noise=0.1", "animate.picture_noise: model wan22 does not read it"),
        ("animate.guidance_rescale=0.5", "animate.guidance_rescale: model wan22 does not read it"),
        ("animate.extra_frames=3", "animate.extra_frames: model wan22 makes multiples of 4 more, got 3"),
        ("'pictures=[{picture: a.png, at: 40}]'", "the first and the last frame alone"),
    ),
    *shown(
        LTX2,
        ("animate.two_pass=true width=736 height=512", "width: sides must be multiples of 64 px", "width=768"),
        ("animate.two_pass=true animate.refine_timesteps=null", "would begin at noise alone", "[909.375,725,421.875]"),
        ("animate.two_pass=true animate.refine_strength=0.4", "animate.refine_strength: model ltx2 does not read it"),
        (
            "animate.two_pass=true animate.refine_guidance_scale=-1",
            "animate.refine_guidance_scale: must be greater than",
        ),
        ("animate.two_pass=true animate.refine_loras=[{}]", "animate.refine_loras.0.source: a value is needed"),
        ("+model.refine_call.stg_scael=1", "model.refine_call: stg_scael is not set there"),
    ),
    case(f"{WAN} last=a.png", "picture: model wan22 needs one at the first frame", make=SHOWN),
    case("animate model=wan21_flf prompt=waves picture=a.png", "needs the first and the last frame", make=SHOWN),
    case("animate model=wan22_5b prompt=waves picture=a.png last=a.png", "takes 1 at most, got 2", make=SHOWN),
    *shown(
        COG,
        ("frames=81", "frames: model cogvideox makes 49 frames, got 81", "frames=49"),
        ("width=768 height=480", "it makes 720x480 alone", "width=720 height=480"),
        ("prompt=", "prompt: model cogvideox needs one"),
    ),
    *shown(
        HUNYUAN,
        ("width=832 height=480", "makes 832x480 into another size", "width=848 height=480"),
        ("frames=120", "frames: model hunyuan15 makes 4k+1, 5 to 121 frames, got 120"),
    ),
    case(f"{FILM} picture=x.png last=x.png loop=true", "loop ends with the first picture and last with another"),
    case(f"{FILM} picture=x.png extend=x.mp4", "picture and extend both say what the film begins with"),
    case(f"{FILM} picture=x.png", "picture: x.png is neither a regular file nor a folder", make=fifo("x.png")),
    case(f"{FILM} picture=x.png", "picture: x.png has too many px", make=png("x.png", 60_000, 60_000)),
    case(f"{FILM} picture=x.png", "picture: x.png is 8x8 px, 32 px a side", make=picture("x.png", (8, 8))),
    case(f"{FILM} picture=x.png", "picture: x.png is not", make=file("x.png", "some text")),
    case(f"{FILM} picture=d", "picture: d is a folder", "picture=d/1.png", make=picture("d/1.png")),
]
