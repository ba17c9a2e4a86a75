"""Commands around the flows, what their store may hold, and the environment."""

from __future__ import annotations

from benchmarks.hostile.case import case, cases
from benchmarks.hostile.made import (
    damaged_record,
    empty_store,
    fifo,
    file,
    folder,
    manifest_of,
    record_of,
    renders,
    search_file,
    sweep_manifest,
    together,
)

LONG = "a" * 5000
EMPTY = {"ROTOSCOPE_STORE": ""}
ODD = ("", "null", "5", "[]", "{}", '{"schema": []}', '{"schema": 1}', '{"schema": 99}', "[" * 200 + "]" * 200,
       '{"schema": 1, "sha256": 5, "sweep": 5, "record": 5}', "\x00")  # fmt: skip
"""What a JSON file of ours may hold and should not."""
MANIFESTS: tuple[object, ...] = (
    *([], None, 5, {}, {"schema": 1}),
    {"schema": 1, "kind": 5, "meta": [], "files": []},
    {"schema": 1, "kind": "rgb", "meta": {}, "files": {"a": 5}},
)
"""What a manifest may hold and should not, whatever its digest."""

FLAGS = [
    *(
        case(command, "nothing has been rendered here yet", "fix: make demo", env={"ROTOSCOPE_STORE": "none"})
        for command in ("runs", "why", "gc", "sweeps", "track", "open", "gallery", "gallery --export here")
    ),
    case("gallery --port 99999", "--port", "0 to 65535"),
    case("gallery --port x", "--port", "must be a whole number"),
    case("completion", "required: shell"),
    case("completion tcsh", "invalid choice: 'tcsh'", "bash"),
    case("schedule lint '0 red top; 24: blue top'", "neither a key nor a setting", "fix: 0: red top", code=1),
    case("schedule lint 'a girl in a red top'", "neither a key nor a setting", "fix: 0: a girl in a red top", code=1),
    case("runs -n -3", "-n", "0 or more", make=renders),
    case("runs -n many", "-n", "0 or more", make=renders),
    case("runs -n 1.5", "-n", "0 or more", make=renders),
    case(f"runs -n {'9' * 5000}", "-n", "0 or more", make=renders),
    case("runs --status finished", "--status", "done", make=renders),
    case("runs --flow dnace", "--flow", "nearest: dance", make=renders),
    case("runs --sttore x", "--sttore", "--store"),
    case("runs extra", "unrecognized arguments: extra", "rotoscope runs --help"),
    case("runs --store ''", "--store", "is empty"),
    case("runs --store nowhere", "--store: no store at", "nowhere"),
    case(f"runs --store {LONG}", "--store", "a name in the path has 5000 bytes, at most 255"),
    case("runs --store x", "no store at", make=file("x", "here")),
    case("runs --store x", "no store at", make=folder("x")),
    case("runs paths.store=x", "unrecognized arguments: paths.store=x", "--store x"),
    case("why 1999", "no run fits '1999'", "rotoscope runs", make=renders),
    case("why ''", "no run fits ''", make=renders),
    case("why 2026", "2 runs fit '2026'", make=renders),
    case("why last", "no run", make=empty_store),
    case("why ../../x", "no run fits '../../x'", make=renders),
    case("gc --keep-last -1", "--keep-last", "0 or more", make=renders),
    case("gc --keep-last all", "--keep-last", "0 or more", make=renders),
    case("gc --keep nope", "no run fits 'nope'", make=renders),
    case("gc --store nowhere", "no store at"),
    case("sweeps nope", "there is no sweep 'nope'", make=empty_store),
    case("sweeps ''", "there is no sweep ''", make=empty_store),
    case("sweeps ../..", "there is no sweep '../..'", make=empty_store),
    case("models nope", "nope: no such choice", "rotoscope models lists all"),
    case("models ../dance", "../dance: no such choice"),
    case("models ''", "no such choice"),
    case("doctor --store ''", "--store", "is empty"),
    case("doctor extra", "unrecognized arguments: extra"),
    case("up --prefect-port 70000", "--prefect-port", "1 to 65535"),
    case("up --prefect-port 0", "--prefect-port", "1 to 65535"),
    case("up --prefect-port -1", "--prefect-port", "1 to 65535"),
    case("up --mlflow-port http", "--mlflow-port", "1 to 65535"),
    case("up --only nope", "--only", "prefect"),
    case("up --store x --only mlflow", "x", "is not a folder", make=file("x", "here")),
    case("up --store '' --only mlflow", "--store", "is empty"),
    case("down --store ''", "--store", "is empty"),
    case("down --store x", "no server was started for the store", make=file("x", "here")),
    case("down --store nowhere", "no server was started for the store"),
    *(
        case(f"bench {flag}", flag.split()[0], *said)
        for flag, *said in (
            ("--minutes 0", "is not a number from 0.1 to 600"),
            ("--minutes nan", "is not a number from 0.1 to 600"),
            ("--frames 2", "4", "1024"),
            ("--frames many", "4", "1024"),
            ("--controls 9", "0", "8"),
            ("--px 100",),
            ("--steps 0", "is not a number from 1 to 100"),
            ("--device tpu", "'cpu'"),
            ("--dtype float64", "'float32'"),
            ("--size big", "'small'"),
            ("--json nowhere/x.json", "there is no folder"),
            ("--json ''", "is empty"),
        )
    ),
    case("track --store nowhere", "no store at"),
    case("track --al", "unrecognized arguments: --al", "--all"),
    case("mirror", "direction", "required"),
    case("mirror sync x", "direction", "push"),
    case("mirror push", "url", "required"),
    case("mirror push file://{here}/m", "no renders", make=empty_store),
    case("mirror pull file://{here}/m", "the mirror file://", "no renders", make=folder("m")),
    case("mirror pull file://{here}/nowhere", "no renders"),
    case("mirror pull {here}/nowhere", "no renders"),
    case("mirror pull ''", "address"),
    case("mirror push ''", "address", make=renders),
    case("mirror pull nope://x", "mirror nope://x"),
    case("mirror pull x://", "mirror x:"),
    case("mirror pull file://{here}/m 1999", "'1999' is not a run's id", make=folder("m")),
    case("mirror pull file://{here}/m ../../x", "'../../x' is not a run's id", make=folder("m")),
    case("mirror push file://{here}/m 1999", "no run fits '1999'", make=renders),
    case("mirror push file:///proc/x", "mirror file:///proc/x", make=renders),
    case("mirror push file:///dev/null/x", "mirror file:///dev/null/x", make=renders),
    case("mirror push file://{here}/m", "mirror file://", make=together(renders, file("m", "here"))),
    case(f"mirror push file:///{LONG}", "mirror file:///aaa", make=renders),
    case("mirror pull file://{here}/m", "damaged record", make=file("m/records/20260101-000000-abcdef.json", "{")),
    case("mirror pull file://{here}/m", "is not a regular file", make=fifo("m/records/20260101-000000-abcdef.json")),
    case("mirror pull file://{here}/m", "nothing to pull", "has no renders", make=file("m/records/x.json", "{}")),
]  # fmt: skip

