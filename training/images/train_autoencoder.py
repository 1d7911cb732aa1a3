"""Train the autoencoder, and turn all pictures into latents. Knows nothing of captions.

`python -m training.images.train_autoencoder FOLDER --steps 3000`: goes on from its checkpoint; SIGTERM saves and ends.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.images import checkpoints, dataset
from training.images.autoencoder import Autoencoder, loss

BATCH = 64
_RATE, _WARM = 1.5e-3, 100
_SHIFT = 4  # pixels


def batch_of(pixels: Tensor, chances: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures drawn by chance, some mirrored, shifted or with their colours swapped; (n, 3, 64, 64) in -1..1."""
    picked = pixels[torch.multinomial(chances, BATCH, replacement=True, generator=generator)]
    found = picked.permute(0, 3, 1, 2).float() / 127.5 - 1
    if torch.rand((), generator=generator) < 0.5:
        found = found.flip(-1)
    shifts = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=generator).tolist()
    found = found.roll((shifts[0], shifts[1]), (-2, -1))
    half = BATCH // 4
    found[:half] = found[:half, torch.randperm(3, generator=generator)]
    return found.contiguous(memory_format=torch.channels_last)


def train(folder: Path, steps: int, seed: int) -> Autoencoder:
    """Train up to `steps`; writes autoencoder.pt and autoencoder.log in `folder`."""
    torch.manual_seed(seed)
    data = dataset.load(folder)
    pixels = torch.from_numpy(data.pixels)
    chances = torch.tensor([0.3 if row.colour else 1.0 for row in data.rows])
    model = Autoencoder()
    optimiser = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.01, fused=True)
    generator = torch.Generator().manual_seed(seed)
    done, path = 0, folder / "autoencoder.pt"
    if state := checkpoints.load(path):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
        done = state["done"]
    interrupted = checkpoints.Interrupted()
    saver = checkpoints.Saver(
        path,
        120,
        lambda: {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(),
            "done": done,
        },
    )
    began, recent = time.monotonic(), []
    while done < steps and not interrupted:
        fall = 0.5 * (1 + math.cos(math.pi * done / steps))
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (done + 1) / _WARM) * max(fall, 0.02)
        found = batch_of(pixels, chances, generator)
        with torch.autocast("cpu", torch.bfloat16):
            latents, decoded = model(found)
        lost = loss(found, latents.float(), decoded.float())
        optimiser.zero_grad()
        lost.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        done += 1
        recent.append(float(lost.detach()))
        if done % 50 == 0:
            line = {
                "step": done,
                "loss": round(sum(recent) / len(recent), 4),
                "seconds": round(time.monotonic() - began),
            }
            with (folder / "autoencoder.log").open("a") as log:
                log.write(json.dumps(line) + "\n")
            recent = []
        saver()
    saver(now=True)
    return model


@torch.no_grad()
def encode(model: Autoencoder, folder: Path) -> None:
    """Write latents.npy (N x 8 x 8 x 8, unscaled) and how well pictures come back."""
    data = dataset.load(folder)
    kept, errors = [], []
    for start in range(0, len(data.pixels), 256):
        found = torch.from_numpy(data.pixels[start : start + 256]).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = model.encoder(found)
        kept.append(latents.numpy())
        errors.append((model.decoder(latents).clamp(-1, 1) - found).square().mean(dim=(1, 2, 3)).numpy() / 4)
    latents_all = np.concatenate(kept).astype(np.float32)
    np.save(folder / "latents.npy", latents_all)
    decibels = -10 * np.log10(np.concatenate(errors))
    print(f"latents {latents_all.shape}, spread {latents_all.std():.3f}, PSNR {decibels.mean():.2f} dB")


def main() -> None:
    """Train, then encode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    encode(train(asked.folder, asked.steps, asked.seed).eval(), asked.folder)


if __name__ == "__main__":
    main()
