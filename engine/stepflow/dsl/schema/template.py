"""The JSON Schema of a template: what editors complete, explain and check while it is typed.

It refuses what the parser refuses wherever a schema can say it, and never anything that the parser accepts. What only
the whole text tells (references, cycles, expressions, paths) is left to `validate`.
"""

from __future__ import annotations

from collections.abc import Iterable

from stepflow.dsl.schema import cases, components, flow, handling, schemas, steps, triggers, values
from stepflow.dsl.schema.components import Offered
from stepflow.model.flow import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def template_schema(offered: Iterable[Offered] | None = None) -> Json:
    """JSON Schema 2020-12 of a template. The components `offered` are completed with what their input takes, and an
    unknown one of our families is refused; None: components are not judged."""
    known = None if offered is None else tuple(offered)
    return {
        "$schema": DIALECT,
        "title": "StepFlow template",
        "description": "A workflow: its steps, what they depend on, and what happens when one fails.",
        **flow.root(),
        "$defs": {
            **steps.definitions(known or ()),
            **components.definitions(known),
            **values.definitions(),
            **handling.definitions(),
            **schemas.definitions(),
            **triggers.definitions(),
            **cases.definitions(),
        },
    }
