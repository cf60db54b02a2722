"""Draw README's panel and animation: docs/images/quickstart_*.

Usage: python tools/docs/panel.py [--work-dir DIR] [--image 3] [--out DIR]

Trains three rounds of the quickstart on scenes of twice its size, unless DIR
holds them, and takes what round 1 drew of one image, whose new labels are
those that its query bought. Takes about five minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'experiments/quickstart/quickstart.py'
OUT = ROOT / 'docs/images'
SIZE = (192, 256)
ROUNDS, SHOWN = 3, 1


def config_of(folder: Path, epochs: int) -> str:
    """Write the quickstart's config for larger scenes."""
    text = CONFIG.read_text()
    base = CONFIG.parents[2] / 'configs/_base_/small.py'
    scenes = f"data_root='{folder.absolute()}_scenes',\n"
    scenes += f'    scenes=dict(size={SIZE}),'
    for old, new in (
        ('../../configs/_base_/small.py', str(base)),
        ('size = (96, 128)', f'size = {SIZE}'),
        ("data_root='data/synthetic_scenes',", scenes),
        ('interval=30', f'interval={epochs}'),
        ("('train', 30)", f"('train', {epochs})"),
        ('sample_rounds=4', f'sample_rounds={ROUNDS}'),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


def main(arguments: list[str] | None = None) -> int:
    """Train, and copy the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs/docs_panel'
    )
    parser.add_argument('--image', type=int, default=3)
    parser.add_argument('--epochs', type=int, default=28)
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args(arguments)
    folder = args.work_dir.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = folder.with_name(f'{folder.name}.py')
    config.write_text(config_of(folder, args.epochs))
    command = [sys.executable, '-m', 'segal.train_active_learning']
    command += [str(config), '--work-dir', str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    (panel,) = (folder / f'viz/round_{SHOWN:03d}').glob(
        f'{args.image:02d}_*_panel.png'
    )
    shutil.copy(panel, args.out / 'quickstart_panel.png')
    shutil.copy(folder / 'viz/rounds.gif', args.out / 'quickstart_rounds.gif')
    return 0


if __name__ == '__main__':
    sys.exit(main())
