# One library per room, one executable per test file's room. Sources are listed by hand.

add_library(winnow_flags INTERFACE)
target_compile_options(winnow_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                       $<$<BOOL:${WINNOW_DEVELOPER_MODE}>:-Werror>)
add_library(winnow_sanitizer INTERFACE)

# What most sources include, compiled once for each target; off in the preset tidy, which sees includes that are missing.
option(WINNOW_PRECOMPILE_HEADERS "Precompile standard headers and fmt" ON)
function(winnow_precompile target)
  if(WINNOW_PRECOMPILE_HEADERS)
    target_precompile_headers(${target} PRIVATE <algorithm> <fmt/format.h> <functional> <map> <memory> <span> <string>
                              <vector> ${ARGN})
  endif()
endfunction()

# With WINNOW_UNITY eight sources are compiled as one: less time for a build from scratch, more for a changed file. The
# name that nearly every file has for itself then ends in the file's own number.
option(WINNOW_UNITY "Compile sources of a room together: for builds from scratch" OFF)
function(winnow_unity target)
  if(WINNOW_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8 UNITY_BUILD_UNIQUE_ID WINNOW_FILE
      UNITY_BUILD_CODE_BEFORE_INCLUDE "#undef kWhere
#define WINNOW_JOIN_NOW(a, b) a##b
#define WINNOW_JOIN(a, b) WINNOW_JOIN_NOW(a, b)
#define kWhere WINNOW_JOIN(kWhere, WINNOW_FILE)")
  endif()
endfunction()

# winnow_add_room(NAME SOURCES ... [DEPS ...] [NOT_INSTALLED] [COLD])  ->  library winnow_NAME, alias winnow::NAME
#   COLD: nothing in it is worth the compile time of -O3
function(winnow_add_room name)
  cmake_parse_arguments(ARG "NOT_INSTALLED;COLD" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(winnow_${name} STATIC ${ARG_SOURCES})
  add_library(winnow::${name} ALIAS winnow_${name})
  target_include_directories(winnow_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(winnow_${name} PUBLIC cxx_std_20)
  target_link_libraries(winnow_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:winnow_flags> ${ARG_PRIVATE_DEPS})
  set_target_properties(winnow_${name} PROPERTIES EXPORT_NAME ${name})
  winnow_precompile(winnow_${name})
  winnow_unity(winnow_${name})
  if(ARG_COLD)
    winnow_cold(winnow_${name})
  endif()
  if(NOT ARG_NOT_INSTALLED)
    set_property(GLOBAL APPEND PROPERTY WINNOW_ROOMS winnow_${name})
  endif()
endfunction()

function(winnow_cold target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# What every test includes, compiled once: tests are half of a build's time. Its options are those of any test.
function(winnow_test_options target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE WINNOW_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
                                               WINNOW_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                               WINNOW_BINARY="${PROJECT_BINARY_DIR}/bin/winnow")
  target_link_libraries(${target} PRIVATE winnow_flags GTest::gtest GTest::gtest_main)
  # The rooms under test stay at -O3; in the tests' own code it only costs compile time, as checking the alignment of
  # its every access does (a quarter). At -O1, g++ 12 takes std::string's operator+ for an access out of bounds.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1> $<$<NOT:$<CONFIG:Debug>>:-fno-sanitize=alignment>
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>)
endfunction()

function(winnow_test_headers)
  file(WRITE "${PROJECT_BINARY_DIR}/test_headers.cpp" "")
  # An executable as the tests are: a library would be compiled with other options.
  add_executable(winnow_test_headers EXCLUDE_FROM_ALL "${PROJECT_BINARY_DIR}/test_headers.cpp")
  target_link_libraries(winnow_test_headers PRIVATE winnow::base)
  winnow_test_options(winnow_test_headers)
  target_precompile_headers(winnow_test_headers PRIVATE <algorithm> <array> <cmath> <cstdint> <fmt/format.h> <functional>
                            <gtest/gtest.h> <map> <memory> <optional> <span> <string> <vector>)
endfunction()

# winnow_add_test(NAME SOURCES ... DEPS ... [LABELS ...] [OWN_HEADERS] [UNITY])
#   ->  one GoogleTest executable, one CTest entry; OWN_HEADERS: it precompiles others; UNITY: as winnow_unity
function(winnow_add_test name)
  cmake_parse_arguments(ARG "OWN_HEADERS;UNITY" "" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT TARGET winnow_test_headers)
    winnow_test_headers()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  if(ARG_UNITY)  # most files of tests have helpers of the same names
    winnow_unity(${name})
  endif()
  winnow_test_options(${name})
  if(NOT ARG_OWN_HEADERS)
    target_precompile_headers(${name} REUSE_FROM winnow_test_headers)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
endfunction()
