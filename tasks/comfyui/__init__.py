"""Graphs run on a ComfyUI server: uploaded to, queued, followed, fetched from."""
