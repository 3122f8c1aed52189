# Most of the time of a file goes into what it includes, so several files are compiled as one. Where a name without
# linkage stands in two files of a room, one of them is named under ALONE.
#
# REPLACED says that tests link copies of single files in place of the room's own (mutants, failpoints): its files are
# joined only where there are no such copies (WEFT_REPLACED). SEPARATE: also there (the simulation's own loop).
function(weft_join target)
  set(files_at_once 8)
  if(WEFT_SANITIZE AND target MATCHES "^weft_")
    # What a sanitizer adds to templates of the standard library is added once for each of them.
    set(files_at_once 24)
  endif()
  cmake_parse_arguments(JOIN "" "" "ALONE" ${ARGN})
  if(NOT WEFT_JOIN)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${files_at_once})
  set_source_files_properties(${JOIN_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# Clang reads the widest headers from one file (GCC gains little by it), once with optimisation and once without: a target
# that is not optimised where the product is (Release, Sanitize) says PLAIN.
function(weft_precompiled name)
  add_library(${name} OBJECT cmake/precompiled.cpp)
  target_link_libraries(${name} PRIVATE weft_proto fmt::fmt)
  target_compile_options(${name} PRIVATE -pthread ${ARGN})
  target_precompile_headers(${name} PRIVATE cmake/precompiled.h)
endfunction()

function(weft_precompile target)
  cmake_parse_arguments(P "PLAIN" "" "" ${ARGN})
  if(NOT WEFT_PCH)
    return()
  endif()
  if(P_PLAIN AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_precompile_headers(${target} REUSE_FROM weft_precompiled_plain)
  else()
    target_precompile_headers(${target} REUSE_FROM weft_precompiled)
  endif()
  target_compile_definitions(${target} PRIVATE FMT_SHARED)
  target_compile_options(${target} PRIVATE -pthread)
endfunction()

# weft_room(NAME SOURCES ... LINKS ...): one static library a room, warnings on, includes from the root.
function(weft_room name)
  cmake_parse_arguments(ROOM "REPLACED;SEPARATE" "" "SOURCES;PUBLIC;PRIVATE;ALONE" ${ARGN})
  add_library(weft_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(weft_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(weft_${name} PUBLIC ${ROOM_PUBLIC} PRIVATE ${ROOM_PRIVATE})
  weft_precompile(weft_${name})
  if(NOT ROOM_SEPARATE AND (NOT ROOM_REPLACED OR NOT WEFT_REPLACED))
    weft_join(weft_${name} ALONE ${ROOM_ALONE})
  endif()
endfunction()

# Of a room that is not hot: it compiles faster so.
function(weft_cold name)
  target_compile_options(weft_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# weft_test(NAME SOURCES ... LINKS ...): one Catch2 program a room, known to CTest by its name.
function(weft_test name)
  cmake_parse_arguments(T "OPTIMISED" "TIMEOUT" "SOURCES;LINKS;LABELS;ALONE" ${ARGN})
  add_executable(test_${name} ${T_SOURCES})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${T_LINKS} Catch2::Catch2WithMain)
  # Tests are compiled often and run briefly; what they test keeps its optimisation.
  if(T_OPTIMISED)
    weft_precompile(test_${name})
  else()
    weft_precompile(test_${name} PLAIN)
    target_compile_options(test_${name} PRIVATE -O0)
  endif()
  weft_join(test_${name} ALONE ${T_ALONE})
  target_compile_definitions(test_${name} PRIVATE WEFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                  WEFT_BINARY_DIR="${CMAKE_BINARY_DIR}"
                                                  # Limits on time are for what people run: built with optimisation.
                                                  $<$<CONFIG:Release>:WEFT_TIMED>)
  add_test(NAME ${name} COMMAND test_${name})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  if(WEFT_SANITIZE)
    math(EXPR T_TIMEOUT "4 * ${T_TIMEOUT}")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}")
endfunction()
