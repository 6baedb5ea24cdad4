"""The check of the built documentation sees what is wrong with it."""

import runpy
from pathlib import Path

from tests.support.paths import ROOT

SITE = runpy.run_path(str(ROOT / "scripts" / "site.py"))


def test_dead_links_missing_anchors_and_other_hosts_are_seen(tmp_path: Path) -> None:
    (tmp_path / "two.html").write_text('<h2 id="here">Here</h2>')
    (tmp_path / "one.html").write_text(
        '<a href="two.html#here"></a><a href="two.html#gone"></a><a href="three.html"></a>'
        '<a href="https://example.org"></a><img src="lost.png">'
        '<script src="//cdn.example.org/x.js"></script>'
    )
    (tmp_path / "style.css").write_text("@import url(https://fonts.example.org/a.css);")
    assert SITE["faults"](tmp_path) == [
        "one.html: two.html#gone is not there",
        "one.html: three.html is not there",
        "one.html: lost.png is not there",
        "one.html: loads //cdn.example.org/x.js from another host",
        "style.css: loads something from another host",
    ]


def test_a_page_of_the_root_has_its_links_moved() -> None:
    text = '[a](docs/howto.md#x) [b](CONTRIBUTING.md) [c](https://d.org) [e](#f) <img src="docs/g.png">'
    assert SITE["moved"](text, ROOT / "README.md") == (
        '[a](howto.md#x) [b](contributing.md) [c](https://d.org) [e](#f) <img src="g.png">'
    )
    text = "[a](../own-script.md) [b](../../README.md)"
    assert SITE["moved"](text, ROOT / "docs" / "howto" / "run.md") == (
        "[a](../own-script.md) [b](../index.md)"
    )
