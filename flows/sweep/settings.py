"""Settings of a sweep itself (conf/sweep/)."""

from __future__ import annotations

from reel.config import Config


class Sweep(Config):
    """Settings of a sweep itself (conf/sweep/). No part of a point's settings, and of no cache key."""

    paired: list[str] | list[list[str]] = []
    """Axes that vary together, value by value: [a,b], or [[a,b],[c,d]] for two such pairs."""
    only_failed: bool = False
    """Run the points that failed before, and no others."""
    plan: bool = False
    """Show the points, what is cached and what the rest will take, and run nothing."""

    @property
    def pairs(self) -> list[list[str]]:
        nested = [one for one in self.paired if isinstance(one, list)]
        flat = [one for one in self.paired if isinstance(one, str)]
        return nested or ([flat] if flat else [])
