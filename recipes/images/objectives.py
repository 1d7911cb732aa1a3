"""The training objective of each network: draft, flow, finisher, latent to caption. Knows nothing of optimizers."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.images.draft import Draft
from recipes.images.examples import Source
from recipes.images.latent_to_caption import Beholder
from recipes.images.latents import Coder, Finisher, finishing_loss
from recipes.images.transformer import Transformer, around

_UNTOLD = 0.12  # share of examples with a hidden caption, for guidance and for images without prompts
_BLUR = 0.35  # maximum noise on whitened captions, whose spread is about 1
_BLUR_DRAFT = 0.5
_SMEAR = 0.35  # maximum noise on latents for the finisher and for the latent-to-caption network
_TILT, _GROWN, _STRETCH, _MOVED, _LIGHT = (
    0.2,
    0.08,
    0.08,
    0.05,
    0.1,
)  # maximum changes of images for the latent-to-caption network
_MIRRORED = 0.25  # share of these
_SURE, _TOLD_APART = 12.0, 0.3


class Lesson(Protocol):
    """A model and its loss on a random batch."""

    @property
    def model(self) -> nn.Module:
        """The model whose parameters with gradients are trained."""
        ...

    def matrices(self) -> list[nn.Parameter]:
        """The inner weight matrices, for the Muon optimizer."""
        ...

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The loss of one batch of `count` examples."""
        ...


class DraftLesson:
    """Captions to latents; mean square error, weighted by the effect on pixels."""

    def __init__(self, model: Draft, examples: Source, coder: Coder) -> None:
        self.model, self._examples = model, examples
        model.reading.fit(examples.seen)
        for style in examples.styles.unique().tolist():
            model.average[style] = examples.latents[examples.styles == style].mean(dim=0)
        model.far.copy_((examples.latents - model.average[examples.styles]).std(dim=(0, 2, 3)).view(-1, 1, 1))
        weights = coder.scale.square() * model.far.flatten().square()
        self._weights = (weights / weights.mean()).view(-1, 1, 1) / model.far.square()

    def matrices(self) -> list[nn.Parameter]:
        """The matrices of the hidden layers."""
        return [layer.weight for layer in (*self.model.ups, *self.model.downs)]

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The loss of one batch."""
        batch = self._examples.draw(count, generator)
        read = blurred(self.model.reading(batch.vectors), _BLUR_DRAFT, generator)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.model(read, batch.styles)
        return ((made - self._examples.latents[batch.pictures]).square() * self._weights).mean()

    @torch.no_grad()
    def measure(self, generator: torch.Generator) -> None:
        """Store the distance of images from their drafts in the model."""
        batch = self._examples.draw(2048, generator)
        read = blurred(self.model.reading(batch.vectors), _BLUR, generator)
        away = self.model(read, batch.styles) - self._examples.latents[batch.pictures]
        self.model.near.copy_(away.square().mean(dim=(0, 2, 3)).sqrt().view(-1, 1, 1))


class FlowLesson:
    """Velocities between noise and image, at random times around the middle. The draft is not trained."""

    def __init__(self, model: Transformer, examples: Source, coder: Coder) -> None:
        self.model, self._examples = model, examples
        model.draft.requires_grad_(requires_grad=False)
        weights = (coder.scale * model.draft.near.flatten()).sqrt()
        self._weights = (weights / weights.mean()).view(-1, 1, 1)

    def matrices(self) -> list[nn.Parameter]:
        """The matrices of the blocks."""
        return [value for value in self.model.blocks.parameters() if value.ndim == 2 and value.shape[0] > 6]

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The square error of the correction, which has size 1 at every time."""
        batch = self._examples.draw(count, generator)
        latents = self._examples.latents[batch.pictures]
        time = (0.3 + 1.2 * torch.randn(count, generator=generator)).sigmoid()
        noise = torch.randn(latents.shape, generator=generator)
        told = (torch.rand(count, generator=generator) >= _UNTOLD).float()
        model = self.model
        read = blurred(model.draft.reading(batch.vectors), _BLUR, generator)
        mixed = torch.lerp(noise, latents, time.view(-1, 1, 1, 1))
        with torch.no_grad():
            middle, spread = model.guess(read, batch.styles, told)
            known, size, scaled = around(mixed, time, middle, spread)
            wanted = (latents - noise - known) / size
        with torch.autocast("cpu", torch.bfloat16):
            added = model.correction(scaled, middle, time, read, batch.styles, told)
        return ((added.float() - wanted).square() * self._weights).mean()


