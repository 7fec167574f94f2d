import numpy as np

from dichoseg.scenes.grounds import ground, surface


def test_value_textures():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        background = ground(rng, 64)
        foreground = surface(rng, 64, away_from=background.mean(axis=(0, 1)))
        for texture in (background, foreground):
            assert texture.shape == (64, 64, 3)
            assert texture.min() >= 0
            assert texture.max() <= 1
            assert texture.std() > 0.002
