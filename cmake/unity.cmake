# Most of the time that a file takes to compile is that of its headers: with CHAINRULE_UNITY those of
# a folder are compiled as one, which takes half the time for all. (CMake's own UNITY_BUILD leaves
# out files with options of their own.) Every file is whole in itself all the same: the linter
# compiles each on its own.

# Replaces files in the list named `files`, which lie in one folder and have the same
# COMPILE_OPTIONS, by a file that includes them, at most `most` at a time. Files with the property
# SKIP_UNITY_BUILD_INCLUSION stay.
function(chainrule_unity files most)
  if(NOT CHAINRULE_UNITY)
    return()
  endif()
  set(result)
  set(units)
  foreach(source IN LISTS ${files})
    get_source_file_property(skip ${source} SKIP_UNITY_BUILD_INCLUSION)
    if(skip)
      list(APPEND result ${source})
      continue()
    endif()
    get_source_file_property(options ${source} COMPILE_OPTIONS)
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    string(SHA1 unit "${folder} ${options}")
    list(APPEND files_of_${unit} ${source})
    list(LENGTH files_of_${unit} count)
    math(EXPR part "(${count} - 1) / ${most}")
    string(REPLACE "/" "_" name ${folder})
    string(SUBSTRING ${unit} 0 4 hash)
    set(path ${PROJECT_BINARY_DIR}/unity/${name}_${hash}_${part}.cpp)
    list(APPEND units ${path})
    string(APPEND content_of_${path} "#include \"${source}\"\n")
    if(options)
      set_source_files_properties(${path} PROPERTIES COMPILE_OPTIONS "${options}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES units)
  foreach(path IN LISTS units)
    file(CONFIGURE OUTPUT ${path} CONTENT "${content_of_${path}}" @ONLY)
  endforeach()
  set(${files} ${result} ${units} PARENT_SCOPE)
endfunction()
