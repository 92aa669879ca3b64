"""Draw the plots of dvc.yaml as one page that needs no network: `dvc plots show` loads its scripts from one.

    python -m review.plots [--against main]

The page is one file without scripts, of pictures that Vega drew here. With --against, each plot shows another commit's
model too, as `dvc plots diff` draws it.

Reads: dvc.yaml (plots) and what it names, through DVC; of another commit too
Writes: build/plots.html; git ignores build/
"""

import argparse
import base64
import json
import logging
from collections.abc import Mapping
from typing import Any

import jinja2

from runtime.command import run
from runtime.errors import InputError, RepositoryError
from runtime.outputs import whole
from runtime.repository import dvc, require_root
from runtime.wording import counted

log = logging.getLogger(__name__)

OUTPUT = "build/plots.html"
_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { margin: 0; background: #f3f5f7; color: #1c2530; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 1rem; }
figure { margin: 0 0 1rem; padding: 1rem; background: #fff; border: 1px solid #d9dee4; border-radius: 10px; }
img { max-width: 100%; height: auto; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for name, picture in pictures.items() %}
<figure id="{{ name }}"><img src="data:image/svg+xml;base64,{{ picture }}" alt="{{ name.replace("_", " ") }}"></figure>
{% endfor %}
</main>
</body>
</html>
"""


def specifications(*names: str, against: str = "") -> dict[str, dict[str, Any]]:
    """Read DVC's plots of the working folder as Vega-Lite, by name; what cannot be drawn is named in the log.

    Args:
        names: of the plots; none for all.
        against: a commit whose model is drawn too; empty for none.

    Raises:
        RepositoryError: DVC refuses, such as for a commit that is not there.
    """
    command = ["diff", "--targets", *names] if names else ["diff"]
    command = [*command, "--json", against] if against else ["show", "--json", *names]
    done = dvc("plots", *command)
    if done.returncode:
        raise RepositoryError(f"`dvc plots {command[0]}` failed: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    drawn = {name: each[0]["content"] for name, each in said["data"].items() if each}
    for name, why in sorted({(each["name"], each["msg"]) for each in said.get("errors", ())}):
        if name not in drawn:
            log.warning("plots: %s cannot be drawn: %s", name, why)
    return drawn


def page(title: str, pictures: Mapping[str, str]) -> str:
    """Fill the page.

    Args:
        title: of the page.
        pictures: SVG by the plot's name.
    """
    encoded = {name: base64.b64encode(picture.encode()).decode() for name, picture in pictures.items()}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_TEMPLATE).render(title=title, pictures=encoded)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m review.plots", description="Draw the plots of dvc.yaml.")
    parser.add_argument("--against", default="", help="a commit whose model is drawn too")
    against = parser.parse_args().against.strip()
    require_root()

    plots = specifications(against=against)
    if not plots:
        raise InputError("there is nothing to draw yet: `make repro` writes what the plots of dvc.yaml show.")
    html = page(
        f"Plots, against {against}" if against else "Plots", {name: draw(plots[name]) for name in sorted(plots)}
    )

    with whole(OUTPUT) as partial:
        partial.write_text(html, encoding="utf-8")
    log.info("plots: %s, %s, opens in any browser", OUTPUT, counted(len(plots), "plot"))


def draw(specification: dict[str, Any]) -> str:
    """Draw a plot as SVG.

    Args:
        specification: Vega-Lite, from `specifications`.

    Raises:
        InputError: what draws is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise InputError(
            "vl-convert-python is not installed, which draws plots: `make` installs it in .venv."
        ) from None
    return str(vl_convert.vegalite_to_svg(specification))


if __name__ == "__main__":
    run(main)
