# The kernel table of each instruction set is one source file with its own flags; the rest of the
# library is compiled for the baseline of the architecture.
#
# chainrule_isa_sources(<target>) adds the dispatch, the reference and what CMAKE_SYSTEM_PROCESSOR has.
function(chainrule_isa_sources target)
  set(dir "${CMAKE_CURRENT_SOURCE_DIR}/cpp/isa")
  # No function sets errno or traps, so that loops over them become vector code; integers wrap around.
  set(common -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fwrapv)
  set(sets reference)
  # Nothing fused, so that the reference gives the same numbers on all architectures; and small.
  # No vectors: what GCC 12 makes of a row of two elements reads two more, beyond the end of the
  # last row.
  set(flags_reference -ffp-contract=off -O2 -fno-tree-vectorize -fno-tree-slp-vectorize)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND common -fno-ipa-cp-clone)  # copies of functions for constants, for little
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    list(APPEND sets avx2 avx512)
    set(flags_avx2 -mavx2 -mfma)
    set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
    list(APPEND sets neon)
    set(flags_neon "")
  endif()
  target_sources(${target} PRIVATE "${dir}/dispatch.cpp" "${dir}/caches.cpp"
                 "${dir}/functions.cpp")
  foreach(set IN LISTS sets)
    target_sources(${target} PRIVATE "${dir}/${set}.cpp")
    set_source_files_properties("${dir}/${set}.cpp" PROPERTIES COMPILE_OPTIONS
                                "${common};${flags_${set}}")
  endforeach()
endfunction()
