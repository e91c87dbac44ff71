"""objects: see documents."""

from __future__ import annotations

import os
from pathlib import Path

from ka_backup.config import Config
from ka_backup.documents import DocumentsLoop
from ka_backup.errors import Fewer, Unusable
from ka_backup.loop import Loop, Teller
from ka_backup.restic import Repository

SECONDS = 20.0
REQUEST, REFUSED = "objects-now", "objects-refused"
FEWER = "fewer"  # the word in a request that they may be


class _Asked:
    """A pass over all as soon as somebody asks for it by a file, which goes when that is saved or refused."""

    def __init__(self, work: DocumentsLoop, request: Path) -> None:
        self._work = work
        self._request = request
        self.figures = work.figures

    def once(self) -> None:
        """See Work."""
        asked = self._request.exists()
        fewer = asked and self._request.read_text(encoding="ascii") == FEWER
        try:
            self._work.once(everything=asked, fewer=fewer)
        except Fewer as error:
            if asked:
                self._request.with_name(REFUSED).write_text(str(error), encoding="utf-8")
                self._request.unlink(missing_ok=True)
            raise
        if asked:
            self._request.unlink(missing_ok=True)


def main(config: Config, arguments: list[str]) -> int:
    """Until it is asked to end."""
    if arguments or not config.data:
        raise Unusable("This takes no words, and runs where documents are kept: backup objects")
    teller = Teller()
    work = DocumentsLoop(Path(config.data), Repository(config, config.host), teller)
    folder = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/ka-backup"))
    return Loop("objects", _Asked(work, folder / REQUEST), teller, config.metrics, SECONDS).run()
