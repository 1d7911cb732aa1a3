"""`python -m recipes.instruments FOLDER`: fetch the sound font into FOLDER and write the instruments of the sampler."""

import argparse
from pathlib import Path

from homeport.engines.music.sampler.instruments import INSTRUMENTS
from recipes.instruments import bundle, package
from recipes.instruments.sound_font import SoundFont


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.instruments", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the package with the sound font is kept")
    files = package.fetch(parser.parse_args().folder)
    licence = files[package.LICENCE].read_text(encoding="utf-8")
    bundle.write(SoundFont(files[package.SOUND_FONT]), licence, INSTRUMENTS)
    INSTRUMENTS.with_name("instruments-license.md").write_text(licence, encoding="utf-8")
    print(f"Wrote {INSTRUMENTS.name}: {INSTRUMENTS.stat().st_size / 1e6:.2f} MB.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
