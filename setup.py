"""How SegAL is installed; what else there is to say is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of ``requirements/<name>.txt``, without comments."""
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


class BuildWithConfigs(build_py):
    """Put configs and experiments where mmseg's users look: ``.mim``."""

    def run(self) -> None:
        """Build the packages, and copy both folders beside them."""
        super().run()
        if getattr(self, 'editable_mode', False):
            return  # they lie beside segal
        for name in ('configs', 'experiments'):
            for path in sorted((HERE / name).rglob('*')):
                if path.is_file() and path.suffix in ('.py', '.md', '.json'):
                    place = Path(self.build_lib, 'segal', '.mim')
                    place /= path.relative_to(HERE)
                    self.mkpath(str(place.parent))
                    self.copy_file(str(path), str(place))


setup(
    name='segal-openmmlab',
    version=re.findall(
        r"^__version__ = '(.+)'$",
        (HERE / 'segal' / '__init__.py').read_text(),
        re.MULTILINE,
    )[0],
    description='Active learning for semantic segmentation, on OpenMMLab',
    license='Apache-2.0',
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['segal = segal.__main__:main']},
    packages=find_packages(include=['segal', 'segal.*']),
    package_data={
        'segal.report': ['*.j2'],
        'segal.annotation': ['web/*'],
    },
    python_requires='>=3.11,<3.13',
    install_requires=['torch>=2.6', 'torchvision', *requirements('runtime')],
    extras_require={
        'annotate': requirements('annotate'),
        'tests': requirements('tests'),
    },
)
