"""What a process keeps of what is dear to make and soon wanted again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The things that were asked for last; those that were asked for first go.

    Only for what is a pure function of its key: no result may depend on what is kept.

    Args:
      most: the largest sum of their sizes.
      size_of: of one thing, in the unit of `most`; each counts 1 by default.
    """

    def __init__(self, most: float, size_of: Callable[[T], float] = lambda thing: 1):
        self._most = most
        self._size_of = size_of
        self._things: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for the key, made now if need be."""
        thing = self.take(key)
        if thing is None:
            thing = make()
        self.put(key, thing)
        return thing

    def take(self, key: Hashable) -> T | None:
        """Hands a thing out for good, or None where there is none."""
        return self._things.pop(key, None)

    def put(self, key: Hashable, thing: T) -> bool:
        """Keeps a thing. Returns whether others, or itself, had to go for it."""
        self._things[key] = thing
        count = len(self._things)
        while sum(map(self._size_of, self._things.values())) > self._most:
            self._things.popitem(last=False)
        return len(self._things) < count

    def clear(self) -> None:
        """Keeps nothing."""
        self._things.clear()
