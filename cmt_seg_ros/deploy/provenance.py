"""The end of every card: what a model learned from, under which terms, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def provenance(card: Mapping[str, Any]) -> str:
    """Markdown of the keys ``data``, ``terms`` and ``reproduce`` of model.yaml."""
    data = "\n".join(f"- {d['name']} ({d['source']}): {d['terms']}" for d in card["data"])
    return f"""## Data and terms

{data}

{card["terms"]}

## Reproduce

    {card["reproduce"]}
"""
