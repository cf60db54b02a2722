"""Use mmseg configs as bases, without copying them.

A plain training config has its own schedule. Merged key by key into a child,
its ``max_iters``, its evaluation every 4000 iterations or the ``momentum`` of
its SGD would stay in sections that the child wrote for rounds. So these
sections of such a base are set aside, and merged with the child's sections by
separate rules.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmcv import Config

from segal.errors import ConfigError

OWN_ONLY = ('runner', 'evaluation', 'checkpoint_config')
"""Sections in which only the child's keys count."""

SET_ASIDE = (*OWN_ONLY, 'lr_config', 'optimizer')
_MARK = '__of_the_base__'


class _Aside(dict[str, Any]):
    """An empty section that still answers ``{{ _base_.section.key }}``."""

    def __missing__(self, key: str) -> Any:
        return self[_MARK][key]


def configs_of(package: str, where: str = '_base_') -> Path:
    """Find the folder of configs of an installed OpenMMLab package.

    Raises:
        ConfigError: It is not installed, or came without its configs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f'{where}: {package} is not installed')
    home = Path(spec.origin).parent
    for folder in (home / '.mim' / 'configs', home.parent / 'configs'):
        if folder.is_dir():
            return folder.resolve()
    raise ConfigError(f'{where}: no configs came with the {package} of {home}')


def package_config(
    package: str,
    name: str,
    where: str = '_base_',
    inside: Sequence[str] = ('',),
) -> str:
    """Find a config of an installed package.

    Args:
        package: Its import name.
        name: Path inside its ``configs`` folder.
        where: The key that wants it, for errors.
        inside: Folders in there that the name may leave out.

    Raises:
        ConfigError: It has no such config; the nearest ones are named.
    """
    folder = configs_of(package, where)
    for part in inside:
        if (folder / part / name).is_file():
            return str(folder / part / name)
    names = [
        item.relative_to(folder / part).as_posix()
        for part in inside
        for item in (folder / part).rglob('*.py')
    ]
    close = difflib.get_close_matches(name, names, n=3)
    raise ConfigError(
        f'{where}: {package} has no config {name!r}'
        + (f'; did you mean {" or ".join(map(repr, close))}?' * bool(close))
        + f' (all: {folder})'
    )


def mmseg_folder() -> Path:
    """Find the folder of configs of the installed mmseg.

    Raises:
        ConfigError: mmseg is not installed, or came without its configs.
    """
    return configs_of('mmseg')


def mmseg_config(name: str) -> str:
    """Find a config of the installed mmseg, for ``_base_``.

    ::

        from segal.config import mmseg_config
        _base_ = mmseg_config('pspnet/pspnet_r50-d8_512x512_20k_voc12aug.py')

    Raises:
        ConfigError: mmseg has no such config.
    """
    return package_config('mmseg', name)


def segal_config(name: str) -> str:
    """Find a config that came with SegAL, for ``_base_``.

    Raises:
        ConfigError: SegAL has no such config.
    """
    return package_config('segal', name)


def _is_plain(path: Path, cfg: Mapping[str, Any]) -> bool:
    """Check whether a base is an ordinary training config, without rounds."""
    runner = cfg.get('runner')
    if isinstance(runner, Mapping) and 'type' in runner:
        return runner['type'] in ('IterBasedRunner', 'EpochBasedRunner')
    return path.resolve().is_relative_to(mmseg_folder())


@contextmanager
def bases_set_aside(top: str) -> Iterator[None]:
    """Make ``Config.fromfile`` set sections of bases aside in this block."""
    original = Config._file2dict
    top_path = Path(top).expanduser().resolve()
    inside_plain = [False]

    def file2dict(
        filename: str, use_predefined_variables: bool = True
    ) -> tuple[dict[str, Any], str]:
        path = Path(filename).expanduser()
        entered = not inside_plain[0] and path.resolve().is_relative_to(
            mmseg_folder()
        )
        inside_plain[0] |= entered
        try:
            cfg, text = original(filename, use_predefined_variables)
        finally:
            if entered:
                inside_plain[0] = False
        if (
            not inside_plain[0]
            and path.resolve() != top_path
            and _is_plain(path, cfg)
        ):
            for name in SET_ASIDE:
                if isinstance(cfg.get(name), Mapping):
                    cfg[name] = _Aside({_MARK: _whole(cfg[name])})
        return cfg, text

    Config._file2dict = staticmethod(file2dict)
    try:
        yield
    finally:
        Config._file2dict = staticmethod(original)


def _whole(section: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what an earlier base had set aside back into a section."""
    own = {key: value for key, value in section.items() if key != _MARK}
    return Config._merge_a_into_b(own, section.get(_MARK, {}))


def join_sections(cfg: Config) -> list[str]:
    """Merge the sections set aside with those of the child, in place.

    Returns:
        One note for each section in which something of a base was dropped.
    """
    notes = []
    for name in SET_ASIDE:
        section = cfg.get(name)
        if not isinstance(section, Mapping) or _MARK not in section:
            continue
        base = section[_MARK]
        own = {key: value for key, value in section.items() if key != _MARK}
        if name in OWN_ONLY:
            keeps_base = False
        elif name == 'lr_config':
            keeps_base = 'policy' not in own
        else:
            keeps_base = own.get('type', base.get('type')) == base.get('type')
        cfg[name] = Config._merge_a_into_b(own, base) if keeps_base else own
        lost = sorted(key for key in base if key not in cfg[name])
        if lost:
            notes.append(
                f"{name}: counts as written for the rounds; the base's "
                f'{", ".join(lost)} {"is" if len(lost) == 1 else "are"} '
                'dropped'
            )
    return notes
