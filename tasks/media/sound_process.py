"""The process that looks into a sound file, as `tasks.media.sounds` starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.media import inside, streams
from tasks.media.source import CONTAINERS


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What `tasks.media.sounds.SoundFile` holds; ``none`` where the file has no sound that can be decoded."""
    import av

    path = Path(request["path"])
    try:
        with path.open("rb") as file, streams.opened(file) as container:
            stream = streams.sound_stream(container)
            if stream is None or next(container.decode(stream), None) is None:
                return {"none": "it holds pictures alone" if container.streams.video else "no sound is in it"}
            names = container.format.name.split(",")
            known = next(name for name in names if name in (*CONTAINERS, *streams.SOUND_FORMATS))
            length = stream.duration * stream.time_base if stream.duration else None
            return {"container": known, "stream": stream.index, "seconds": length and str(length)}
    except av.FFmpegError as error:
        return {"none": error.strerror or str(error)}


if __name__ == "__main__":
    inside.serve(answer)
