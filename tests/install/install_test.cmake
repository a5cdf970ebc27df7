# cmake -DBUILD=... -DWORK=... -DCONSUMER=... -DMINIMAL=... -DCXX=... -DFLAGS=... -DBUILD_TYPE=... -P install_test.cmake

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

set(parts prune)
if(NOT MINIMAL)
  list(APPEND parts engine)
endif()
foreach(part ${parts})
  run("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK}/${part}" "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DPART=${part}"
      "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=${FLAGS}" "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}")
  run("${CMAKE_COMMAND}" --build "${WORK}/${part}")
  run("${WORK}/${part}/use_${part}")
  message("${output}")
endforeach()

if(NOT MINIMAL)
  run("${WORK}/prefix/bin/winnow" methods)
  if(NOT output MATCHES "fastv")
    message(FATAL_ERROR "the installed command does not list the methods:\n${output}")
  endif()
endif()
