#!/usr/bin/env bash
# hydra-core 1.3.8: does range(start, stop, step) of a sweep hold its end?
#
# Guess: like Python's range and NumPy's arange, the end is left out; "range(0.1,0.4,0.1)" is a sweep of three points.
# Seen 2026-11-29: whether the end is in depends on how the sums of the step are rounded. range(0.1,0.3,0.1) has 2 values,
# without its end; range(0.1,0.4,0.1) has 4, with it, and 0.30000000000000004 among them. Whoever sweeps a weight renders
# a point more than was asked, and looks for a run "0.3" that does not exist.
# Way out: whole numbers and a division, or the values one by one.
#
#     bash findings/hydra_range_end.sh       # exit 0: as described; 1: it has changed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install hydra-core==1.3.8 omegaconf==2.3.1
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata

from hydra.core.override_parser.overrides_parser import OverridesParser

SEEN = {
    "range(0.1,0.3,0.1)": [0.1, 0.2],
    "range(0.1,0.4,0.1)": [0.1, 0.2, 0.30000000000000004, 0.4],
    "range(0.2,0.8,0.2)": [0.2, 0.4, 0.6000000000000001],
    "range(0,10,3)": [0, 3, 6, 9],
}
print("hydra-core", importlib.metadata.version("hydra-core"))
parser = OverridesParser.create()
changed = False
for text, seen in SEEN.items():
    found = list(parser.parse_override(f"weight={text}").sweep_iterator())
    changed |= found != seen
    print(f"{text:20} {len(found)} values: {found}{'' if found == seen else f'  CHANGED, it was {seen}'}")
raise SystemExit(changed)
PYTHON
