"""ComfyUI's nouns: graphs in its API format, what a server says of its nodes, packs that nodes come from."""
