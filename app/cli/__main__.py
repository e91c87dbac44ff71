"""``python -m app.cli`` is ``ka``."""

from app.cli import main

main()
