"""Field masks, and the form in which objects sent by clients are stored."""

from __future__ import annotations

import struct
from typing import Any

from owox_tiktok.local.sheets.errors import bad_mask

Mask = dict[str, Any]
"""Names with the mask below each; an empty mask stands for everything."""

_CHANNELS = frozenset(("red", "green", "blue", "alpha"))
_COLOURS = (
    "backgroundColor",
    "foregroundColor",
    "tabColor",
    "headerColor",
    "firstBandColor",
    "secondBandColor",
    "footerColor",
    "color",
)
_ALL: Mask = {}


def parse(text: str) -> Mask:
    """Read ``a.b,c(d,e/f)``; ``*`` stands for everything."""
    mask, index = _parse(text, 0)
    if index < len(text):
        raise bad_mask(text)
    return mask


def _parse(text: str, index: int) -> tuple[Mask, int]:
    mask: Mask = {}
    everything = False
    while index < len(text) and text[index] != ")":
        path: list[str] = []
        begin = index
        below: Mask = _ALL
        while index < len(text) and text[index] not in ",)":
            char = text[index]
            if char in "./":
                path.append(text[begin:index].strip())
                begin = index + 1
            elif char == "(":
                path.append(text[begin:index].strip())
                below, index = _parse(text, index + 1)
                if index >= len(text) or text[index] != ")":
                    raise bad_mask(text)
                begin = index + 1
            index += 1
        last = text[begin:index].strip()
        if last:
            path.append(last)
        if path == ["*"]:
            everything = True
        elif path:
            _put(mask, [name for name in path if name != "*"], below)
        if index < len(text) and text[index] == ",":
            index += 1
    return ({} if everything else mask), index


def _put(mask: Mask, path: list[str], below: Mask) -> None:
    for name in path[:-1]:
        here = mask.get(name)
        if here == _ALL and name in mask:
            return  # the whole of it is asked for already
        mask = mask.setdefault(name, {})
    last = path[-1]
    if last in mask and (mask[last] == _ALL or below == _ALL):
        mask[last] = {}
    elif last in mask:
        for name, one in below.items():
            _put(mask[last], [name], one)
    else:
        mask[last] = dict(below)


def wants(mask: Mask | None, *path: str) -> bool:
    """Whether a mask asks for anything at a path; no mask asks for everything."""
    return below(mask, *path) is not None


def below(mask: Mask | None, *path: str) -> Mask | None:
    """The part of a mask under a path: empty for everything, None when the path is not asked for."""
    here: Mask = mask or {}
    for name in path:
        if not here:
            return {}
        if name not in here:
            return None
        here = here[name]
    return here


def project(value: Any, mask: Mask | None) -> Any:
    """The part of an answer a mask asks for; levels that end up empty stay as empty objects."""
    if not mask:
        return value
    if isinstance(value, list):
        return [project(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: project(value[name], one) for name, one in mask.items() if name in value}


def apply(target: dict[str, Any], source: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """A copy of an object with the masked fields taken from another one; those missing there are reset."""
    new = dict(target)
    if not mask:
        return dict(source)
    for name, one in mask.items():
        given = source.get(name)
        if not one:
            if given is None:
                new.pop(name, None)
            else:
                new[name] = given
            continue
        here = new.get(name)
        inner = apply(here if isinstance(here, dict) else {}, given if isinstance(given, dict) else {}, one)
        if inner:
            new[name] = inner
        else:
            new.pop(name, None)
    return new


def widen(mask: Mask) -> Mask:
    """A mask that names a colour names its twin as well: each colour is stored plain and as a style."""
    new: Mask = {}
    for name, one in mask.items():
        new[name] = widen(one)
        if name in _COLOURS:
            new[name + "Style"] = {}
            new[name] = {}
        elif name.endswith("Style") and name[:-5] in _COLOURS:
            new[name[:-5]] = {}
            new[name] = {}
    return new


def single(number: float) -> float | int:
    """A number as a 32-bit float prints, which is how colour channels come back."""
    rounded = struct.unpack("f", struct.pack("f", float(number)))[0]
    for digits in range(6, 10):
        short = float(f"{rounded:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == rounded:
            return int(short) if short == int(short) else short
    return float(rounded)


def _channel(name: str, value: Any) -> float | int:
    """A colour channel as it comes back: one of 256 steps, rounded down (0.5 returns as 0.49803922)."""
    if not value:
        return 0
    return single(value) if name == "alpha" else single(int(float(value) * 255 + 1e-4) / 255)


def clean(value: Any, keep_false: bool = False) -> Any:
    """The stored form of an object: no nulls, no empty lists, no falses, colours as the API prints them."""
    if isinstance(value, list):
        return [clean(one, keep_false) for one in value]
    if not isinstance(value, dict):
        return value
    if value and not value.keys() - _CHANNELS:
        return {name: channel for name, one in value.items() if (channel := _channel(name, one))}
    new = {}
    for name, one in value.items():
        if one is None or one == [] or (one is False and not keep_false):
            continue
        new[name] = clean(one, keep_false)
    for name in _COLOURS:
        _pair(new, name)
    return new


def _pair(value: dict[str, Any], name: str) -> None:
    style = value.get(name + "Style")
    if style is not None and not isinstance(style, dict):
        return
    if style is not None:
        if "rgbColor" in style:
            value[name] = style["rgbColor"]
        elif "themeColor" not in style:
            # A style without a colour takes the colour away.
            del value[name + "Style"]
            value.pop(name, None)
    elif isinstance(value.get(name), dict):
        value[name + "Style"] = {"rgbColor": value[name]}
