# One library per room, one executable per test file's room. Sources are listed by hand.

add_library(winnow_flags INTERFACE)
target_compile_options(winnow_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                       $<$<BOOL:${WINNOW_DEVELOPER_MODE}>:-Werror>)
add_library(winnow_sanitizer INTERFACE)

# winnow_add_room(NAME SOURCES ... [DEPS ...] [NOT_INSTALLED])  ->  library winnow_NAME, alias winnow::NAME
function(winnow_add_room name)
  cmake_parse_arguments(ARG "NOT_INSTALLED" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(winnow_${name} STATIC ${ARG_SOURCES})
  add_library(winnow::${name} ALIAS winnow_${name})
  target_include_directories(winnow_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(winnow_${name} PUBLIC cxx_std_20)
  target_link_libraries(winnow_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:winnow_flags> ${ARG_PRIVATE_DEPS})
  set_target_properties(winnow_${name} PROPERTIES EXPORT_NAME ${name})
  if(NOT ARG_NOT_INSTALLED)
    set_property(GLOBAL APPEND PROPERTY WINNOW_ROOMS winnow_${name})
  endif()
endfunction()

# winnow_add_test(NAME SOURCES ... DEPS ... [LABELS ...])  ->  one GoogleTest executable, one CTest entry
function(winnow_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} winnow_flags GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE WINNOW_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
                                             WINNOW_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             WINNOW_BINARY="${PROJECT_BINARY_DIR}/bin/winnow")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
endfunction()
