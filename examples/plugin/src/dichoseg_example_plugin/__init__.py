"""An example plugin: a decoder and a loss for dichoseg."""
