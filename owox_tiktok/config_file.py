"""A YAML file that says what an import may be told, with ``${VARIABLE}`` references to the environment.

Every mistake carries its line (``tiktok.yaml:7 objects``). What the values may be is not known here: see ``settings``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.settings import SETTINGS, Settings, Value, Wording, build, unknown

FILE_SETTINGS = tuple(s for s in SETTINGS if s.in_file)
"""The settings a file may hold."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_file(path: Path, *, now: datetime, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the Settings of a YAML file with ``${VARIABLE}`` references; raises BadInput with every mistake.

    Relative destinations are relative to the folder the program was started in, as on any command line.
    """
    env = os.environ if environment is None else environment
    name = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            [Mistake(str(path), f"cannot be read ({error.strerror})", "`owox-tiktok init` writes an example.")]
        ) from None
    except UnicodeDecodeError:
        raise BadInput([Mistake(str(path), "is not a UTF-8 text", "Save the file as UTF-8.")]) from None
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                at = f"{name}:{token.start_mark.line + 1}"
                raise BadInput([Mistake(at, "& and * refer to other lines, which is not read here", "Write it out.")])
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise BadInput([Mistake(name, "is nested too deep", "`owox-tiktok init` writes an example.")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise BadInput([Mistake(f"{name}{line}", f"cannot be read as YAML: {problem}", "Mend that line.")]) from None
    mistakes: list[Mistake] = []
    if not isinstance(root, yaml.MappingNode):
        raise BadInput([Mistake(name, "holds no settings", "`owox-tiktok init` writes an example.")])
    values: dict[str, Value] = {}
    known = [s.name for s in FILE_SETTINGS]
    for key_node, node in root.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        at = f"{name}:{key_node.start_mark.line + 1} {key}"
        if key not in known:
            mistakes.append(unknown(Value(key, at), "setting", known, "docs/GETTING_STARTED.md lists"))
        elif key in values:
            mistakes.append(Mistake(at, "is there twice", "Keep one of the two lines."))
        else:
            values[key] = _value(node, at, env, mistakes)
    return build(values, now=now, source=name, wording=_wording(name), known=mistakes)


def _wording(file: str) -> Wording:
    return Wording(
        where=lambda setting: f"{file} {setting.name}",
        say=lambda setting: setting.name,
        add=lambda setting: f"Add {setting.name}: {setting.example}",
    )


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def _value(node: yaml.Node, where: str, env: Mapping[str, str], mistakes: list[Mistake]) -> Value:
    """Turn a YAML node into a Value. Texts are taken as they stand: what they mean is decided by who reads them."""
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(n, where, env, mistakes) for n in node.value], where)
    if isinstance(node, yaml.MappingNode):
        inside: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in inside:
                mistakes.append(Mistake(f"{where}.{key}", "is there twice", "Keep one of the two."))
            inside[key] = _value(value_node, f"{where}.{key}", env, mistakes)
        return Value(inside, where)
    text = str(node.value)
    variables = _VARIABLE.findall(text)
    if variables:
        unset = [v for v in variables if not env.get(v)]
        if unset:
            what = f"the environment variable {' and '.join(unset)} is not set"
            mistakes.append(Mistake(where, what, f"Set it before the run: export {unset[0]}=…"))
        whole = _VARIABLE.fullmatch(text.strip()) is not None
        filled = _VARIABLE.sub(lambda m: env.get(m[1], ""), text)
        return Value(filled, where, variable="whole" if whole else "part")
    if node.tag == "tag:yaml.org,2002:null":
        return Value(None, where)
    quotes = f'Put every id in quotes: ["{text.strip()}"].' if node.tag in _NUMBERS else ""
    return Value(text, where, number=quotes)


def example() -> str:
    """Return a commented example file, made from the settings a file may hold."""
    lines = ["# TikTok Ads import. Every line with a leading # shows an optional setting with an example."]
    for setting in FILE_SETTINGS:
        lines += ["", f"# {setting.description}"]
        lines.append(f"{'' if setting.required else '# '}{setting.name}: {setting.example}")
    return "\n".join(lines) + "\n"
