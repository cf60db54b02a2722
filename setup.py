"""How SegAL is installed; what else there is to say is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of ``requirements/<name>.txt``, without comments."""
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='segal-openmmlab',
    version=re.findall(
        r"^__version__ = '(.+)'$",
        (HERE / 'segal' / '__init__.py').read_text(),
        re.MULTILINE,
    )[0],
    description='Active learning for semantic segmentation, on OpenMMLab',
    license='Apache-2.0',
    packages=find_packages(include=['segal', 'segal.*']),
    package_data={'segal.annotation': ['web/*'], 'segal.report': ['*.j2']},
    python_requires='>=3.11,<3.13',
    install_requires=['torch>=2.6', 'torchvision', *requirements('runtime')],
    extras_require={
        'annotate': requirements('annotate'),
        'tests': requirements('tests'),
    },
)
