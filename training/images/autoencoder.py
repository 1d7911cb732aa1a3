"""A small convolutional autoencoder: 64 x 64 pixels to 8 x 8 places of 8 numbers, and back. Knows no captions."""

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 8
PLACES = 8  # along each side
_FINE, _COARSE, _LAST = 96, 160, 32  # widths at 16, 8 and 32 places a side
_GROUPS = 8


class Block(nn.Module):
    """Two 3 x 3 convolutions around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        hidden = functional.silu(self.first(functional.silu(self.norm(x))))
        return x + self.second(hidden)


class Encoder(nn.Module):
    """Pixels (n, 3, 64, 64) in -1..1 to latents (n, 8, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, _FINE, 3, padding=1),
            Block(_FINE),
            Block(_FINE),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * _FINE, _COARSE, 1),
            Block(_COARSE),
            nn.Conv2d(_COARSE, CHANNELS, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """The middle of what the picture may mean; no noise."""
        latents: Tensor = self.layers(pixels)
        return latents


class Decoder(nn.Module):
    """Latents (n, 8, 8, 8) to pixels (n, 3, 64, 64) in about -1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(CHANNELS, _COARSE, 3, padding=1),
            Block(_COARSE),
            Block(_COARSE),
            nn.Conv2d(_COARSE, 4 * _FINE, 1),
            nn.PixelShuffle(2),
            Block(_FINE),
            Block(_FINE),
            nn.Conv2d(_FINE, 4 * _LAST, 3, padding=1),
            nn.PixelShuffle(2),
            Block(_LAST),
            nn.Conv2d(_LAST, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Pixels, not clipped."""
        pixels: Tensor = self.layers(latents)
        return pixels


class Autoencoder(nn.Module):
    """Both halves. `noise`: spread of what is added to latents in training, so that near ones look alike."""

    def __init__(self, noise: float = 0.1) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.noise = noise

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Latents without noise, and pixels decoded from latents with it."""
        latents = self.encoder(pixels)
        return latents, self.decoder(latents + self.noise * torch.randn_like(latents))


def loss(pixels: Tensor, latents: Tensor, decoded: Tensor) -> Tensor:
    """Differences of pixels and of edges, and a pull of latents towards nought."""
    plain = (decoded - pixels).abs().mean()
    across = (decoded.diff(dim=-1) - pixels.diff(dim=-1)).abs().mean()
    down = (decoded.diff(dim=-2) - pixels.diff(dim=-2)).abs().mean()
    coarse = (functional.avg_pool2d(decoded, 4) - functional.avg_pool2d(pixels, 4)).abs().mean()
    return plain + across + down + coarse + 2e-3 * latents.square().mean()
