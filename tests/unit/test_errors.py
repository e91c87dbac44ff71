"""Errors say what happened and what to do, in every class there is."""

import importlib
import pkgutil

import app
from app.errors import AssistantError, NotFound


def every_class(base: type[AssistantError]) -> set[type[AssistantError]]:
    return {base} | {found for sub in base.__subclasses__() for found in every_class(sub)}


def test_the_message_is_the_docstring_filled_in() -> None:
    error = NotFound(kind="page", name=7)
    assert error.message == "There is no page '7'."
    assert error.sentence() == "There is no page '7'. List what there is and take a name from it."
    assert error.code == "not-found"


def test_braces_in_a_detail_do_no_harm() -> None:
    assert "{x}" in NotFound(kind="document", name="{x}").sentence()


def test_every_error_has_a_message_and_a_status() -> None:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.startswith(("app.ui", "app.bench")) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for found in every_class(AssistantError):
        assert found.__doc__, found
        assert 400 <= found.status < 600, found
