"""An address to bytes, or the reason why not."""
