"""Flow matching: the loss that teaches velocities, and the walk from noise to a picture. Knows nothing of texts."""

import torch
from torch import Tensor
from torch.nn import functional

from training.images.examples import Batch
from training.images.transformer import Transformer

_UNTOLD = 0.1  # of examples: their caption is hidden, for guidance
_BLUR = 0.25  # noise on read captions, against a spread of about 1


def loss(model: Transformer, batch: Batch, generator: torch.Generator) -> Tensor:
    """Mean square error of the velocity at times drawn around the middle."""
    count = len(batch.latents)
    time = torch.randn(count, generator=generator).sigmoid()
    noise = torch.randn(batch.latents.shape, generator=generator)
    told = (torch.rand(count, generator=generator) >= _UNTOLD).float()
    read = model.reading(batch.vectors)
    read = read + _BLUR * torch.randn(read.shape, generator=generator)
    along = time.view(-1, 1, 1, 1)
    mixed = torch.lerp(noise, batch.latents, along)
    with torch.autocast("cpu", torch.bfloat16):
        velocity = model(mixed, time, read, batch.styles, told)
    return functional.mse_loss(velocity.float(), batch.latents - noise)


@torch.no_grad()
def sample(
    model: Transformer,
    vectors: Tensor,
    styles: Tensor,
    generator: torch.Generator,
    steps: int = 24,
    guidance: float = 3.0,
) -> Tensor:
    """Latents of spread 1, one picture per vector, by Euler's steps."""
    count = len(vectors)
    x = torch.randn(count, 8, 8, 8, generator=generator)
    read = model.reading(vectors)
    both, twice = torch.cat([read, read]), torch.cat([styles, styles])
    told = torch.cat([torch.ones(count), torch.zeros(count)])
    for step in range(steps):
        time = torch.full((2 * count,), step / steps)
        shown, hidden = model(torch.cat([x, x]), time, both, twice, told).chunk(2)
        x = x + (hidden + guidance * (shown - hidden)) / steps
    return x
