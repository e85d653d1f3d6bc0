"""How the layers of a model hang together: who takes whose output."""

from collections.abc import Mapping, Sequence

import keras

Users = Mapping[int, Sequence[keras.Operation]]


def users_of(model: keras.Model) -> Users:
    """Id of each layer or operation in the graph -> those that take its output.

    By object, since a layer inside another may have the name of one in the graph.
    """
    made_by = {
        id(tensor): id(operation)
        for operation in model.operations
        for tensor in keras.tree.flatten(operation.output)
    }
    users: dict[int, list[keras.Operation]] = {id(o): [] for o in model.operations}
    for operation in model.operations:
        for tensor in keras.tree.flatten(operation.input):
            users[made_by[id(tensor)]].append(operation)
    return users


def passed_by_all(model: keras.Model, users: Users) -> set[int]:
    """Ids of the layers that every path from the input to the output passes."""
    # Keras's order: none stands before one whose output it takes.
    position = {
        id(operation): index for index, operation in enumerate(model.operations)
    }
    passed, reach = set(), 0
    for index, operation in enumerate(model.operations):
        if reach <= index:
            passed.add(id(operation))
        reach = max([reach, *(position[id(user)] for user in users[id(operation)])])
    return passed