STORE = [
    *(
        case("runs", "20260303-000000-abcdef.json", "record", code=0, make=damaged_record(content.encode()))
        for content in ODD
    ),
    case("runs", "20260303-000000-abcdef.json", code=0, make=damaged_record(b"\xff\xfe")),
    case("runs", "20260303-000000-abcdef.json", "record", code=0,
         make=together(renders, folder("store/records/20260303-000000-abcdef.json"))),
    case("runs", "20260303-000000-abcdef.json", "record", code=0,
         make=together(renders, fifo("store/records/20260303-000000-abcdef.json"))),
    case("why abcdef", "20260303-000000-abcdef.json", "record", make=damaged_record(b"[]")),
    case("runs", "0001", code=0, make=record_of(started="0001-01-01T00:00:00Z", ended="0001-01-01T00:00:00Z")),
    case("why last", "0001", code=0, make=record_of(run="20260909-000000-abcdef", started="0001-01-01T00:00:00Z")),
    case("runs", "9999", code=0, make=record_of(started="9999-12-31T23:59:59Z", ended="9999-12-31T23:59:59Z")),
    *(
        case(command, "dance-0badc0de", "manifest", code=code, make=sweep_manifest(content))
        for content in ODD
        for command, code in (("sweeps", 0), ("sweeps dance-0badc0de", 2), ("compare sweep=0badc0de tracking=none", 2))
    ),
    *(
        case("search search.name=mine promote=1 tracking=none", "searches/mine/search.json: damaged",
             "delete its folder", make=search_file(content))
        for content in ODD
    ),
    *(
        case("compare runs=[000000] tracking=none", "no picture is left of these renders", make=manifest_of(value))
        for value in MANIFESTS
    ),
    *(case(f"{command} --store s", "paths.store", "is not a folder",
           make=together(folder("s/objects"), file("s/records", "x")))
      for command in ("runs", "why", "gc", "sweeps", "track")),
    case("runs --store s", "paths.store", "s/tmp is not a folder", make=together(folder("s/objects"), fifo("s/tmp"))),
    case("dance tracking=none", "store", make=file("store/locks", "here")),
]  # fmt: skip