class FinishLesson:
    """From decoded latents, with noise or from a draft, to the original pixels."""

    def __init__(self, model: Finisher, examples: Source, coder: Coder, draft: Draft, pixels: Tensor) -> None:
        self.model, self._examples, self._coder, self._draft, self._pixels = model, examples, coder, draft, pixels

    def matrices(self) -> list[nn.Parameter]:
        """None: the network has convolutions only."""
        return []

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The loss of one batch."""
        batch = self._examples.draw(count, generator)
        latents = self._examples.latents[batch.pictures]
        with torch.no_grad():
            drafts = self._draft(self._draft.reading(batch.vectors), batch.styles)
            share = torch.rand(count, 1, 1, 1, generator=generator)
            level = _SMEAR * torch.rand(count, 1, 1, 1, generator=generator) * self._draft.near
            smeared = latents + level * torch.randn(latents.shape, generator=generator)
            colours = torch.randperm(3, generator=generator)  # for more colors than the drawings have
            plain = self._coder.decode(torch.lerp(smeared, drafts, share.square()))[:, colours]
        wanted = self._pixels[batch.pictures].permute(0, 3, 1, 2)[:, colours].float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16):
            made = self.model(plain.contiguous(memory_format=torch.channels_last))
        return finishing_loss(made.float(), wanted)


class BeholdLesson:
    """Images, framed and then tilted, moved, mirrored and shaded, to their captions' vectors.

    Vectors are compared after the draft's whitening. `pixels`: the examples' framed images of SIDE pixels.
    """

    def __init__(self, model: Beholder, examples: Source, coder: Coder, draft: Draft, pixels: Tensor) -> None:
        self.model, self._examples, self._coder, self._draft, self._pixels = model, examples, coder, draft, pixels
        model.middle.copy_(examples.latents.mean(dim=0))
        model.scale.copy_(draft.far)
        read = draft.reading(examples.seen)
        model.mean.copy_(draft.reading.mean)
        model.back.copy_(torch.linalg.pinv(draft.reading.turn))
        model.length.fill_(float(read.norm(dim=1).mean()))

    def matrices(self) -> list[nn.Parameter]:
        """The matrices of the hidden layers."""
        return [value for value in self.model.between.parameters() if value.ndim == 2]

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The distance from the caption, and the cross entropy of finding it among those of the batch."""
        batch = self._examples.draw(count, generator)
        shown = self._pixels[batch.pictures].permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = self._coder.encode(placed(shown, generator))
        level = _SMEAR * torch.rand(count, 1, 1, 1, generator=generator) * self._draft.far
        smeared = latents + level * torch.randn(latents.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            told = self.model.directions(smeared)
        wanted = functional.normalize(self._draft.reading(batch.vectors), dim=1)
        alike = told @ wanted.T
        which = functional.cross_entropy(_SURE * alike, torch.arange(count))
        return 1 - alike.diagonal().mean() + _TOLD_APART * which


def placed(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Randomly tilt, scale, stretch, move, shade and mirror images on white."""
    count = len(pixels)
    chance = 2 * torch.rand(6, count, generator=generator) - 1
    tilt, size, stretch = _TILT * chance[0], 1 + _GROWN * chance[1], 1 + _STRETCH * chance[2]
    facing = torch.where(chance[3] < 2 * _MIRRORED - 1, -torch.ones(count), torch.ones(count))
    wide, high = facing * size * stretch, size / stretch
    rows = [wide * tilt.cos(), -high * tilt.sin(), _MOVED * chance[4]]
    rows += [wide * tilt.sin(), high * tilt.cos(), _MOVED * chance[5]]
    grid = functional.affine_grid(torch.stack(rows, dim=1).view(count, 2, 3), list(pixels.shape), align_corners=False)
    ink = functional.grid_sample(1 - pixels, grid, align_corners=False)
    light = 1 + _LIGHT * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    return 1 - ink * light


def blurred(read: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Add noise of a random level up to `most` to whitened captions, so that similar texts yield similar images."""
    level = most * torch.rand(len(read), 1, generator=generator)
    return read + level * torch.randn(read.shape, generator=generator)


@torch.no_grad()
def sample(
    model: Transformer,
    vectors: Tensor,
    styles: Tensor,
    generator: torch.Generator,
    steps: int = 16,
    guidance: float = 1.0,
) -> Tensor:
    """Sample latents by Euler steps, one image per vector."""
    count = len(vectors)
    x = torch.randn(count, *model.draft.average.shape[1:], generator=generator)
    read = model.draft.reading(vectors)
    both, twice = torch.cat([read, read]), torch.cat([styles, styles])
    told = torch.cat([torch.ones(count), torch.zeros(count)])
    for step in range(steps):
        time = torch.full((2 * count,), step / steps)
        shown, hidden = model(torch.cat([x, x]), time, both, twice, told).chunk(2)
        x = x + (hidden + guidance * (shown - hidden)) / steps
    return x
