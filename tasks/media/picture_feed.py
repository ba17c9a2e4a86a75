"""The process that reads still pictures for FFmpeg: raw RGBA on its standard output, one after the other.

``python -m tasks.media.picture_feed SECONDS`` with a JSON list of paths on standard input. What is wrong with a picture
is said as JSON on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from reel.errors import UserError
from tasks.media import inside

REFUSED, NOBODY_LISTENS = 3, 4
"""Exit codes: a picture that cannot be read, and an FFmpeg that has ended (its messages say why)."""


def main() -> int:
    from tasks.media import pictures

    inside.restrict()
    paths = [Path(path) for path in json.load(sys.stdin)]
    try:
        for picture in pictures.read_all(paths):
            sys.stdout.buffer.write(picture.data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return NOBODY_LISTENS
    except UserError as error:
        print(json.dumps({"message": error.message, "fix": error.fix}), file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
