"""`split()`: one stream becomes several, by predicates that are tried in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from moldau.streams.dsl.abstract_stream import processor_node
from moldau.streams.dsl.callback import takes_key
from moldau.streams.dsl.options import Branched
from moldau.streams.operators.stateless import Branch, PassThrough

if TYPE_CHECKING:
    from moldau.streams.dsl.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")


class Branches(Mapping[str, "KStream[K, V]"]):
    """The branches by their full names; a name without the split's works too, and as an attribute."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._streams: dict[str, KStream[K, V]] = {}

    def add(self, name: str, stream: KStream[K, V]) -> None:
        """One more branch."""
        self._streams[name] = stream

    def __getitem__(self, name: str) -> KStream[K, V]:
        found = self._streams.get(name) or self._streams.get(self._prefix + name)
        if found is None:
            raise KeyError(f"no branch {name!r}; there are: {', '.join(self._streams)}")
        return found

    def __getattr__(self, name: str) -> KStream[K, V]:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._streams)

    def __len__(self) -> int:
        return len(self._streams)


class BranchedKStream(Generic[K, V]):
    """A split that is still being told its branches."""

    def __init__(self, source: KStream[K, V], name: str | None) -> None:
        self._source = source
        self._name = source.graph.name(name, "KSTREAM-BRANCH-")
        self._operator = Branch([])
        self._node = source.graph.add(source.node, processor_node(self._name, self._operator))
        self._branches: Branches[K, V] = Branches(self._name)

    @overload
    def branch(
        self, predicate: Callable[[V], Any], branched: Branched | str | None = None
    ) -> BranchedKStream[K, V]: ...
    @overload
    def branch(
        self, predicate: Callable[[K, V], Any], branched: Branched | str | None = None
    ) -> BranchedKStream[K, V]: ...
    def branch(self, predicate: Callable[..., Any], branched: Branched | str | None = None) -> BranchedKStream[K, V]:
        """The records for which no predicate before held and this one does."""
        name = self._add(branched, len(self._operator.branches) + 1)
        self._operator.branches.append((predicate, takes_key(predicate), name))
        return self

    def default_branch(self, branched: Branched | str | None = None) -> Branches[K, V]:
        """All other records; returns the branches by name."""
        self._operator.default = self._add(branched, 0)
        return self._branches

    def no_default_branch(self) -> Branches[K, V]:
        """All other records are left out; returns the branches by name."""
        return self._branches

    def _add(self, branched: Branched | str | None, number: int) -> str:
        given = Branched(branched) if isinstance(branched, str) else branched or Branched()
        source = self._source
        name = f"{self._name}{number if given.name is None else given.name}"
        source.graph.number(name)
        node = source.graph.add(self._node, processor_node(name, PassThrough()))
        stream = type(source)(
            source.graph,
            node,
            source.key_serde,
            source.value_serde,
            source.sources,
            repartition_required=source.repartition_required,
        )
        result = stream if given.chain is None else given.chain(stream)
        if result is not None:
            self._branches.add(name, result)
        return name
