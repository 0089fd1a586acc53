"""The explicit lists of strategies, references, data sets and studies, and what plugins add."""

from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from common.errors import UserError
from common.plugins import in_use

Entry = TypeVar("Entry", bound=Any)


class Registry(UserDict[str, Entry], Generic[Entry]):
    """The entries of one list by name: the project's own in ``data``, then those of plugins in use.

    list_name : one of ``LISTS``. own : the project's entries. form : what the registry holds of an
    entry; None leaves it out.
    """

    def __init__(
        self,
        list_name: str,
        own: Iterable[Entry],
        form: Callable[[Entry], Entry | None] = lambda entry: entry,
    ):
        self.list_name, self.form = list_name, form
        super().__init__(self._by_name(own))

    def _by_name(self, entries: Iterable[Entry]) -> dict[str, Entry]:
        forms = (self.form(entry) for entry in entries)
        return {form.name: form for form in forms if form is not None}

    def _all(self) -> dict[str, Entry]:
        brought = (entry for plugin in in_use() for entry in plugin.entries(self.list_name))
        return {**self.data, **self._by_name(brought)}

    def __getitem__(self, name: str) -> Entry:
        return self._all()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def check_free(noun: str, own: Mapping[str, Any], *list_names: str) -> None:
    """Raise UserError if two entries of these lists, or one of ``own``, share a name or a title.

    own : the project's entries by name. noun : of an entry, for the message.
    """
    names = dict.fromkeys(own, "the project")
    titles = {entry.title: name for name, entry in own.items()}
    for plugin in in_use():
        for entry in (entry for name in list_names for entry in plugin.entries(name)):
            if entry.name in names:
                raise UserError(
                    f"--plugin {plugin.shown}: the name {entry.name} is taken, {names[entry.name]} "
                    f"has a {noun} of this name: give another name"
                )
            if entry.title in titles and noun == "method":
                raise UserError(
                    f"--plugin {plugin.shown}: the title {entry.title!r} of {entry.name} is taken, "
                    f"{titles[entry.title]} has it: give another title"
                )
            names[entry.name] = plugin.shown
            titles[entry.title] = entry.name
