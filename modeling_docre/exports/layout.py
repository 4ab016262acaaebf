"""Where the nodes of a graph stand in a picture: neighbours near each other, components side by side."""

from __future__ import annotations

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist

from .graph import Graph

STEP = 84.0
"""Usual distance of neighbours, in pixels at a zoom of 1."""

LEAST = 40.0  # distance of any two nodes
MARGIN = 90.0  # between components
WIDE = 1.2  # width of the whole by its height

Points = NDArray[np.float64]


def place_nodes(graph: Graph) -> Points:
    """The place of each node.

    Returns:
        Float64 `[nodes, 2]`: x and y in pixels, not negative; the same for the same graph.
    """
    index = {node.id: number for number, node in enumerate(graph.nodes)}
    network = nx.Graph((index[edge.head], index[edge.tail]) for edge in graph.edges if edge.head != edge.tail)
    groups = sorted((sorted(group) for group in nx.connected_components(network)), key=lambda group: -len(group))
    shapes = [_component(network.subgraph(group), group) for group in groups]
    if alone := [number for number in range(len(graph.nodes)) if number not in network]:
        groups.append(alone)
        shapes.append(_grid(len(alone)))
    places = np.zeros((len(graph.nodes), 2))
    for group, shape in zip(groups, _side_by_side(shapes), strict=True):
        places[group] = shape
    return places


def _component(network: nx.Graph, group: list[int]) -> Points:
    """Places of connected nodes, from zero on."""
    distances = shortest_path(nx.to_scipy_sparse_array(network, group, weight=None), unweighted=True)
    places = _by_distances(distances * STEP)
    places = _apart(places)
    return places - places.min(axis=0)


def _by_distances(wanted: Points, rounds: int = 50) -> Points:
    """Places `[n, 2]` whose distances follow those wanted, `[n, n]`: stress majorization from a circle."""
    angles = np.arange(len(wanted)) * 2 * np.pi / len(wanted)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1) * wanted.max() / 2
    weights = np.divide(1, wanted**2, out=np.zeros_like(wanted), where=wanted > 0)
    for _ in range(rounds):
        # Each node goes to the mean of the places where the other nodes want it to be.
        pulls = weights * wanted / np.maximum(cdist(places, places), 1e-6)  # [n, n]
        places = (weights @ places + _differences(pulls, places)) / weights.sum(axis=1)[:, None]
    return places


def _differences(weights: Points, places: Points) -> Points:
    """Per node the weighted sum of the steps to it from all others; `weights` is `[n, n]`."""
    return weights.sum(axis=1)[:, None] * places - weights @ places


def _apart(places: Points, rounds: int = 30) -> Points:
    """Push nodes apart that are too close."""
    for _ in range(rounds):
        distances = cdist(places, places)
        np.fill_diagonal(distances, np.inf)
        close = np.maximum(LEAST - distances, 0)  # [n, n]
        if not close.any():
            break
        places = places + 0.35 * _differences(close / np.maximum(distances, 1e-3), places)
    return places


def _grid(count: int) -> Points:
    columns = max(1, round((count * WIDE) ** 0.5))
    numbers = np.arange(count)
    return np.stack([numbers % columns * 1.6 * STEP, numbers // columns * LEAST], axis=1).astype(np.float64)


def _side_by_side(shapes: list[Points]) -> list[Points]:
    """Components in rows, the smaller ones of a row above each other, so that the whole is wider than high."""
    sizes = [shape.max(axis=0) + MARGIN for shape in shapes]
    width = max([(WIDE * sum(size[0] * size[1] for size in sizes)) ** 0.5, *(size[0] for size in sizes)], default=0)
    top = height = 0.0  # of the row
    left = column = below = 0.0  # left edge and width of a column of it, and where the next component goes in that
    placed = []
    for shape, (wide, high) in zip(shapes, sizes, strict=True):
        if below + high > height or wide > column:
            left, column, below = left + column, wide, 0.0
        if left + wide > width:
            left, column, top, height = 0.0, wide, top + height, 0.0
        placed.append(shape + np.array([left, top + below]))
        below, height = below + high, max(height, high)
    return placed
