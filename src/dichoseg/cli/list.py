"""`dichoseg list`."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Annotated, Any

import tyro

from .. import registry
from .options import Flag


def list_(
    group: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[GROUP]", help_behavior_hint="")] = None,
    name: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = None,
    *,
    check: Flag = False,
    json: Flag = False,
) -> None:
    """List the installed components: their names, and the package and version they come from.

    `dichoseg list weights` is a table of the published weights that load by name.

    Args:
        group: Group, such as encoders. Default: all.
        name: Name of published weights whose record to print.
        check: Import and check each component; show the broken ones.
        json: Print published weights as JSON.
    """
    if group == "weights" and not check:
        print(_weights(name, json))
        return
    if name is not None or json:
        raise ValueError(f"a NAME and --json are for `dichoseg list weights`; got {group or 'all groups'}")
    groups = {each: registry.components(each) for each in (registry.GROUPS if group is None else (group,))}
    names = {each: set(registry.list_components(each)) for each in groups}
    width = max((len(name) for each in names.values() for name in each), default=0) + 2
    broken = 0
    for each, installed in groups.items():
        print(each)
        if each == "weights":
            print("  published weights by name: dichoseg list weights")
        for component in installed:
            qualified = f"{component.package}/{component.name}"
            name = qualified if qualified in names[each] else component.name
            line = f"  {name:{width}}{component.package} {component.version}".rstrip()
            if check:
                state, is_usable = _state(component)
                broken += not is_usable
                line += f"  {state}"
            print(line)
    if broken:
        print(f"{broken} cannot be used: repair or remove their packages. All others work.", file=sys.stderr)
        raise SystemExit(1)


def _weights(name: str | None, json: bool) -> str:
    """Return the records of published weights, or of one."""
    from ..weights import list_weights, resolve
    from .weights_table import as_json, description, table

    records = [*list_weights().values()] if name is None else [resolve(name)]
    if json:
        return as_json(records)
    return table(records) if name is None else description(records[0])


def _state(component: registry.Component) -> tuple[str, bool]:
    """Return the state of a component, in a line, and whether it can be used."""
    try:
        loaded = component.load()
        _check_conformance(component, loaded)
    except (ImportError, TypeError, AssertionError) as error:  # their messages name the component
        return " ".join(str(error).split()), False
    except Exception as error:  # a plugin may fail in any way, and the rest is listed nevertheless
        return " ".join(f"fails with {type(error).__name__}: {error}".split()), False
    other_version = component.other_version()
    return (f"ok, but {other_version}" if other_version else "ok"), True


def _check_conformance(component: registry.Component, loaded: Any) -> None:
    """Run the conformance check of the groups whose parts can be built quickly, from their name only."""
    from .. import testing
    from ..models.make import make_model
    from ..testing.objective import NeedsExtrasError

    if component.group == "heads":
        testing.check_heads(loaded)
    elif component.group == "objectives":
        with contextlib.suppress(NeedsExtrasError):  # it is checked with its model, in its package's tests
            testing.check_objective(loaded)
    elif component.group == "metrics":
        testing.check_metric(loaded)
    elif component.group == "published":
        if not registry.has_component("models", f"{component.package}/{component.name}"):
            raise TypeError(f"the record is of no model: {component.package} has no model {component.name!r}")
        testing.check_published(functools.partial(make_model, f"{component.package}/{component.name}"), loaded)
