"""Where a ComfyUI server is, and who one is to it. Passwords come from the environment alone."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from reel.errors import UserError

PASSWORD, TOKEN = "COMFYUI_PASSWORD", "COMFYUI_TOKEN"
"""Environment variables: the password of the user that the address names; a bearer token, for a proxy that asks."""
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


def checked(url: str) -> str:
    """An address in one spelling, without a slash at its end.

    Raises:
        ValueError: it is none, or holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("must be the address of a server, such as http://127.0.0.1:8188") from None
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise ValueError("must be the address of a server, such as http://127.0.0.1:8188")
    if parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            f"must hold no password, query or fragment: export {PASSWORD}=... beside http://user@host, or {TOKEN}=..."
        )
    if re.search(r"[\s\x00-\x1f\\]", url.strip()):
        raise ValueError("must hold no spaces")
    user = f"{quote(parts.username, safe='')}@" if parts.username else ""
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{user}{place}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"


@dataclass(frozen=True)
class Address:
    """A server's address, as `checked` gives it."""

    url: str

    @property
    def base(self) -> str:
        """Without the user: what requests go to, and messages name."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def http(self, path: str, **query: str) -> str:
        return f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")

    def websocket(self, client: str) -> str:
        return f"ws{self.base.removeprefix('http')}/ws?{urlencode({'clientId': client})}"

    @property
    def headers(self) -> dict[str, str]:
        """What says who one is.

        Raises:
            UserError: a secret that no header can hold.
        """
        user, found = urlsplit(self.url).username, {}
        for name in (PASSWORD, TOKEN):
            value = os.environ.get(name, "").strip()
            if value and not (value.isascii() and value.isprintable()):
                raise UserError(f"server: {name} in the environment holds characters that no password or token has")
            found[name] = value
        if found[TOKEN]:
            return {"Authorization": f"Bearer {found[TOKEN]}"}
        if user:
            pair = f"{user}:{found[PASSWORD]}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}
