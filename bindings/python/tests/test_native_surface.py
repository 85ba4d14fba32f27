"""The module holds exactly what the header has, and its types say so."""
import ast
import os
import pathlib
import re
import types

import pytest

import smartvpn._native as native

SOURCE = pathlib.Path(os.environ["SMARTVPN_SOURCE"])
HEADER = (SOURCE / "include/smartvpn.h").read_text()

# A library's thread never enters Python, and errors are exceptions.
LEFT_OUT = {
    "server_set_callbacks", "error_status", "error_path", "error_system_errno", "error_text", "error_free",
}
ADDED = {"set_error_factory", "events_take", "requests_take", "packets_slice", "packets_pack"}
ADDED_NUMBERS = {"PACKET_SIZE", "PACKET_FORMAT"}
LEFT_OUT_NUMBERS = {"NUL_TERMINATED", "KEY_SIZE", "EVENT_BIT", "API", "H"}


def exported() -> set[str]:
    symbols = (SOURCE / "tests/abi/symbols.txt").read_text().split()
    return {symbol.partition("@@")[0].removeprefix("smartvpn_") for symbol in symbols}


def functions() -> set[str]:
    return {name for name, value in vars(native).items() if isinstance(value, types.BuiltinFunctionType)} - {
        "SWIG_PyInstanceMethod_New", "SWIG_PyStaticMethod_New"}


def constants() -> set[str]:
    return {name for name, value in vars(native).items() if name.isupper() and isinstance(value, (int, str))}


def stub() -> ast.Module:
    return ast.parse((pathlib.Path(native.__file__).parent / "_native.pyi").read_text())


def test_every_exported_function_is_there_but_those_left_out() -> None:
    assert functions() == (exported() - LEFT_OUT) | ADDED


def test_every_constant_is_there_with_the_headers_value() -> None:
    define = re.compile(r"^#define SMARTVPN_(\w+)\b(?:\(\w+\))? *(.*?)(?: */\*.*)?$", re.MULTILINE)
    defined = dict(define.findall(HEADER))
    assert constants() == (set(defined) - LEFT_OUT_NUMBERS) | ADDED_NUMBERS
    for name, text in defined.items():
        if name not in LEFT_OUT_NUMBERS:
            value = ast.literal_eval(re.sub(r"(?<=[0-9a-f])u(?:ll)?$", "", text.strip("()")))
            assert getattr(native, name) == value, name


def test_the_stub_names_what_is_there() -> None:
    names = {node.name for node in stub().body if isinstance(node, ast.FunctionDef)}
    numbers = {node.target.id for node in stub().body
               if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    assert names == functions()
    assert numbers == constants()


@pytest.mark.parametrize("node", [node for node in stub().body if isinstance(node, ast.FunctionDef)],
                         ids=lambda node: str(node.name))
def test_the_stub_has_each_functions_number_of_arguments(node: ast.FunctionDef) -> None:
    count, function = len(node.args.args), getattr(native, node.name)
    wrong_number = r"takes no arguments|takes exactly one argument|expected .*\d+ arguments"
    with pytest.raises(TypeError, match=wrong_number):
        function(*[object()] * (count + 1))
    if count:
        with pytest.raises(TypeError) as refused:
            function(*[object()] * count)
        assert not re.search(wrong_number, str(refused.value))


def test_every_function_with_a_text_asks_again_when_it_was_too_long() -> None:
    with_text = set(re.findall(r"(smartvpn_\w+)\([^;]*?size_t \*needed", HEADER))
    interface = (SOURCE / "bindings/swig/smartvpn.i").read_text()
    assert len(with_text) > 10
    assert set(re.findall(r"^%smartvpn_text\((\w+)\)", interface, re.MULTILINE)) == with_text


def test_version_is_the_headers() -> None:
    assert native.version() == native.VERSION_STRING
    assert native.abi_version() == native.ABI_VERSION
    assert native.has("websocket") == 1
    assert native.has("teleportation") == native.NOT_FOUND
    assert native.status_name(native.CONFLICT) == "CONFLICT"
    assert native.status_text(native.CONFLICT)
