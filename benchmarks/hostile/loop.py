"""Bad inputs of `loop`: pictures, places, words and SparseCtrls that do not go together; nothing is rendered."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases
from benchmarks.hostile.made import fifo, file, picture, together

SPARSE = "'model.sparsectrls={rgb: {kind: embedded, id: sprite, subfolder: controlnet_openpose}}'"
HELD = f"loop {SPARSE}"
DRAWN = f"{HELD} stills=[a]"
TWO = f"{HELD} pictures=[a.png,b.png]"
SAME, OTHER = together(picture("a.png"), picture("b.png")), together(picture("a.png"), picture("b.png", (64, 48)))

LOOP = [
    case("loop pictures=[a.png] kind=lines", "model sprite has no SparseCtrl 'lines'; it has: rgb", make=SAME),
    case(
        "loop kind=scribble pictures=[a.png]",
        "model sprite has no SparseCtrl 'scribble'; it has: rgb",
        "kind=rgb",
        make=SAME,
    ),
    case("loop model=sd15 kind=sribble pictures=[a.png]", "nearest: scribble", make=SAME),
    case(TWO, "is a ControlNetModel, not a SparseControlNetModel", make=SAME),
    case(TWO, "b.png is 64x48 px, a.png 64x64", "pictures of one size", make=OTHER),
    case(f"{HELD} pictures=[a.png]", "pictures.0", make=file("a.png", b"no picture")),
    case(f"{HELD} pictures=[a.png]", "pictures.0", "neither a regular file nor a folder", make=fifo("a.png")),
    case(f"{HELD} pictures=[a.png]", "a.png is 16x16 px, 32 px a side are the least", make=picture("a.png", (16, 16))),
    case(f"{HELD} pictures=[a.png]", "cropping would cut", make=picture("a.png", (400, 64))),
    case(f"{HELD} pictures=[a.png]", "pictures.0", make=picture("a.png", frames=3)),
    case(f"{TWO} frames=8", "a loop of 8 frames is shorter than a window", make=SAME),
    case(f"{TWO} width=100 height=64", "sides must be multiples of 8 px", "width=96", make=SAME),
    case(f"{TWO} stylize.strength=0.5", "stylize.strength: there is no source", make=SAME),
    case(f"{TWO} stylize.windows.context_length=32 frames=40", "32 frames are over the motion module's", make=SAME),
    case(f"{TWO} stylize.scheduler=pndm", "scheduler pndm does not work with model sprite", make=SAME),
    case(f"{TWO} 'stylize.loras=[{{source: {{kind: file, id: nowhere.safetensors}}}}]'", "nowhere", make=SAME),
    case(f"{TWO} 'prompt=a' 'prompt_schedule=0: b'", "prompt and prompt_schedule are both given", make=SAME),
    case(f"{TWO} reference=nowhere.png", "reference: there is no file nowhere.png", make=SAME),
    case(f"{DRAWN} pictures=[a.png]", "and both are given"),
    case(f"{DRAWN} width=1024 height=1024", "keyframe: sprite draws 65,536 px at most"),
    case(f"{DRAWN} kind=scribble preprocess=[lineart_standard,hed]", "one of them draws the lines"),
    *cases(
        HELD,
        ("seed=1", "pictures, stills: a loop comes to pictures that are given or drawn, and there are none"),
        ("pictures=[]", "there are none"),
        ("pictures=[nowhere.png]", "pictures.0: there is no file nowhere.png"),
        ("pictures=['']", "is empty: name a file"),
        ("pictures=[/]", "pictures.0: the folder / holds no pictures"),
        ("pictures=[/dev/zero]", "/dev/zero is neither a regular file nor a folder"),
        ("pictures=[https://example.org/a.png]", "only local files are read"),
        ("pictures=nowhere.png", "pictures: must be a valid list"),
        ("pictures=[3]", "pictures"),
        ("pictures=[{at: 3}]", "pictures.0.picture: a value is needed"),
        ("pictures=[{picture: a.png, at: -1}]", "pictures.0.at"),
        ("pictures=[{picture: a.png, at: 16}]", "frame 16 lies past the end of 16 frames"),
        ("pictures=[{picture: a.png, at: 8}, {picture: b.png, at: 2}]", "`at` must ascend, got [8, 2]"),
        ("pictures=[{picture: a.png, at: 8}, {picture: b.png}]", "`at` for all of them, or for none"),
        ("pictures=[{picture: a.png, strength: 0}]", "pictures.0.strength: must be greater than 0"),
        ("pictures=[{picture: a.png, strength: 3}]", "pictures.0.strength: must be less than or equal to 2"),
        ("pictures=[{picture: a.png, strenght: 1}]", "unknown key 'pictures.0.strenght'", "nearest: strength"),
        ("stills=a", "stills: must be a valid list"),
        ("stills=['(a:nan)']", "stills.0: 'nan' at character"),
    ),
    *cases(
        DRAWN,
        ("keyframe=picture", "stills: keyframe=picture draws none"),
        ("keyframe=sprit", "keyframe=sprit: no such choice"),
        ("frames=0", "frames: must be greater than or equal to 1"),
        ("frames=20000", "frames: must be less than or equal to 10000"),
        ("fps=nan", "fps: must be a finite number"),
        ("width=64", "width and height: give both, or neither"),
        ("strength=0", "strength: must be greater than 0"),
        ("strength=inf", "strength: must be a finite number"),
        ("match_colour=2", "match_colour: must be less than or equal to 1"),
        ("match_colour=yes", "match_colour"),
        ("approve=no", "approve", "'ask' or 'yes'"),
        ("preprocess=[lineart_standard]", "preprocess: kind=rgb reads the pictures themselves"),
        ("stylize.windows.closed_loop=false", "would leave a seam"),
        ("stylize.windows.context_schedule=standard-static", "closed_loop needs windows that run over"),
        ("draw.num_inference_steps=0", "draw.num_inference_steps"),
        ("clip=a.mp4", "unknown key 'clip'"),
        ("control=[pose]", "control=[pose]: loop chooses nothing of conf/control"),
        ("seed=-1", "seed: must be greater than or equal to 0"),
        ("fit=squeeze", "fit", "'crop', 'pad' or 'stretch'"),
        ("background=red", "background: must be a colour as #rrggbb"),
        ("prompt_schedule=@nowhere.yaml", "cannot read the schedule nowhere.yaml"),
        ("model=sdxl_beta", "model"),
        ("model=ltx_2b", "model"),
    ),
]