COMPARE = [
    *cases(
        "compare tracking=none",
        ("runs=[]", "say what to compare, in one way", "sweep=<id>"),
        ("runs=[nope]", "runs: no run fits 'nope'"),
        ("sweep=", "say what to compare"),
        ("sweep=nope", "there is no sweep 'nope'"),
        ("runs=5", "runs: must be a valid list"),
        ("runs=[true]", "runs", "run's id"),
        ("filter=", "say what to compare"),
    ),
    case("compare tracking=none", "say what to compare, in one way", "sweep=<id>"),
    case("compare tracking=none sweep=a runs=[b]", "say what to compare, in one way", "got sweep and runs"),
    case("compare tracking=none runs=[nope]", "runs: no run fits 'nope'", make=renders),
    case("compare tracking=none", "runs: no run fits ''", make=renders, more=("runs=['']",)),
    case("compare tracking=none runs=[2026]", "runs: 2 runs fit '2026'", "write more of the id", make=renders),
    case("compare tracking=none runs=[000000,000001] reference=nope", "reference: no run fits 'nope'", make=renders),
    case("compare tracking=none runs=[000000,000001] axes=[sed]", "axes: the renders do not differ in 'sed'",
         make=renders),
    case("compare tracking=none filter='nonsense ('", "filter", make=renders),
    case("compare runs=[000000,000001] tracking=none paths.output=x", "x", "is not a folder",
         make=together(renders, file("x", "here"))),
]  # fmt: skip

