"""An example plugin: a decoder, a loss, an augmentation and a model for dichoseg."""
