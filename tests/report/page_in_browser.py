#!/usr/bin/env python3
"""The report's page in Chromium: page_in_browser.py WINNOW|PAGE... [--shots FOLDER]

WINNOW makes two pages of tests/data/report first: one with everything, one with little. Each page at two widths, light and dark: no console errors, no requests, every chart and map drawn, nothing wider than
the window, links that lead somewhere, tables that sort, a theme button that works. Exit status 77: no browser here.
With --shots also pictures of it all, to look at.
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import browser  # noqa: E402

SKIPPED = 77
WIDTHS = (400, 1400)
READY = "document.documentElement?.dataset.report === 'ready' && " \
        "(!document.getElementById('examples') || document.documentElement.dataset.examples === 'ready')"
# Canvases of one colour, inside closed <details> too.
BLANK = """[...document.querySelectorAll('canvas')].filter((canvas) => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Uint32Array(data.buffer);
  return seen.every((v) => v === seen[0]);
}).map((canvas) => canvas.getAttribute('aria-label'))"""
# What sticks out of the window without a box that scrolls around it.
TOO_WIDE = """(() => { const inScrollingBox = (node) => node && (getComputedStyle(node).overflowX === 'auto' ||
  inScrollingBox(node.parentElement)); return [...document.querySelectorAll('body *')].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 1 && !inScrollingBox(node);
}).map((node) => node.tagName + '.' + node.className); })()"""
DEAD_LINKS = """[...document.querySelectorAll('a[href^="#"]')].map((a) => a.hash.slice(1))
  .filter((id) => !document.getElementById(id))"""
NAMELESS = """[...document.querySelectorAll('canvas, button, select')].filter((node) => node.tagName === 'CANVAS'
  ? !node.getAttribute('aria-label') : node.tagName === 'SELECT' ? !node.labels.length : !node.textContent.trim()).length"""
CHARTS_WITHOUT_TABLE = """[...document.querySelectorAll('figure')].filter((figure) =>
  !figure.closest('section').querySelector('table')).length"""
SORTS = """(() => {
  const button = document.querySelector('#accuracy th:nth-child(3) button'), table = button.closest('table');
  const values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.sort));
  button.click();
  const down = values().every((v, i, all) => i === 0 || all[i - 1] >= v);
  button.click();
  return down && values().every((v, i, all) => i === 0 || all[i - 1] <= v);
})()"""
BAD_TEXT = "document.getElementById('main').textContent.match(/.{0,20}(\\[object |undefined|NaN|Infinity).{0,20}/g)"
# A relative luminance of WCAG 2; text against the page's ground.
CONTRAST = """(() => {
  const light = (colour) => { const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((c) => c / 255).map(
    (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return Math.min(...['body', '.soft, .note', '.lower', '.higher', '.same', 'a'].map((s) => document.querySelector(s)).filter(Boolean)
    .map((node) => light(getComputedStyle(node).color)).map((l) => (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05)));
})()"""


def pages_of(winnow, folder):
    """Two pages of the sample runs."""
    data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/report")
    full, bare = os.path.join(folder, "full.html"), os.path.join(folder, "bare.html")
    gqa, pope = os.path.join(data, "gqa"), os.path.join(data, "pope")
    subprocess.run([winnow, "-q", "report", gqa, pope, "--bench", os.path.join(data, "bench.json"), "--reference", "paper",
                    "--data", os.path.join(data, "data"), "--resamples", "200", "-o", full], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([winnow, "-q", "report", pope, "--examples", "0", "--baseline", "nothing", "--resamples", "200", "-o", bare],
                   check=True, stdout=subprocess.DEVNULL)
    return [full, bare]


def findings(tab, path, width, dark, shots):
    tab.problems.clear()
    tab.requests.clear()
    tab.look(width, dark)
    tab.open(path)
    tab.wait_for(READY)
    if shots:
        name = f"{os.path.splitext(os.path.basename(path))[0]}-{width}-{'dark' if dark else 'light'}.png"
        tab.screenshot(os.path.join(shots, name))
    for what, script in (("blank canvases", BLANK), ("wider than the window", TOO_WIDE), ("links to nothing", DEAD_LINKS)):
        found = tab.value(script)
        if found:
            yield f"{what}: {found[:5]}"
    for what, script in (("elements without a name", NAMELESS), ("charts without a table", CHARTS_WITHOUT_TABLE)):
        if tab.value(script):
            yield f"{what}: {tab.value(script)}"
    if not tab.value(SORTS):
        yield "a table does not sort by its head"
    if tab.value("isDark()") != dark:
        yield "the page does not follow the system's colours"
    bad = tab.value(BAD_TEXT)
    if bad:
        yield f"text of a slip: {bad[:5]}"
    if tab.value("window.broken"):
        yield "text of the run became a script"
    contrast = tab.value(CONTRAST)
    if contrast < 4.5:
        yield f"contrast of text, got {contrast:.2f}, expected 4.5 or more"
    tab.value("document.getElementById('theme').click()")
    if tab.value("isDark()") == dark or tab.value(BLANK):
        yield "the theme button does not turn the page and its charts"
    yield from tab.problems
    if tab.requests:
        yield f"requests: {tab.requests[:5]}"


def main():
    arguments = sys.argv[1:]
    shots = None
    if "--shots" in arguments:
        at = arguments.index("--shots")
        shots = arguments[at + 1]
        del arguments[at:at + 2]
        os.makedirs(shots, exist_ok=True)
    program = browser.find()
    if not program:
        print("page_in_browser: skipped, no Chromium here (Debian: chromium; tools/setup.sh --train installs it)")
        sys.exit(SKIPPED)
    n = 0
    with tempfile.TemporaryDirectory() as folder, browser.Browser(program) as tab:
        pages = [a for a in arguments if a.endswith(".html")]
        for winnow in arguments:
            pages += [] if winnow in pages else pages_of(winnow, folder)
        for path in pages:
            for width in WIDTHS:
                for dark in (False, True):
                    for finding in findings(tab, path, width, dark, shots):
                        print(f"{path}, {width} px, {'dark' if dark else 'light'}: {finding}")
                        n += 1
    print(f"page_in_browser: {n} findings in {len(pages)} pages" if n else "page_in_browser: clean")
    sys.exit(1 if n else 0)


if __name__ == "__main__":
    main()
