"""The pages of the fleet and its hosts in a real browser: on a desk, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.paper_fleet import BROKEN, QUIET, Faults
from tests.support.watched import watched

pytestmark = pytest.mark.browser
# to be looked at
SHOTS = Path(__file__).parent.parent.parent / "build" / "consoles"
STATES = {"quiet": QUIET, "faults": BROKEN}
# least contrast of text, by the Web Content Accessibility Guidelines 2.2, level AA
CONTRAST = 4.5
# by the same: relative luminance, and the contrast of each element's own text with what lies behind it
LEAST = """() => {
  const rgba = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return {r, g, b, a} }
  const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const light = c => 0.2126 * part(c.r) + 0.7152 * part(c.g) + 0.0722 * part(c.b)
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor)
      if (c.a) return c
    }
    return {r: 255, g: 255, b: 255}
  }
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  const texts = [...document.body.querySelectorAll("*")].filter(e => own(e) && e.tagName !== "METER")
  return Math.min(...texts.map(e => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
    return (a + 0.05) / (b + 0.05)
  }))
}"""


@pytest.fixture(scope="module", params=STATES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The fleet's state, and the address of its pages."""
    state: str = request.param
    faults: Faults = STATES[state]
    with watched(tmp_path_factory.mktemp(state), faults) as url:
        yield state, f"{url}/consoles"


@pytest.mark.parametrize(
    ("device", "width", "dark"), [("desk", 1280, False), ("dark", 1280, True), ("phone", 390, True)]
)
@pytest.mark.parametrize("name", ["index.html", "host.html?host=postgres1", "host.html?host=api2"])
def test_a_page_fits_its_window_and_can_be_read(
    chromium: Browser, served: tuple[str, str], name: str, device: str, width: int, dark: bool
) -> None:
    state, pages = served
    window = chromium.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
    )
    try:
        answer = window.goto(f"{pages}/{name}")
        assert answer
        assert answer.ok
        SHOTS.mkdir(parents=True, exist_ok=True)
        shot = f"{state}-{name.partition('=')[2] or 'fleet'}-{device}.png"
        window.screenshot(path=SHOTS / shot, full_page=True)
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        assert window.evaluate(LEAST) >= CONTRAST
    finally:
        window.close()
