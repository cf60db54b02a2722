"""A terminal as small as the codes that a run may use; others fail."""

import codecs
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time

from segal.terminal.frame import columns

CODE = re.compile(r'\x1b\[(\??[\d;]*)([A-Za-z])')


class Terminal:
    """Keeps the rows of a terminal, and those that scrolled out of it.

    Each cell is a character and the style that it was written in, such as
    ``'1'``.
    """

    def __init__(self, width=80, height=24):
        self.width, self.height = width, height
        self.rows = [[] for _ in range(height)]
        self.above = []
        self.x = self.y = 0
        self.style = ''
        self._rest = ''

    def feed(self, text):
        text = self._rest + text
        at, self._rest = 0, ''
        while at < len(text):
            if text[at] == '\x1b':
                found = CODE.match(text, at)
                if found is None:
                    assert len(text) - at < 12, repr(text[at:])
                    self._rest = text[at:]
                    return
                self._obey(found[1], found[2])
                at = found.end()
            else:
                self._put(text[at])
                at += 1

    def _obey(self, number, letter):
        if letter == 'm':
            self.style = '' if number in ('', '0') else number
        elif letter == 'A':
            self.y = max(0, self.y - int(number or 1))
        elif letter == 'K' and number in ('', '0'):
            del self.rows[self.y][self.x :]
        elif letter == 'J' and number in ('', '0'):
            del self.rows[self.y][self.x :]
            for row in self.rows[self.y + 1 :]:
                row.clear()
        else:
            raise AssertionError(f'unknown code {number}{letter}')

    def _put(self, character):
        if character == '\r':
            self.x = 0
        elif character == '\n':
            self._down()
        elif character == '\t':
            self.x = min(self.width - 1, self.x // 8 * 8 + 8)
        elif character != '\a':
            assert character.isprintable(), repr(character)
            if self.x + columns(character) > self.width:
                self.x = 0
                self._down()
            row = self.rows[self.y]
            row += [(' ', '')] * (self.x - len(row))
            row[self.x : self.x + 1] = [(character, self.style)]
            self.x += 1

    def _down(self):
        self.y += 1
        if self.y == self.height:
            self.above.append(self.rows.pop(0))
            self.rows.append([])
            self.y -= 1

    @property
    def lines(self):
        """What is seen, without empty rows at the end."""
        return written(self.rows)

    @property
    def everything(self):
        """What was written in all, as one would scroll through it."""
        return written(self.above + self.rows)


def written(rows):
    lines = [''.join(c for c, _ in row).rstrip() for row in rows]
    while lines and not lines[-1]:
        lines.pop()
    return lines


class Session:
    """A command in a terminal of its own."""

    def __init__(self, command, width=80, height=24, **options):
        self.screen = Terminal(width, height)
        self.keyboard, theirs = pty.openpty()
        self.seen = []
        self._decode = codecs.getincrementaldecoder('utf-8')().decode
        os.set_blocking(self.keyboard, False)
        resize(theirs, width, height)
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=lambda: take(theirs),
            **options,
        )
        os.close(theirs)

    def until(self, happened, seconds=120):
        """Read until something is on the screen, or the command ended."""
        end = time.monotonic() + seconds
        while not happened(self.screen.lines):
            if not self._read():
                return False
            assert time.monotonic() < end, '\n'.join(self.screen.everything)
        return True

    def wait(self, seconds=120):
        self.until(lambda lines: False, seconds)
        return self.process.wait(seconds)

    def press(self, keys):
        os.write(self.keyboard, keys)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)

    def _read(self):
        if not select.select([self.keyboard], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self.keyboard, 65536)
        except OSError:  # the last one has closed it
            return False
        self.screen.feed(self._decode(data))
        lines = self.screen.lines
        if not self.seen or self.seen[-1] != lines:
            self.seen.append(lines)
        return bool(data)


def resize(terminal, width, height):
    termios.tcsetwinsize(terminal, (height, width))


def take(terminal):
    """Make a terminal that of a session of its own, as a shell has."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
