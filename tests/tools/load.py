"""Tools are scripts; tests load them by their path."""

import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tool(path):
    """``tools/<path>.py`` as a module; a command of segal as that."""
    name = Path(path).stem
    if (ROOT / 'segal' / 'commands' / f'{path}.py').exists():
        return importlib.import_module(f'segal.commands.{path}')
    file = ROOT / 'tools' / f'{path}.py'
    sys.path.insert(0, str(file.parent))  # for what tools share
    sys.modules.pop('common', None)  # each folder of tools has its own
    try:
        spec = importlib.util.spec_from_file_location(f'tool_{name}', file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return module
