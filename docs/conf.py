"""Settings of Sphinx for the site that `make docs` builds: the pages in this folder, and the interface of the packages.

Docstrings are plain text with names in backticks, as they are read in the source; `escape_markup` makes it the markup
that Sphinx reads. Nothing that the site shows is loaded from a network.
"""

import builtins
import re
import sys
from importlib import import_module
from inspect import getdoc
from pathlib import Path

from sphinx.addnodes import pending_xref

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

project = "binarynas"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "binarynas"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4  # pages link to headings
default_role = "py:obj"  # a name in backticks links to what it names, where the site shows that
python_maximum_signature_line_length = 100
suppress_warnings = ["ref.python"]  # a word in backticks may be the name of more than one attribute
autodoc_member_order = "bysource"
# what a class has from those of others is theirs to document
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,BaseModel,Enum,Module,dict,int,object,str,tuple",
    "no-value": True,
}

_MARKUP = re.compile(r"(`[^`]*`)|([*|\\]|_(?!\w))")


def list_interface(_app, page: str, source: list[str]) -> None:
    """Fill the page of a package in interface/: its docstring, and everything in its `__all__`."""
    if page.startswith("interface/"):
        package = import_module(page.removeprefix("interface/"))
        names = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
        lines = [f".. {_directive(value)}:: {package.__name__}.{name}" for name, value in names.items()]
        source[0] += "\n".join([getdoc(package) or "", "", "```{eval-rst}", *lines, "```", ""])


def _directive(value: object) -> str:
    return "autoclass" if isinstance(value, type) else "autofunction" if callable(value) else "autodata"


def escape_markup(_app, what: str, _name, value: object, _options, lines: list[str]) -> None:
    """Put a backslash before all that reStructuredText would take for markup, outside of backticks and examples.

    A line that ends with a colon before an indented block gets a second one: the block is code. A dictionary, which has
    no docstring of its own, is described by its keys.
    """
    if what == "data" and isinstance(value, dict):
        lines[:] = [f"A dictionary of {', '.join(map(str, value))}."]
    example = False
    for place, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[place] = _MARKUP.sub(lambda found: found[1] or "\\" + found[2], line)
        if line.endswith(":") and [text[:4] for text in lines[place + 1 : place + 3]] == ["", "    "]:
            lines[place] += ":"


def shorten_defaults(_app, _what, _name, _value, _options, signature: str | None, result: str | None):
    """Write ... for a default that is not Python, such as `<factory>`: the signature could not be read otherwise."""
    return re.sub(r"= <[^<>]+>", "= ...", signature) if signature else signature, result


def keep_builtins(_app, document) -> None:
    """Do not link a type such as `bytes` to an attribute of that name."""
    for reference in document.findall(pending_xref):
        if reference["refdomain"] == "py" and reference["reftarget"] in vars(builtins):
            reference.replace_self(reference.children)


def setup(app) -> None:
    """Tell Sphinx of the functions above."""
    app.connect("source-read", list_interface)
    app.connect("autodoc-process-docstring", escape_markup, priority=400)  # before the markup that napoleon makes
    app.connect("autodoc-process-signature", shorten_defaults)
    app.connect("doctree-read", keep_builtins)
