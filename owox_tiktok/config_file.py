"""A YAML file that configures an import, with ``${VARIABLE}`` references to the environment.

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
from owox_tiktok.names import resolve
from owox_tiktok.secret import unfit_to_show
from owox_tiktok.settings import SETTINGS, Settings, Value, Wording, build, unknown

FILE_SETTINGS = tuple(s for s in SETTINGS if s.in_file)
"""The settings a file may hold."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

MOST_BYTES = 1_000_000
"""A configuration with every object and field of each is a tenth of this."""
MOST_NESTED = 20


def read_file(path: Path, *, now: datetime, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the Settings of a YAML file with ``${VARIABLE}`` references; raises BadInput with every mistake.

    Settings may be named as other loaders name them. Relative destinations are relative to the folder the program was
    started in, as on any command line.
    """
    return read_settings(read_text(path), path.name, now=now, environment=environment)


def read_settings(text: str, name: str, *, now: datetime, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the Settings that ``text`` says, the content of the file ``name``; raises BadInput as ``read_file``."""
    values, mistakes = read_values(text, name, environment=environment)
    return build(values, now=now, source=name, wording=_wording(name), known=mistakes)


def read_values(
    text: str, name: str, *, environment: Mapping[str, str] | None = None
) -> tuple[dict[str, Value], list[Mistake]]:
    """Return what ``text`` says of each setting, by its name, and the mistakes that show before any is understood.

    Raises BadInput for a text that holds no settings at all.
    """
    env = os.environ if environment is None else environment
    root = parsed(text, name)
    if not isinstance(root, yaml.MappingNode):
        raise BadInput([Mistake(f"{name}:1", "holds no settings", "`owox-tiktok init` writes an example.")])
    mistakes: list[Mistake] = []
    values: dict[str, Value] = {}
    known = [s.name for s in FILE_SETTINGS]
    for key_node, node in root.value:
        line, written = f"{name}:{key_node.start_mark.line + 1}", _key(key_node)
        at = f"{line} {shown(written)}"
        key = resolve("setting", written, known)
        if key is None:
            mistakes.append(unknown(Value(written, at), "setting", "setting", known, "docs/settings.md lists"))
        elif key in values:
            same = "appears twice" if key == written else f"means {key}, which is there already"
            mistakes.append(Mistake(at, same, "Keep one of the two lines."))
        else:
            values[key] = _value(node, f"{line} {key}", env, mistakes)
    return values, mistakes


def read_text(path: Path) -> str:
    """Return what a text file of a reasonable size holds; raises BadInput."""
    example = "`owox-tiktok init` writes an example."
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the name is not valid"
        raise BadInput([Mistake(str(path), f"cannot be read ({why})", example)]) from None
    if len(raw) > MOST_BYTES:
        raise BadInput(
            [Mistake(str(path), f"holds more than {MOST_BYTES:,} bytes, so it cannot be a configuration", example)]
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = f"{path}:{raw[: error.start].count(10) + 1}"
        raise BadInput([Mistake(at, "is not a UTF-8 text", "Save the file as UTF-8.")]) from None


def parsed(text: str, name: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, None for an empty one; raises BadInput with the line of what cannot be read."""
    try:
        depth = 0
        for token in yaml.scan(text):
            at = f"{name}:{token.start_mark.line + 1}"
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise BadInput([Mistake(at, "& and * refer to other lines, which is not read here", "Write it out.")])
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > MOST_NESTED:
                raise BadInput([Mistake(at, "is nested too deep", "`owox-tiktok init` writes an example.")])
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        at = f"{name}:{text[: error.position].count(chr(10)) + 1}"
        what = f"contains a character that no text can have (U+{ord(text[error.position]):04X})"
        raise BadInput([Mistake(at, what, "Delete it, or write the line again.")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = next((words for theirs, words in _PROBLEMS if theirs in (error.problem or "")), error.problem)
        at = f"{name}:{mark.line + 1 if mark else 1}"
        raise BadInput([Mistake(at, f"cannot be read as YAML: {problem}", "Fix that line.")]) from None


_OPENING = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken,
            yaml.FlowSequenceStartToken)  # fmt: skip
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_PROBLEMS = (
    ("'\\t'", "a tab is used where spaces belong"),
    ("could not find expected ':'", "a colon is missing after the name"),
    ("mapping values are not allowed", "a second colon, or a line that begins too far to the right"),
    ("expected <block end>", "the line is not indented like the others in its list"),
    ("but found another document", "--- begins a second document, and only one is read"),
)
"""What the YAML library says, in words for people who do not know its terms; what is not here is shown as it is."""


def _key(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "?"


def shown(name: str) -> str:
    """Return a name as it was written, short, and so that it cannot break a line or a terminal, nor show a secret."""
    if unfit_to_show(name):
        return "(what looks like a token or secret)"
    return name if re.fullmatch(r"[\w.+-]{1,60}", name) else repr(name[:40]).encode("ascii", "replace").decode()


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
            key = _key(key_node)
            at = f"{where}.{shown(key)}"
            if key in inside:
                mistakes.append(Mistake(at, "appears twice", "Keep one of the two."))
            inside[key] = _value(value_node, at, env, mistakes)
        return Value(inside, where)
    text = str(node.value)
    variables = _VARIABLE.findall(text)
    if variables:
        unset = [v for v in variables if not env.get(v)]
        if unset:
            what = f"the environment variable {' and '.join(map(shown, unset))} is not set"
            advice = f"Set it before the run: export {unset[0]}=…"
            if any(map(unfit_to_show, unset)):
                advice = "Write the variable's name between the braces, not the secret itself, and revoke the secret."
            mistakes.append(Mistake(where, what, advice))
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
