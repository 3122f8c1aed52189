# weft_room(NAME SOURCES ... LINKS ...): one static library a room, warnings on, includes from the root.
function(weft_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(weft_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(weft_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(weft_${name} PUBLIC ${ROOM_PUBLIC} PRIVATE ${ROOM_PRIVATE})
endfunction()

# Of a room that is not hot: it compiles faster so.
function(weft_cold name)
  target_compile_options(weft_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# weft_test(NAME SOURCES ... LINKS ...): one Catch2 program a room, known to CTest by its name.
function(weft_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(test_${name} ${T_SOURCES})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${T_LINKS} Catch2::Catch2WithMain)
  target_compile_definitions(test_${name} PRIVATE WEFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                  WEFT_BINARY_DIR="${CMAKE_BINARY_DIR}")
  # Tests are compiled often and run briefly; what they test keeps its optimisation.
  target_compile_options(test_${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  add_test(NAME ${name} COMMAND test_${name})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}")
endfunction()
