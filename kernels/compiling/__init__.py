"""How kernels are compiled, kept and called; what LLVM is told by hand."""
