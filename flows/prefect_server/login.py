"""The log-in of the project's own Prefect server: a random password that no other user of the machine can read.

Prefect's own basic authentication asks for it at every request but the health check. It lies in one file of the store;
processes are given it in their environment, never on a command line. No server but the project's own ever gets it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import uuid
from pathlib import Path

from reel.errors import UserError
from reel.files import explained

CLIENT, SERVER = "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"
"""Prefect's settings: what its clients send, and what its server asks for."""

USER = "rotoscope"
_FORM = re.compile(r"[!-9;-~]+:[!-~]{8,}")


def login_path(store: Path) -> Path:
    return store.absolute() / "servers" / "prefect.login"


def login(store: Path) -> str:
    """``name:password`` of the store's server; made when it is first asked for. You may write one of your own.

    Raises:
        UserError: the file is not of that form, or others can read it.
    """
    path = login_path(store)
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise UserError(
            f"{path}: other users of this machine can read the Prefect server's password",
            fix=f"rotoscope down; rm {path}; the next `rotoscope up` makes another",
        )
    text = path.read_text("utf-8", "replace").strip()
    if not _FORM.fullmatch(text):
        raise UserError(
            f"{path}: must be one line of the form name:password, with 8 characters or more after the colon",
            fix="put it right, or remove the file: it is made again",
        )
    return text


def _make(path: Path) -> None:
    """Write a new password, whole at once and readable by this user alone; a file that another process made stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with explained(path):
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
