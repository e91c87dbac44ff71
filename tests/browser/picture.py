"""Takes the README's picture from the real UI: ``python -m tests.browser.picture MODEL_DIR [FILE]``."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from app.samples import QUESTIONS
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.support.running import ROOT, environment, serving

PICTURE = ROOT / "docs" / "images" / "assistant.png"
COLOURS = 192  # enough for text on flat ground, and half of the bytes


def main(model_dir: Path, picture: Path) -> None:
    """Ask an example, open a source, and save what is seen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = {"KA_SERVER__UI": "true"}
        with serving(Path(folder) / "data", environment(model_dir, settings)) as service:
            service.request("POST", "/api/v1/knowledge-bases/default/samples").raise_for_status()
            service.settled()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 700})
            page.goto(service.url)
            page.get_by_role("button", name=QUESTIONS[0].text).click()
            page.locator("#current .sources").wait_for()
            page.locator("#current .answer .chip").nth(2).click()
            page.wait_for_timeout(800)
            shot = page.screenshot()
            browser.close()
    picture.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            picture, optimize=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE)
