"""Builds HTML and SVG from plain values. Everything is escaped unless it was built here, whatever a file contains."""

import base64
import hashlib
import html
from collections.abc import Iterable
from importlib.resources import files

_VOID = {"meta", "br", "link", "input", "hr"}
# control characters are not allowed in HTML, and those that change the writing direction could disguise a text
_UNSEEN = [*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_REPLACED = dict.fromkeys([*_UNSEEN, *range(0xD800, 0xE000)], "\N{REPLACEMENT CHARACTER}")


class Html(str):
    """A text that is HTML and is not escaped again. Only the functions here make it from other texts."""

    __slots__ = ()


Child = str | Iterable[str] | None


def text(value: str) -> Html:
    """A text as HTML; HTML is returned unchanged.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return value if isinstance(value, Html) else Html(html.escape(value.translate(_REPLACED)))


def join(children: Iterable[str]) -> Html:
    """Texts and HTML, one after another, as HTML."""
    return Html("".join(text(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Html:
    """An element. Attributes that are None are left out; `class_` is class and `data_x` is data-x.

    >>> tag("p", "a < b", tag("br"), class_="note")
    '<p class="note">a &lt; b<br></p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            written = f"{value:.5g}" if isinstance(value, float) else html.escape(str(value).translate(_REPLACED))
            words.append(f'{key.rstrip("_").replace("_", "-")}="{written}"')
    opened = f"<{' '.join(words)}>"
    if name in _VOID:
        return Html(opened)
    inner = "".join(text(child) if isinstance(child, str) else join(child) for child in children if child is not None)
    return Html(f"{opened}{inner}</{name}>")


def table(caption: str, headings: Iterable[str], rows: Iterable[Iterable[str]], *, left: Iterable[int] = (0,)) -> Html:
    """A table that scrolls sideways on a narrow screen; `left` are the numbers of the columns of words.

    The caption is for those who cannot see what stands above. A first cell of words names its row.
    """
    words = set(left)

    def cell(kind: str, column: int, content: str, scope: str | None = None) -> Html:
        return tag(kind, content, scope=scope, class_=None if column in words else "number")

    def named(column: int, content: str) -> Html:
        return cell("th", 0, content, "row") if column == 0 and 0 in words else cell("td", column, content)

    head = tag("tr", [cell("th", column, content, "col") for column, content in enumerate(headings)])
    body = [tag("tr", [named(column, content) for column, content in enumerate(row)]) for row in rows]
    return wide(tag("table", tag("caption", caption, class_="unseen"), tag("thead", head), tag("tbody", body)), caption)


def wide(content: Html, name: str) -> Html:
    """Something that may be wider than the screen: it scrolls sideways, by keys as well where the script runs."""
    return tag("div", content, class_="wide", data_name=name)


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """A list of names with their values; names with an empty value are left out."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value])


def copyable(content: str, element: str = "pre") -> Html:
    """A text with a button that copies it, shown where the page's script runs."""
    shown = tag("pre", tag("code", content)) if element == "pre" else tag("code", content)
    return tag("div", shown, Html('<button class="copy" type="button" hidden>copy</button>'), class_="copyable")


def page(title: str, *body: Child) -> Html:
    """A whole document that contains all it needs: its style and its one script.

    A policy in its head lets the browser run this script only, load nothing and send nothing.
    """
    style = (files("analysis.report") / "report.css").read_text("utf-8")
    script = (files("analysis.report") / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return Html(f"<!doctype html>\n{tag('html', head, tag('body', *body, tag('script', Html(script))), lang='en')}\n")
