"""Runs the code of GPU kernels on this processor: a test engine, for machines without a GPU.

numba-cuda makes LLVM code of a kernel, as for a GPU; here LLVM makes machine code for this processor of it instead of
NVIDIA's compiler for a card. ``on_cpu.c`` is the driver below it: memory, copies, launches. All of ``kernels/cuda`` runs
unchanged between the two, by the real bindings of the driver.

What `docs/gpu.md` says of it: this proves arithmetic, addresses, barriers, races and the host's code; it proves nothing
about ptxas, the driver itself, or time.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import pathlib
import re
import struct
import subprocess
import tempfile
import typing

import llvmlite.binding as llvm
from numba import types

HERE = pathlib.Path(__file__).parent
# What a GPU has for itself, by the names of the functions that stand in for it.
REGISTERS = {
    f"llvm.nvvm.read.ptx.sreg.{r}.{axis}": f"nb_{r}_{axis}" for r in ("tid", "ntid", "ctaid") for axis in "xyz"
}
OF_THE_GPU = {**REGISTERS, "llvm.nvvm.barrier0": "nb_barrier"}
LEVEL = 2
INVALID_IMAGE = 200  # what the driver answers for code that it cannot load
ADDRESS = r"(?:getelementptr [^(]*\(.*?\)|[%@][^,\s]+)"  # an expression of constants, or a name
ACCESS = re.compile(
    rf"\s*(?:%\S+ = load (?P<loaded>[^,]+), ptr (?P<from>{ADDRESS})|store (?P<stored>.+), ptr (?P<to>{ADDRESS}))"
)

UNWATCHED = re.compile(r"= load |^\s*store |atomicrmw|cmpxchg|@llvm\.mem(cpy|set|move)")


class MadeKernel(ctypes.Structure):
    """What `on_cpu.c` calls a kernel."""

    _fields_ = [
        ("entry", ctypes.c_void_p), ("parameters", ctypes.c_size_t), ("n_arrays", ctypes.c_int),
        ("n_shared", ctypes.c_int), ("array_at", ctypes.c_int * 256), ("shared_at", ctypes.c_size_t * 8),
        ("shared_size", ctypes.c_size_t * 8),
    ]  # fmt: skip


def built() -> pathlib.Path:
    """The driver, compiled; its name is that which the bindings look for."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="on-cpu-"))
    library = folder / "libcuda.so.1"
    unfortified = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=0"]  # or it takes jumps between fibres for an attack
    how = ["-O3", "-g", *unfortified, "-fPIC", "-shared", "-Wl,-soname,libcuda.so.1"]
    subprocess.run(["cc", *how, "-o", str(library), str(HERE / "on_cpu.c"), "-lpthread"], check=True)
    return library


def llvm_of(kernel, capability):
    """The kernel's LLVM code as numba-cuda makes it for a card, in place of machine code."""
    from nanobragg.kernels.cuda import compiled

    with compiled.compiler(capability) as by:
        library, _ = by._compile_pyfunc_with_fixup(
            kernel.function, kernel.types, device=False, abi="numba", cc=capability
        )
        text = library.get_llvm_str()
    name = re.search(r'define void @"?([^"(]+)"?\(', text).group(1)
    Engine.types[name] = kernel.types
    return compiled.Code(name, text.encode())


def modules_of(text: str) -> list[str]:
    """Each module for this processor: no address spaces, and functions for what a GPU has in registers."""
    text = text.replace(" addrspace(3)", "").replace("addrspacecast", "bitcast")
    for name, ours in OF_THE_GPU.items():
        text = text.replace(f'@"{name}"', f"@{ours}").replace(f"@{name}", f"@{ours}")
    text = re.sub(r'@"?__nv_(\w+)"?', lambda m: f"@{c_function(m.group(1))}", text)
    modules = re.split(r"(?m)^; ModuleID", text)[1:]
    lines = ("\n".join(l for l in m.splitlines() if not l.startswith(("target ", "!nvvm"))) for m in modules)
    return [f'target triple = "{llvm.get_process_triple()}"\n;{m}' for m in lines]


def c_function(name: str) -> str:
    """What the C library calls a function of CUDA's."""
    return {"fmaf_rn": "fmaf", "fma_rn": "fma"}.get(name, name)


