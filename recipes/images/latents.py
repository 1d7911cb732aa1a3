"""Images to latents and back: principal components of 8 x 8 patches, and a small network that removes their blur.

Knows nothing of captions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 24
PLACES = 8  # along each side
_PATCH = 8  # pixels along each side of a place
_NUMBERS = 3 * _PATCH**2
_WIDTH = 64


class Coder(nn.Module):
    """Pixels (n, 3, 64, 64) in -1..1 to latents (n, CHANNELS, 8, 8), and back without the network.

    Each channel is divided by the square root of its spread, so that coarse channels remain larger.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_NUMBERS))
        self.register_buffer("turn", torch.zeros(_NUMBERS, CHANNELS))
        self.register_buffer("scale", torch.ones(CHANNELS))

    mean: Tensor
    turn: Tensor
    scale: Tensor

    def fit(self, pixels: Tensor) -> None:
        """Fit the components to images (n, 3, 64, 64)."""
        rows = functional.pixel_unshuffle(pixels, _PATCH).permute(0, 2, 3, 1).reshape(-1, _NUMBERS)
        self.mean.copy_(rows.mean(dim=0))
        values, directions = torch.linalg.eigh(torch.cov((rows - self.mean).T).double())
        values, directions = values[-CHANNELS:].flip(0), directions[:, -CHANNELS:].flip(1)
        self.turn.copy_(directions.float())
        roots = values.float().pow(0.25)
        self.scale.copy_(roots * (values.float() / roots.square()).mean().sqrt())

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels to latents."""
        rows = functional.pixel_unshuffle(pixels, _PATCH).permute(0, 2, 3, 1)
        return (((rows - self.mean) @ self.turn) / self.scale).permute(0, 3, 1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels, without the details that the components lack; not clipped."""
        rows = (latents.permute(0, 2, 3, 1) * self.scale) @ self.turn.T + self.mean
        return functional.pixel_shuffle(rows.permute(0, 3, 1, 2), _PATCH)


class Block(nn.Module):
    """Two 3 x 3 convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The output has the shape of the input."""
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class Finisher(nn.Module):
    """A decoded image with seams and blur to a clean one of twice the size."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Conv2d(_WIDTH, 48, 3, padding=1)
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, _WIDTH, 3, padding=1),
            Block(_WIDTH),
            Block(_WIDTH),
            Block(_WIDTH),
            last,
            nn.PixelShuffle(4),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, 64, 64) to (n, 3, 128, 128)."""
        cleaned: Tensor = doubled(pixels) + self.layers(pixels)
        return cleaned


def doubled(pixels: Tensor) -> Tensor:
    """Double the size by repeating pixels."""
    count, channels, height, width = pixels.shape
    wide = pixels.unsqueeze(2).expand(count, channels, 4, height, width).reshape(count, 4 * channels, height, width)
    return functional.pixel_shuffle(wide, 2)


def finishing_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Absolute differences of pixels and of edges, which favor sharp images."""
    across = (made.diff(dim=-1) - wanted.diff(dim=-1)).abs().mean()
    down = (made.diff(dim=-2) - wanted.diff(dim=-2)).abs().mean()
    return (made - wanted).abs().mean() + across + down
