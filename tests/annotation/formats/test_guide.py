"""The commands of the guide are run, in its order."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from segal.annotation.folder import AnnotationFolder
from segal.commands import annotate
from tests.annotation.formats.test_round_trips import holds, truth_of
from tests.annotation.formats.tools import TOOLS
from tests.annotation.served import ask

GUIDE = Path(__file__).parents[3] / 'docs' / 'howto' / 'tools.md'


def sections():
    """Yield the command lines of each block."""
    for block in re.findall(r'```bash\n(.*?)```', GUIDE.read_text(), re.S):
        lines = [shlex.split(x, comments=True) for x in block.splitlines()]
        yield [words for words in lines if words]


@pytest.mark.parametrize('lines', sections(), ids=lambda x: x[0][-1])
def test_the_guide(tmp_path, monkeypatch, capsys, lines):
    monkeypatch.chdir(tmp_path)
    ask(Path('work_dirs/mine'), each=5)
    tools, made = {one.name: one for one in TOOLS}, None
    for words in lines:
        assert words[:4] == ['python', '-m', 'segal', 'annotate']
        name, file = words[4], Path(words[6])
        if name == 'take' and not file.exists():
            shutil.copy(made, file)
        assert annotate.main(words[4:]) == 0
        if name == 'export':
            made = tools[words[-1]].fill(file, truth_of, False)
    said = capsys.readouterr().out
    if len(lines) > 1:
        holds(Path('work_dirs/mine'))
        assert '15 taken, 0 unchanged, 0 conflicting, 0 alien' in said
    else:
        folder = AnnotationFolder(Path('work_dirs/mine'))
        assert not folder.file(0, 'jsonl').exists()
