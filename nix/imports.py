"""Imports all modules of the application, loads the model and starts the servers, inside the sandbox."""

import asyncio
import importlib
import pkgutil
import subprocess
import sys

import app

# These make models, or compare engines: they want packages that only the build has.
BUILDERS = ("app.embedding.build", "app.embedding.graph", "app.embedding.weights", "app.bench")
# Imported late, in functions.
LATE = ("chromadb", "gradio", "onnxruntime", "openai", "psycopg_pool", "py3langid", "pypdfium2")


def main() -> None:
    """Import all of them, embed a sentence, and run what comes along as programs."""
    names = [module.name for module in pkgutil.walk_packages(app.__path__, "app.")]
    for name in names:
        if not name.startswith(BUILDERS) and not name.endswith("__main__"):
            importlib.import_module(name)
    for name in LATE:
        importlib.import_module(name)
    from app.assistant import MODEL_DIR
    from app.embedded.postgres import binaries
    from app.embedding.local import LocalEmbedder

    vectors = asyncio.run(LocalEmbedder(MODEL_DIR).embed(["Does the model load?"]))
    if vectors.shape != (1, 384):
        sys.exit(f"the model gives vectors of the shape {vectors.shape}")
    for program in ("postgres", "initdb", "pg_dump"):
        subprocess.run([binaries() / program, "--version"], check=True)


if __name__ == "__main__":
    main()
