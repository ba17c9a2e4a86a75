#!/usr/bin/env bash
# torch 2.14.1: `with sdpa_kernel(...)`, which chooses the kernel of attention, in two threads at a time.
#
# Guess: like torch.autocast, torch.no_grad and torch.set_num_threads the choice is the thread's own, and it ends with its
# block.
# Seen 2026-12-01: it is the whole process's. A thread that asks for nothing computes by the kernel that another one
# has chosen just then. And two threads whose blocks overlap, the first begun the first ended, leave the choice behind:
# the second puts back what it found, which was the first one's. From then on everything that the process computes has
# other last bits, and nothing is said. In a pool of workers it happens by chance, so that a result is reproducible on most
# days.
# Way out: one thread enters the block, around the others.
#
#     bash findings/torch_sdpa_threads.sh    # exit 0: as described; 1: it has changed (installs torch: minutes)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.14.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import threading

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


def overlapping(first, second):
    """Two threads: the first enters its block, the second enters its own, the first leaves, the second leaves."""
    entered, both, seen, left = (threading.Event() for _ in range(4))

    def one():
        with first:
            entered.set()
            seen.wait()
        left.set()

    def two():
        entered.wait()
        with second:
            both.set()
            left.wait()

    threads = [threading.Thread(target=one), threading.Thread(target=two)]
    for thread in threads:
        thread.start()
    both.wait()
    allowed = torch.backends.cuda.flash_sdp_enabled()  # in a third thread, that asked for nothing, meanwhile
    seen.set()
    for thread in threads:
        thread.join()
    return allowed


torch.manual_seed(0)
q, k, v = (torch.randn(1, 4, 64, 32) for _ in range(3))
attend = torch.nn.functional.scaled_dot_product_attention
before = attend(q, k, v)
again = torch.equal(before, attend(q, k, v))
while_they_compute = overlapping(sdpa_kernel(SDPBackend.MATH), sdpa_kernel(SDPBackend.MATH))
afterwards = torch.backends.cuda.flash_sdp_enabled()
same = torch.equal(before, attend(q, k, v))
overlapping(torch.autocast("cpu", torch.bfloat16), torch.autocast("cpu", torch.bfloat16))
found = {
    "twice the same before": (again, True),
    "fused kernel allowed in a thread that asked for nothing, meanwhile": (while_they_compute, False),
    "fused kernel allowed when both blocks have ended": (afterwards, False),
    "the same result as before": (same, False),
    "autocast left behind by two such blocks": (torch.is_autocast_enabled("cpu"), False),
}
print("torch", torch.__version__)
changed = False
for what, (value, seen) in found.items():
    changed |= value != seen
    print(f"{what}: {value}{'' if value == seen else f'  CHANGED, it was {seen}'}")
raise SystemExit(changed)
PYTHON
