"""Reads the file a W&B run is kept in: framed protobuf messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK = 32768
HEADER = 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Every record of a ``run-*.wandb`` file, in the order written."""
    data, at, whole = path.read_bytes(), HEADER, b''
    assert data[:4] == b':W&B', f'{path} is no W&B log'
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack('<IHB', data[at : at + HEADER])
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b''


def points(path: Path) -> list[dict]:
    """Every logged point: key -> value, and W&B's own step as ``_step``."""
    rows = []
    for record in records(path):
        if record.WhichOneof('record_type') == 'history':
            rows.append(
                {
                    item.key or '.'.join(item.nested_key): json.loads(
                        item.value_json
                    )
                    for item in record.history.item
                }
                | {'_step': record.history.step.num}
            )
    return rows


def run_ids(path: Path) -> set[str]:
    return {
        record.run.run_id
        for record in records(path)
        if record.WhichOneof('record_type') == 'run'
    }


def metrics(path: Path) -> dict[str, str]:
    """Metric or pattern -> the metric it is drawn over."""
    return {
        record.metric.name or record.metric.glob_name: (
            record.metric.step_metric
        )
        for record in records(path)
        if record.WhichOneof('record_type') == 'metric'
    }
