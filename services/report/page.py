"""The page around the report's sections: its head, its style, and how sections and figures are laid out."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

_CSS = """
:root { color-scheme: light; --ink: #212529; --quiet: #5c636a; --line: #dee2e6; --teal: #0b7285; }
* { box-sizing: border-box; }
body { margin: 0; background: #f8f9fa; color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 62rem; }
.quiet, figcaption { color: var(--quiet); font-size: .9rem; }
code { font-size: .85em; overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid var(--line); border-radius: .6rem; }
section { padding: 1.1rem 1.2rem; margin-top: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin-top: 1rem; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.35rem; color: var(--teal); }
.tile span { color: var(--quiet); font-size: .85rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; flex: 0 1 auto; }
h3 { font-size: .95rem; margin: .4rem 0 .2rem; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { max-width: 31rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .25rem 0 .75rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
details { margin-top: .75rem; } summary { cursor: pointer; color: var(--teal); }
pre { overflow-x: auto; background: #f1f3f5; padding: .75rem; border-radius: .4rem; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        title: above it.
        image: as `charts.picture` makes it.
        caption: below it, plain text.
    """

    title: str
    image: str
    caption: str = ""


def section(title: str, says: str, *rows: Sequence[Picture], more: str = "") -> str:
    """A section: what its figures say, further HTML, and rows of figures."""
    figures = "".join(f'<div class="figures">{"".join(map(_figure, row))}</div>' for row in rows)
    return f"<section><h2>{html.escape(title)}</h2><p>{html.escape(says)}</p>{more}{figures}</section>"


def _figure(one: Picture) -> str:
    caption = f"<figcaption>{html.escape(one.caption)}</figcaption>"
    return f"<figure><h3>{html.escape(one.title)}</h3>{one.image}{caption}</figure>"


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Figures that are looked at first, each with what it counts."""
    cells = (f'<div class="tile"><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>' for a, b in values)
    return f'<div class="tiles">{"".join(cells)}</div>'


def page(title: str, subtitle: str, body: Sequence[str]) -> str:
    """The whole document. It loads nothing from anywhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head><body><main>"
        f'<h1>{html.escape(title)}</h1><p class="quiet">{html.escape(subtitle)}</p>{"".join(body)}'
        "</main></body></html>\n"
    )
