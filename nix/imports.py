"""Imports every module of the application and every compiled module beside it, inside the build's sandbox."""

import importlib
import pkgutil
import subprocess

import app

# These make models, or compare engines: they want packages that only the build has.
BUILDERS = ("app.embedding.graph", "app.bench")
# Imported late, in functions.
LATE = ("chromadb", "gradio", "onnxruntime", "openai", "psycopg_pool", "py3langid", "pypdfium2", "uvloop")


def main() -> None:
    """Import all of them, and run the servers that come along."""
    names = [module.name for module in pkgutil.walk_packages(app.__path__, "app.")]
    for name in names:
        if not name.startswith(BUILDERS) and not name.endswith("__main__"):
            importlib.import_module(name)
    for name in LATE:
        importlib.import_module(name)
    from app.embedded.postgres import binaries

    for program in ("postgres", "initdb", "pg_dump"):
        subprocess.run([binaries() / program, "--version"], check=True)


if __name__ == "__main__":
    main()
