# cmake -DBUILD=... -DWORK=... -DCONSUMER=... -DEXAMPLES=... -DVERSION=... -DMINIMAL=... -DCC=... -DCXX=... -DFLAGS=...
#       -DBUILD_TYPE=... -P install_test.cmake

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nexit status ${status}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix")

function(build source work)
  run("${CMAKE_COMMAND}" -S "${source}" -B "${work}" "-DCMAKE_PREFIX_PATH=${WORK}/prefix" ${ARGN}
      "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_C_FLAGS=${FLAGS}" "-DCMAKE_CXX_FLAGS=${FLAGS}"
      "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}")
  run("${CMAKE_COMMAND}" --build "${work}")
endfunction()

set(parts prune capi)
if(NOT MINIMAL)
  list(APPEND parts engine)
endif()
foreach(part ${parts})
  build("${CONSUMER}" "${WORK}/${part}" "-DPART=${part}")
  run("${WORK}/${part}/use_${part}")
  message("${output}")
endforeach()

if(NOT MINIMAL)
  run("${WORK}/prefix/bin/winnow" methods)
  if(NOT output MATCHES "fastv")
    message(FATAL_ERROR "the installed command does not list the methods:\n${output}")
  endif()
endif()

# The examples as a project of their own.
build("${EXAMPLES}" "${WORK}/examples")
foreach(example select_c select_cpp)
  run("${WORK}/examples/${example}")
endforeach()

# Without CMake: a C compiler and winnow.pc.
find_program(PKG_CONFIG NAMES pkg-config pkgconf)
if(PKG_CONFIG)
  file(GLOB_RECURSE pc "${WORK}/prefix/winnow.pc")
  cmake_path(GET pc PARENT_PATH pc_folder)
  set(ENV{PKG_CONFIG_PATH} "${pc_folder}")
  run("${PKG_CONFIG}" --modversion winnow)
  if(NOT output STREQUAL "${VERSION}\n")
    message(FATAL_ERROR "winnow.pc says version ${output}")
  endif()
  run("${PKG_CONFIG}" --cflags --libs winnow)
  separate_arguments(flags UNIX_COMMAND "${FLAGS} ${output}")
  run("${CC}" -std=c99 "${EXAMPLES}/select.c" -o "${WORK}/select" ${flags})
  cmake_path(GET pc_folder PARENT_PATH libdir)
  run("${CMAKE_COMMAND}" -E env "LD_LIBRARY_PATH=${libdir}" "${WORK}/select")
endif()
