"""Bad inputs of `verify`: what it is to look at, locks that hold something else, settings that it does not change."""

from __future__ import annotations

from benchmarks.hostile.case import case
from benchmarks.hostile.made import empty_store, fifo, file, folder, nested, renders, together

RUN = "20260101-000000-abcdef"
LOCK = f"lock: 1\nflow: dance\nrun: {RUN}\nsettings: {{}}\nstages: []\n"
"""The least that is one."""

VERIFY = [
    case("verify", "no renders in the store", "--store", env={"ROTOSCOPE_STORE": "none"}),
    case("verify last", "there is no finished render in the store", "rotoscope runs", make=empty_store),
    case("verify 1999", "no run fits '1999'", make=renders),
    case("verify ''", "no run fits ''", make=renders),
    case("verify 2026", "runs fit '2026'", make=renders),
    case("verify ../../x", "there is no file", "render.lock"),
    case("verify nowhere.lock", "there is no file nowhere.lock"),
    case("verify here", "there is no file", "render.lock", make=folder("here")),
    case("verify x.mp4", "no render.lock lies beside it", make=file("x.mp4", "film")),
    case("verify x.lock", "there is no file x.lock", make=fifo("x.lock")),
    *(
        case("verify x.lock", "x.lock", *said, make=file("x.lock", content))
        for content, *said in (
            ("", "is not the lock of a render"),
            ("null", "is not the lock of a render"),
            ("5", "is not the lock of a render"),
            ("[]", "is not the lock of a render"),
            ("{", "cannot be read"),
            ("\x00", "cannot be read"),
            (b"\xff\xfe", "cannot be read"),
            (nested(3000),),
            ("!!python/object/apply:os.system [true]", "cannot be read"),
            ("lock: 2\n", "a lock of version 2", "this Rotoscope reads version 1"),
            ("lock: 1\n", "Field required", "render.lock"),
            (LOCK + "more: 1\n", "more: Extra inputs are not permitted"),
            (LOCK.replace(RUN, "../../x"), "run: ", "must be a run's id"),
            (LOCK.replace("stages: []", "stages: 5"), "stages"),
            (LOCK.replace("stages: []", "stages: [{op: x, key: ../x, output: y}]"), "64 lower-case hexadecimal digits"),
            (LOCK + "shown: {frames: ../../x}\n", "64 lower-case hexadecimal digits"),
        )
    ),
    *(
        case("verify x.lock", *said, make=file("x.lock", LOCK.replace("flow: dance", f"flow: {flow}")))
        for flow, *said in (
            ("dnace", "there is no flow 'dnace'", "nearest: dance"),
            ("os.path", "there is no flow 'os.path'"),
            ("'../../x'", "there is no flow '../../x'"),
            ("compare", "compare, which renders nothing", "flows that do"),
        )
    ),
    *(
        case(f"verify x.lock {text}", *said, make=file("x.lock", LOCK))
        for text, *said in (
            ("seed=3", "seed=3: what is rendered stands in the lock, and cannot be changed", "clip=there.mp4"),
            ("sed=3", "sed=3: what is rendered stands in the lock"),
            ("dance", "dance: what is rendered stands in the lock"),
            ("paths.store=x", "paths.store=x: it is rendered in a folder of its own", "--store"),
            ("clip=nowhere.mp4", "clip", "nowhere.mp4"),
            ("clip=", "clip"),
            ("compute.threads=0", "compute.threads"),
            ("compute.device=tpu", "compute.device"),
        )
    ),
    case("verify x.lock", "clip: there is no file nowhere.mp4",
         make=file("x.lock", LOCK.replace("settings: {}", "settings: {clip: nowhere.mp4}"))),
    case("verify x.lock", "seed",
         make=file("x.lock", LOCK.replace("settings: {}", "settings: {seed: many}"))),
    case("verify x.lock", "clip: ", "is not the file of then", "clip=FILE",
         make=file("x.lock", LOCK + f"sources: {{clip: '{'0' * 64}'}}\n")),
    case("verify x.lock --store s", "is not a folder", make=together(file("x.lock", LOCK), file("s", "x"))),
    case("verify --sttore x", "--sttore", "--store"),
]  # fmt: skip
