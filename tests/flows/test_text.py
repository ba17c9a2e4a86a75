"""Numbers for people."""

from __future__ import annotations

from flows.edge.text import duration, memory, size, table


def test_sizes():
    assert [size(count) for count in (0, 999, 1500, 3.4e9, 2e12)] == ["0 B", "999 B", "1.5 kB", "3.4 GB", "2.0 TB"]


def test_memory():
    assert [memory(count) for count in (0, 512 * 2**20, 2**30, 13.25 * 2**30)] == [
        "0 MiB",
        "512 MiB",
        "1.0 GiB",
        "13.2 GiB",
    ]


def test_durations():
    told = [duration(seconds) for seconds in (0, 40.4, 99.4, 99.5, 148, 584, 596, 90 * 60, 100 * 60, 11100)]
    assert told == [
        "0 s",
        "40 s",
        "99 s",
        "1 min 40 s",
        "2 min 30 s",
        "9 min 40 s",
        "10 min",
        "90 min",
        "1 h 40 min",
        "3 h 05 min",
    ]


def test_tables():
    assert table([("a", 10), ("long", 2)], ("name", "x")) == "name  x\na     10\nlong  2"
