"""The house: who may know whom, how long things are, that one name stands for one thing, and what is said of it."""

import ast
import functools
import re

from tests.support import ROOT

ROOMS = ("kernels", "engine", "cli")
# What a room must not import, beside what lies above it.
UNKNOWN = {
    "engine/model": ("engine/original", "engine/scene", "engine/batch", "engine/formats", "engine/view"),
    "engine/scene": ("engine/original", "engine/batch", "engine/view"),
    "engine/formats": ("engine/original", "engine/batch", "engine/check"),
    "engine/factors": ("engine/original", "engine/batch", "engine/view"),
    "engine/truth": ("engine/original", "engine/batch", "engine/view"),
    "engine/view": ("engine/original", "engine/batch"),
    "engine/plan.py": ("engine/original", "engine/batch"),
    "engine/render.py": ("engine/original", "engine/batch"),
    "engine/batch": ("engine/original",),
    "kernels/step": ("kernels/strict", "kernels/fast", "kernels/cuda", "kernels/cref", "kernels/order", "kernels/image"),
}  # fmt: skip
MOST_LINES, MOST_LINES_OF_TESTS, MOST_LINES_OF_A_FUNCTION = 400, 500, 60
TABLES = ("cli/nanobragg/rules.py",)  # the flags of the original, one rule after the other


def modules():
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@functools.cache
def known_names():
    return {
        name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): name_of(path)
        for path in modules()
    }


def imports_of(tree, *, at_load):
    """Modules of ours that a module imports: when it is loaded, or ever; not what is for type checkers alone."""
    known, found = known_names(), set()

    def visit(node):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nanobragg."):
            base = node.module.removeprefix("nanobragg.")
            found.update(known.get(f"{base}.{alias.name}", known.get(base)) for alias in node.names)
        if isinstance(node, ast.Import):
            found.update(known.get(alias.name.removeprefix("nanobragg.")) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found - {None}


@functools.cache
def parsed():
    return {name_of(path): ast.parse(path.read_text()) for path in modules()}


def test_imports_point_one_way():
    """cli -> engine -> kernels, whenever they happen."""
    for name, tree in parsed().items():
        room = ROOMS.index(name.split("/")[0])
        above = {other for other in imports_of(tree, at_load=False) if ROOMS.index(other.split("/")[0]) > room}
        assert not above, f"{name} imports {above}"


def test_rooms_do_not_know_what_is_none_of_their_business():
    for name, tree in parsed().items():
        for room, unknown in UNKNOWN.items():
            if name == room or name.startswith(f"{room}/"):
                wrong = {
                    o for o in imports_of(tree, at_load=False) if any(o == u or o.startswith(f"{u}/") for u in unknown)
                }
                assert not wrong, f"{name} imports {wrong}"


def test_no_circle_of_imports():
    graph = {name: imports_of(tree, at_load=True) - {name} for name, tree in parsed().items()}
    while leaves := [name for name, needs in graph.items() if not needs & set(graph)]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other: {', '.join(graph)}"


def test_only_the_original_asks_for_quirks():
    """What is right is the plain way: no other room names an oddity in code."""
    for name, tree in parsed().items():
        if name.startswith("engine/original/"):
            continue
        named = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert not [text for text in named if re.fullmatch(r"Q\d\d", text)], name


def own_lines(function):
    """Lines of a function without its docstring and the functions inside it."""
    inside = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef) and node is not function]
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        inside.append(first)
    taken = {line for node in inside for line in range(node.lineno, node.end_lineno + 1)}
    return len(set(range(function.lineno, function.end_lineno + 1)) - taken)


def test_functions_and_modules_stay_short():
    for name, tree in parsed().items():
        if name in TABLES:
            continue
        assert len((ROOT / name).read_text().splitlines()) <= MOST_LINES, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert own_lines(node) <= MOST_LINES_OF_A_FUNCTION, f"{name}: {node.name}"
    for path in (ROOT / "c_src").iterdir():
        assert len(path.read_text().splitlines()) <= MOST_LINES, path
    for path in [
        p for folder in ("tests", "benchmarks") for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".c")
    ]:
        assert len(path.read_text().splitlines()) <= MOST_LINES_OF_TESTS, path


def test_a_class_has_a_name_of_its_own():
    seen: dict[str, str] = {}
    for name, tree in parsed().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                assert node.name not in seen, f"{node.name} is in {name} and in {seen[node.name]}"
                seen[node.name] = name


def is_public(node):
    return not getattr(node, "name", "x").startswith("_")


def public_parts(tree):
    """A module, and all public classes, functions and methods in it but functions inside others."""
    methods = [part for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in node.body]
    for node in ast.walk(tree):
        is_inner = isinstance(node, ast.FunctionDef) and node not in tree.body and node not in methods
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and is_public(node) and not is_inner:
            yield node


def test_public_functions_have_docstrings():
    for name, tree in parsed().items():
        for node in public_parts(tree):
            overload = any(ast.unparse(d) == "overload" for d in getattr(node, "decorator_list", []))
            assert overload or ast.get_docstring(node), f"{name}: {getattr(node, 'name', 'module')}"


def test_formulas_have_sources():
    """What is physics in a step names whom the formula is by."""
    sources = {
        "polarization": "Kahn",
        "lattice": "Laue",
        "capture": "Beer and Lambert",
        "amplitude": "Lagrange",
        "geometry": "Ewald",
    }
    for name, author in sources.items():
        assert author in (ROOT / "kernels" / "step" / f"{name}.py").read_text(), name


def test_the_rules_can_fail():
    """They see what they are to see."""
    tree = ast.parse("from nanobragg.engine.original import set_up\ndef f():\n    from nanobragg.engine import plan\n")
    assert imports_of(tree, at_load=True) == {"engine/original/set_up.py"}
    assert imports_of(tree, at_load=False) == {"engine/original/set_up.py", "engine/plan.py"}
    assert own_lines(ast.parse('def f():\n    """Doc."""\n    def g():\n        pass\n    return g\n').body[0]) == 2
