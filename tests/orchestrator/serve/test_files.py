"""The page is files of the package that load nothing else and make no markup out of text."""

import re

from orchestrator.serve.server import page_files

FILES = {name: answer.body.decode() for name, answer in page_files().items()}
NAMESPACE = "http://www.w3.org/2000/svg"


def test_there_is_one_page_with_its_style_and_scripts() -> None:
    assert {"page.html", "style.css", "app.js", "icon.svg"} <= set(FILES)
    named = re.findall(r'(?:src|href)="([^"#]+)"', FILES["page.html"])
    assert set(named) <= set(FILES)
    for text in FILES.values():
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(FILES)


def test_nothing_is_asked_of_another_host() -> None:
    for name, text in FILES.items():
        assert "//" not in re.sub(r"(^|\s)//.*", "", text.replace(NAMESPACE, "")), name
        assert "@import" not in text
        assert "url(" not in text


def test_text_never_becomes_markup() -> None:
    doors = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|"
        r"new Function|createContextualFragment|javascript:|setHTML"
    )
    for name, text in FILES.items():
        assert re.findall(doors, text) == [], name
    # The policy would refuse them anyway.
    assert (
        re.findall(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src)", FILES["page.html"])
        == []
    )
