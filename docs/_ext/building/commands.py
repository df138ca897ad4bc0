"""The reference of the command line, written from the command itself at every build."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from building.files import write
from thalweg.cli import app as command_line

_HEAD = """# Command line

Every command says the same with `--help`. An error is told in a line; `THALWEG_TRACEBACK=1` shows where it arose.
`--install-completion` teaches your shell the commands and their options.

| Command | What it does |
|---|---|
"""


def page() -> str:
    """Markdown: a table of all commands, and a section for each."""
    group: Any = typer.main.get_command(command_line)
    rows = [f"| [`thalweg {name}`](#thalweg-{name}) | {_short(verb)} |" for name, verb in group.commands.items()]
    sections = [_section(name, verb) for name, verb in group.commands.items()]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n\n".join(sections) + "\n"


def _short(verb: Any) -> str:
    return (verb.help or "").split("\n\n")[0].replace("\n", " ")


def _section(name: str, verb: Any) -> str:
    context = verb.context_class(verb, info_name=f"thalweg {name}")
    usage = " ".join([f"thalweg {name}", *verb.collect_usage_pieces(context)])
    parts = [f"(thalweg-{name})=\n## thalweg {name}", verb.help or "", f"```sh\n{usage}\n```"]
    for kind, heading in (("argument", "Argument"), ("option", "Option")):
        rows = [_row(p, context) for p in verb.get_params(context) if p.param_type_name == kind and not p.hidden]
        if rows:
            parts.append("\n".join([f"| {heading} | Meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(parameter: Any, context: Any) -> str:
    words, help_ = parameter.get_help_record(context)
    help_ = re.sub(r"  \[(.*)\]$", r" *(\1)*", help_).replace("|", "\\|")
    return f"| `{words.replace(chr(124), chr(92) + chr(124))}` | {help_} |"


def _write(app: Any) -> None:
    write(Path(app.srcdir) / "reference" / "commands.md", page())


def setup(app: Any) -> None:
    """Before Sphinx looks for pages."""
    app.connect("builder-inited", _write, priority=100)
