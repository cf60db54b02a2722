"""Selectors from flat options, which tests write in one dict."""

from dataclasses import fields, replace

from segal.active.selectors import QueryContext
from segal.registry import SELECTORS

_FIELDS = {field.name for field in fields(QueryContext)}


def build(context=None, **options):
    """A registered selector.

    Args:
        context: Of the round, where there is one; its budget counts.
        options: ``type``, fields of the context (``shape`` is the unit), the
            selector's own options.
    """
    if 'shape' in options:
        options['unit'] = options.pop('shape')
    told = {x: options.pop(x) for x in list(options) if x in _FIELDS}
    if context is None:
        context = QueryContext(**told)
    else:
        budget = context.budget or told.get('budget')
        context = replace(context, **{**told, 'budget': budget})
    return SELECTORS.build(dict(options, context=context))
