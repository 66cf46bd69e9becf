"""Fill in the forms of the console, and press the buttons of its pages, without a window."""

import html
import re

from tests.console.browser import Browser, Page


def mark_of(page: Page) -> str:
    found = re.search(r'name="mark" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def said(page: Page) -> str:
    """What a person reads."""
    text = re.sub(r"<(?:script|style).*?</(?:script|style)>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def form(page: Page, **fields: str) -> dict[str, str]:
    return {"csrf": page.csrf, "mark": mark_of(page)} | {
        key.replace("__", "."): value for key, value in fields.items()
    }


def sent(page: Page) -> dict[str, str]:
    """What a browser would send of the page's form, untouched."""
    inner = page.text.split("<main")[1]
    found = dict(re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', inner))
    found |= dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)</textarea>', inner))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)".*?>(.*?)</select>', inner, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', options)
        found[name] = chosen[1] if chosen else ""
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inner):
        found[name] = value
    return {name: html.unescape(value) for name, value in found.items()}


async def confirmed(browser: Browser, path: str, page: Page, fields: dict[str, str]) -> Page:
    """Press the button of the page that shows the difference: it sends what its form has."""
    hidden = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text.split("<main")[1])
    )
    sent = {key: html.unescape(value) for key, value in hidden.items()}
    assert {
        key: value for key, value in fields.items() if key not in {"csrf", "mark"}
    }.items() <= sent.items()
    return await browser.post(path, {**sent, "apply": "yes"})
