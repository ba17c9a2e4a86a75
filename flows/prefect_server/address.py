"""The address of a Prefect API that a person sets: whether it can be one, told before anything is rendered."""

from __future__ import annotations

import os

from reel.errors import UserError

NAME = "PREFECT_API_URL"


def check_address() -> None:
    """Refuse what is no address of a server at all; whether one answers there is seen when it is needed.

    Raises:
        UserError: it is not.
    """
    url = os.environ.get(NAME)
    if url is None:
        return
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or beyond 65535
        whole = False
    if not whole:
        raise UserError(
            f"{NAME}: {url!r} is not an address of a Prefect API",
            fix=f"write it whole, such as {NAME}=http://127.0.0.1:4200/api, or unset it: a server is started then",
        )
