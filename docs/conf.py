"""The documentation as a site: `make docs`. The pages are Markdown that a forge shows as well."""

from importlib.metadata import version as installed_version

project = "finetune-operator"
version = installed_version(project)
html_title = f"{project} {version}"
html_theme = "furo"
html_show_sourcelink = False

# A diagram is drawn by the reader's browser, as a forge does it.
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
# Links to headings are written as a forge names them: page.md#exit-codes.
myst_heading_anchors = 3

# A reference to what is not there is an error, with -W.
nitpicky = True

linkcheck_timeout = 20
