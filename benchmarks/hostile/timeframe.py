"""Bad inputs of `timeframe`: tracks, pictures and what holds to them that do not go together; nothing is rendered."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases
from benchmarks.hostile.made import file, picture, together

TRACK = "'track=0-8: --pic a.png; 8-16: --pic b.png'"
TWO = f"timeframe {TRACK}"
DRAWN = "timeframe 'track=0-8: red top; 8-16: blue top' drawn=true approve=yes"
SAME, OTHER = together(picture("a.png"), picture("b.png")), together(picture("a.png"), picture("b.png", (64, 48)))

TIMEFRAME = [
    case("timeframe", "track: there is none", "track=@wink.yaml"),
    case(TWO, "b.png is 64x48 px, a.png 64x64", "pictures of one size", make=OTHER),
    case(TWO, "track: there is no file b.png", make=picture("a.png")),
    case(TWO, "track", make=together(file("a.png", b"no picture"), picture("b.png"))),
    case(f"{TWO} by=sparsectrl sparsectrl.kind=scribble", "has no SparseCtrl 'scribble'", "kind=rgb", make=SAME),
    case("timeframe 'track=0s-1s: --pic a.png; 0.5s-2s: --pic b.png' frames=16", "0-8 and 4-16 overlap", make=SAME),
    case("timeframe 'track=0%-60%: --pic a.png; 50%-100%: --pic b.png' frames=16", "0-9 and 8-16 overlap", make=SAME),
    case(
        "timeframe 'track=0s-2s: --pic a.png; 2s-4s: --pic b.png' frames=16", "begins at frame 16 lies past", make=SAME
    ),
    case("timeframe 'track=0: --pic a.png; 20: --pic b.png' frames=12", "begins at frame 20 lies past", make=SAME),
    case(f"{TWO} by=ip_adapter", "model sprite names no IP-Adapter weights", "by=tile", make=SAME),
    case(f"{TWO} frames=12", "the range 8-16 lies past the end: the clip has 12 frames", "frames=16", make=SAME),
    case(f"{TWO} width=100 height=64", "sides must be multiples of 8 px", "width=96", make=SAME),
    case(f"{TWO} width=64", "width and height: give both, or neither", make=SAME),
    case(f"{TWO} stylize.strength=0.5", "stylize.strength: there is no source", make=SAME),
    case(f"{TWO} stylize.scheduler=pndm", "scheduler pndm does not work with model sprite", make=SAME),
    case(f"{TWO} model=sd15_v2 by=tile tile.weight=0", "tile.weight: must be greater than 0", make=SAME),
    case(f"{TWO} stylize.windows.context_length=32 frames=40", "32 frames are over the motion module's", make=SAME),
    case(f"{TWO} renderer=animate animator=sd15", "animator: sd15 does not animate pictures", make=SAME),
    case(f"{TWO} renderer=animate animator=ltx_3b", "ltx_3b: no such choice", make=SAME),
    case(f"{DRAWN} renderer=animate", "renderer: animate takes pictures that lie in files", "key_picture_1.png"),
    case(f"{DRAWN} width=1024 height=1024", "keyframe: sprite draws 65,536 px at most"),
    case(f"{DRAWN} keyframe=picture", "drawn: keyframe=picture draws none"),
    case("timeframe 'track=0-8: red top; 8-16: blue top'", "track: no range has a picture", "drawn=true"),
    case("timeframe 'track=0s-1s: --pic a.png'", "so its length is not known", "frames=46", make=SAME),
    case("timeframe 'track=0-8: --pic a.png; 4-12: --pic b.png'", "the ranges 0-8 and 4-12 overlap", make=SAME),
    case("timeframe 'track=0-8: --pic a.png --by tilee'", "'tilee' is not what holds to a picture", "tile", make=SAME),
    case("timeframe 'track=0-8: --pic a.png --by ip_adapter'", "model sprite names no IP-Adapter weights", make=SAME),
    case("timeframe 'track=8-0: --pic a.png'", "RS206", make=SAME),
    case("timeframe 'track=0-8: --pic a.png --strength -1'", "strength", make=SAME),
    case("timeframe 'track=0-8: --pic a.png --strength sqrt('", "track", make=SAME),
    case("timeframe track=@bad.yaml", "bad.yaml", make=file("bad.yaml", "kind: track\nkeys: [1, 2\n")),
    case("timeframe track=@bad.yaml", "pictre", make=file("bad.yaml", "kind: track\nkeys:\n  0-6: {pictre: a.png}\n")),
    case("timeframe track=@bad.yaml", "by", make=file("bad.yaml", "kind: track\nkeys:\n  0-6: {picture: a, by: 3}\n")),
    *cases(
        "timeframe",
        ("track=@nowhere.yaml", "cannot read the schedule nowhere.yaml"),
        ("track=", "track: there is none"),
        ("track=0: 1", "track: no range has a picture"),
        ("track=0-8", "track"),
        ("pictures=[a.png]", "unknown key 'pictures'"),
        ("clip=a.mp4", "unknown key 'clip'"),
        ("control=[pose]", "control=[pose]: timeframe chooses nothing of conf/control"),
    ),
    *cases(
        DRAWN,
        ("frames=0", "frames: must be greater than or equal to 1"),
        ("frames=20000", "frames: must be less than or equal to 10000"),
        ("fps=nan", "fps: must be a finite number"),
        ("seed=-1", "seed: must be greater than or equal to 0"),
        ("fit=squeeze", "fit", "'crop', 'pad' or 'stretch'"),
        ("background=red", "background: must be a colour as #rrggbb"),
        ("tile.downscale=0", "tile.downscale: must be greater than or equal to 1"),
        ("tile.wait=1", "unknown key 'tile.wait'", "weight"),
        ("sparsectrl.every=0", "sparsectrl.every: must be greater than or equal to 1"),
        ("renderer=ltx", "renderer", "'animatediff' or 'animate'"),
        ("approve=no", "approve", "'ask' or 'yes'"),
        ("drawn=perhaps", "drawn"),
        ("model=sdxl_beta", "model"),
        ("model=ltx_2b", "model"),
        ("prompt=(a:nan)", "'nan' at character"),
        ("keyframe=sprit", "keyframe=sprit: no such choice"),
    ),
]
