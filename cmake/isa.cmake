# The kernel table of each instruction set is one source file with its own flags; the rest of the
# library is compiled for the baseline of the architecture.
#
# chainrule_isa_sources(<target>) adds every file of cpp/isa. A file with a line
# "// Processors: <pattern>" is a table: it is compiled where CMAKE_SYSTEM_PROCESSOR matches, with
# the flags of its line "// Flags: <flags>" ("none": only those that all tables have).
function(chainrule_isa_sources target)
  # No function sets errno or traps, so that loops over them become vector code; integers wrap.
  set(common -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fwrapv)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND common -fno-ipa-cp-clone)  # clones for constants gain little
  elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Loops that call the C library, as of some functions of doubles, are expected to stay scalar.
    list(APPEND common -Wno-pass-failed)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/isa/*.cpp")
  foreach(source IN LISTS sources)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} processors REGEX "^// Processors: ")
    if(processors)
      string(REPLACE "// Processors: " "" processors "${processors}")
      if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(${processors})$")
        continue()
      endif()
      file(STRINGS ${source} flags REGEX "^// Flags: ")
      string(REGEX REPLACE "^// Flags: (none)?" "" flags "${flags}")
      separate_arguments(flags)
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${common};${flags}")
    endif()
    target_sources(${target} PRIVATE ${source})
  endforeach()
endfunction()