SEARCH = [
    *cases(
        "search tracking=none",
        ("search.space={}", "search.space: is empty", "leave it out"),
        ("search.space=5", "search.space"),
        ("search.space={nope: [0,1]}", "search.space: nope: no setting with a number"),
        (
            "search.space={controls.pose.weight: 5}",
            "search.space: controls.pose.weight: 5 is not a range",
            "[from, to]",
        ),
        ("search.space={controls.pose.weight: [1,0]}", "search.space: controls.pose.weight: the range 1..0 is empty"),
        (
            "search.space={controls.pose.weight: [0,1,0]}",
            "search.space: controls.pose.weight: a step of 0 does not fit",
        ),
        ("search.space={controls.pose.weight: [0,1,0.3]}", "steps of 0.3 from 0 do not end at 1"),
        ("search.space={controls.pose.weight: [0,nan]}", "search.space: controls.pose.weight"),
        ("search.space={controls.pose.weight: [0,inf]}", "search.space: controls.pose.weight"),
        ("search.space={controls.pose.weight: [0,1,nan]}", "search.space: controls.pose.weight"),
        ("search.space={controls.pose.weight: [0,1,1e-300]}", "makes more than 1000000 values"),
        ("search.space={controls.pose.weight: [true,false]}", "search.space: controls.pose.weight", "is not a range"),
        ("search.space={controls.pose.weight: [0,1,0.1,5]}", "is not a range"),
        ("search.space={controls.pose.weight: [a,b]}", "is not a range"),
        ("search.space={controls.pose.weight: [0,50]}", "controls.pose.weight: must be less than or equal to 10"),
        ("search.space={stylize.num_inference_steps: [1,9]}", "the proxies have steps of their own"),
        ("search.space={seed: [0.5,2]}", "search.space: seed: takes whole numbers only"),
        ("search.objectives=[]", "search.objectives", "name two or more"),
        ("search.objectives=[pose.oks]", "search.objectives", "name two or more"),
        (
            "search.objectives=[pose.oks,pose.okss]",
            "search.objectives: no metric gives 'pose.okss'",
            "nearest: pose.oks",
        ),
        ("search.objectives=5", "search.objectives"),
        ("search.constraints={flicker.mean: lots}", "search.constraints.flicker.mean: 'lots' is not a bound", "1.5x"),
        ("search.constraints={flicker.mean: nan}", "search.constraints.flicker.mean: must be a finite number"),
        ("search.constraints={flicker.mean: -2x}", "search.constraints.flicker.mean", "is not a bound"),
        ("search.constraints={flicker.mean: true}", "search.constraints.flicker.mean: must be a number"),
        ("search.constraints={nope: 5}", "search.constraints: no metric gives 'nope'"),
        ("search.constraints=5", "search.constraints"),
        ("search.name=../x", "search.name: '../x' is not a valid name", "letters"),
        ("search.name=.", "search.name: '.' is not a valid name"),
        ("search.trials=1000000000000", "search.trials"),
        ("control=[]", "there is no control whose weight could be searched for"),
        ("promote=3", "no searches fit"),
    ),
    case("search tracking=none search.trials=null search.budget=null", "trials and budget are both empty"),
    case("search tracking=none search.name=nope promote=1", "no searches fit 'nope'"),
]

ENVIRONMENT = [
    case("dance", "ROTOSCOPE_STORE", "is empty", env=EMPTY),
    case("runs", "ROTOSCOPE_STORE", "is empty", env=EMPTY),
    case("down", "ROTOSCOPE_STORE", "is empty", env=EMPTY),
    case("up --only mlflow", "ROTOSCOPE_STORE", "is empty", env=EMPTY),
    case("mirror pull file://{here}/m", "ROTOSCOPE_STORE", "is empty", env=EMPTY, make=folder("m")),
    case("serve check=true", "ROTOSCOPE_STORE", "is empty", env=EMPTY),
    case("runs", "a name in the path has 5000 bytes, at most 255", env={"ROTOSCOPE_STORE": LONG}),
    case("dance", "a name in the path has 5000 bytes, at most 255", env={"ROTOSCOPE_STORE": LONG}),
    case("dance", "ROTOSCOPE_ROOT", env={"ROTOSCOPE_ROOT": ""}),
    case("dance", "nowhere", env={"ROTOSCOPE_ROOT": "/nowhere"}),
    case("dance tracking=none", "nowhere", env={"ROTOSCOPE_MODELS": "/nowhere"}),
    case("dance tracking=none", "no FFmpeg program at /nowhere", "unset IMAGEIO_FFMPEG_EXE",
         env={"IMAGEIO_FFMPEG_EXE": "/nowhere"}),
    *(
        case("dance tracking=none", "PREFECT_API_URL", url, *said, env={"PREFECT_API_URL": url})
        for url, *said in (
            ("nonsense", "is not an address", "http://127.0.0.1:4200/api"),
            ("ftp://127.0.0.1/api", "is not an address"),
            ("http://127.0.0.1:99999/api", "is not an address"),
            ("http://", "is not an address"),
        )
    ),
    case("doctor", "HF_ENDPOINT: 'nonsense' is not an address", code=1,
         env={"HF_ENDPOINT": "nonsense", "HF_HUB_OFFLINE": "0"}),
]  # fmt: skip