def trampoline(function) -> str:
    """A function of a block of parameters that calls the kernel: each at a multiple of its size."""
    sizes = {"i64": 8, "i32": 4, "i8": 1, "i1": 1, "double": 8, "float": 4, "ptr": 8}
    place, loads, passed = 0, [], []
    for number, kind in enumerate(str(argument.type) for argument in function.arguments):
        kind = "ptr" if kind.endswith("*") else kind
        size = sizes[kind]
        place = -(-place // size) * size
        loads += [
            f"%nb_place{number} = getelementptr i8, ptr %nb_block, i64 {place}",
            f"%nb_argument{number} = load {kind}, ptr %nb_place{number}",
        ]
        passed.append(f"{kind} %nb_argument{number}")
        place += size
    body = "\n".join(loads)
    Engine.sizes[function.name] = place
    declared = ", ".join(word.split()[0] for word in passed)
    return (
        f'declare void @"{function.name}"({declared})\ndefine void @nb_entry(ptr %nb_block) {{\n{body}\n'
        f'call void @"{function.name}"({", ".join(passed)})\nret void\n}}\n'
    )


def size_of(kind: str) -> int:
    """Bytes of an LLVM type that is loaded or stored."""
    kind = kind.strip()
    if kind.startswith("<") or kind.startswith("["):
        count, of = re.match(r"[<\[](\d+) x (.*)[>\]]$", kind).groups()
        return int(count) * size_of(of)
    return {"double": 8, "float": 4, "ptr": 8}.get(kind) or -(-int(kind[1:]) // 8)


def watched(text: str) -> str:
    """The code with a word to `nb_touch` before every load and store, but for those of constants."""
    lines = []
    for line in text.splitlines():
        if UNWATCHED.search(line) and not line.startswith("declare") and not ACCESS.match(line):
            raise ValueError(f"an access that cannot be watched: {line.strip()}")
        if (found := ACCESS.match(line)) and not line.lstrip().startswith("%nb_argument"):
            address = found["from"] or found["to"]
            kind = found["loaded"] or found["stored"].rsplit(" ", 1)[0]
            if "@" not in address or "smem" in address:  # constants are never written
                lines.append(f"call void @nb_touch(ptr {address}, i32 {size_of(kind)}, i32 {int(bool(found['to']))})")
        lines.append(line)
    return "\n".join(lines) + "\ndeclare void @nb_touch(ptr, i32, i32)\n"


class Engine:
    """All that was made for this processor, kept for as long as the process lives."""

    types: typing.ClassVar[dict] = {}  # of each kernel's arguments, by its name
    sizes: typing.ClassVar[dict] = {}  # of its parameters, as LLVM has them
    kept: typing.ClassVar[list] = []  # machine code lives as long as what made it

    def __init__(self):
        for initialize in ("initialize_native_target", "initialize_native_asmprinter"):
            getattr(llvm, initialize)()
        self.library = ctypes.CDLL(str(built()), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(ctypes.util.find_library("m"), mode=ctypes.RTLD_GLOBAL)
        for name in [*OF_THE_GPU.values(), "nb_touch"]:
            llvm.add_symbol(name, ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(MadeKernel))
        self._load = prototype(self.load)
        ctypes.c_void_p.in_dll(self.library, "nb_load").value = ctypes.cast(self._load, ctypes.c_void_p).value

    def load(self, code: bytes, name: bytes, made) -> int:
        """What the driver does to have a kernel: 0, or why not."""
        try:
            of = name.decode()
            text = optimised(code.decode(), of)
            target = llvm.Target.from_default_triple().create_target_machine(opt=LEVEL, jit=True)
            module = llvm.parse_assembly(watched(text))
            shared = [(g.name, size_of(str(g.global_value_type))) for g in module.global_variables if "smem" in g.name]
            engine = llvm.create_mcjit_compiler(module, target)
            engine.finalize_object()
            Engine.kept.append((engine, target))
            made.contents.n_shared = len(shared)
            for number, (variable, size) in enumerate(shared):
                made.contents.shared_at[number] = engine.get_global_value_address(variable)
                made.contents.shared_size[number] = size
            made.contents.entry = engine.get_function_address("nb_entry")
            made.contents.parameters = Engine.sizes[of]
            places = array_places(Engine.types[of])
            made.contents.n_arrays = len(places)
            made.contents.array_at[: len(places)] = places
        except Exception as error:  # there is nobody to raise it to
            (ctypes.c_char * 512).in_dll(self.library, "nb_complaint").value = repr(error).encode()[:511]
            return INVALID_IMAGE
        return 0

    def number(self, name: str) -> int:
        """A counter of the driver."""
        return ctypes.c_long.in_dll(self.library, f"nb_{name}").value

    def set(self, **values: int) -> None:
        """Settings of the driver."""
        for name, value in values.items():
            ctypes.c_int.in_dll(self.library, f"nb_{name}").value = value

    def fail(self, function: str, after: int, code: int) -> None:
        """Let a function of the driver fail, after so many calls that do not."""
        buffer = (ctypes.c_char * 64).in_dll(self.library, "nb_failing")
        buffer.value = function.encode()
        self.set(fails_after=after, fails_with=code)

    def forget(self) -> None:
        """Forget errors, as a new process would."""
        self.library.nb_forget()

    def complaint(self) -> str:
        """What the driver has found."""
        return (ctypes.c_char * 512).in_dll(self.library, "nb_complaint").value.decode()


def optimised(text: str, name: str) -> str:
    """A kernel and all it calls as one module, optimised as for a GPU but without vectors."""
    modules = [llvm.parse_assembly(m) for m in modules_of(text)]
    whole = modules[0]
    for module in modules[1:]:
        whole.link_in(module)
    function = whole.get_function(name)
    whole.link_in(llvm.parse_assembly(trampoline(function)))
    for each in whole.functions:
        if not each.is_declaration and each.name != "nb_entry":
            each.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=LEVEL)
    options.loop_vectorization = options.slp_vectorization = False
    target = llvm.Target.from_default_triple().create_target_machine(opt=LEVEL, jit=True)
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(whole, builder)
    return str(whole)


def array_places(kinds) -> list[int]:
    """Where arrays begin in the parameters."""
    from nanobragg.kernels.cuda.parameters import format_of

    places, layout = [], "@"

    def walk(kind):
        nonlocal layout
        if isinstance(kind, types.BaseTuple):
            for each in kind:
                walk(each)
            return
        if isinstance(kind, types.Array):
            places.append(struct.calcsize(layout + "0Q"))
        layout += format_of(kind)

    for kind in kinds:
        walk(kind)
    return places


@functools.cache
def engine() -> Engine:
    """The engine of this process; from now on this machine has a GPU."""
    from nanobragg.kernels.cuda import compiled, device

    made = Engine()
    device.code_of = compiled.code_of = llvm_of
    return made
