# ggml and libllama, three ways (see HACKING.md; tools/setup.sh chooses):
#   private   .deps/llama, the distribution's newer packages unpacked into a folder of our own
#   download  WINNOW_FETCH_LLAMA=ON: one pinned llama.cpp release, built together with Winnow
#   system    find_package(ggml) and find_package(llama)
# Result: the INTERFACE target winnow_ggml, and winnow_mtmd where libmtmd is there. Whatever an executable needs to
# start with the chosen libraries comes along as link options of winnow_ggml.

set(WINNOW_GGML_MIN_VERSION 0.27)
set(WINNOW_LLAMA_MIN_VERSION 0.7)
set(WINNOW_LLAMA_TAG "v0.7.0" CACHE STRING "The llama.cpp release that WINNOW_FETCH_LLAMA downloads")
set(WINNOW_DEPS_DIR "${PROJECT_SOURCE_DIR}/.deps" CACHE PATH "Where tools/setup.sh puts the private prefix")
set(WINNOW_FETCH_LLAMA AUTO CACHE STRING "Download and build a pinned llama.cpp release: AUTO (as setup.sh chose), ON or OFF")
set_property(CACHE WINNOW_FETCH_LLAMA PROPERTY STRINGS AUTO ON OFF)
set(WINNOW_WITH_PEER AUTO CACHE STRING "libmtmd for bench --peer and tests: AUTO, ON or OFF")
set_property(CACHE WINNOW_WITH_PEER PROPERTY STRINGS AUTO ON OFF)

# Makes executables run with the C library of the prefix: its loader, its folder before the system's, and its newer
# C++ runtime loaded before libllama asks for one through its own RUNPATH.
function(winnow_use_private_prefix prefix)
  file(GLOB loader "${prefix}/usr/lib/*/ld-linux*.so.*")
  list(LENGTH loader n_loader)
  if(NOT n_loader EQUAL 1)
    message(FATAL_ERROR "${prefix}: got ${n_loader} dynamic loaders, expected 1; delete the folder and run tools/setup.sh")
  endif()
  get_filename_component(libdir "${loader}" DIRECTORY)
  target_link_options(winnow_ggml INTERFACE
    "LINKER:--dynamic-linker=${loader}"
    "LINKER:--disable-new-dtags,-rpath,${libdir}"
    "LINKER:--allow-shlib-undefined"
    "SHELL:LINKER:--push-state,--no-as-needed -lstdc++ -lm -lgcc_s -lgomp LINKER:--pop-state")
  set(WINNOW_GGML_BACKEND_DIR "${libdir}/ggml/backends0" PARENT_SCOPE)
endfunction()

# Static libraries with the CPU backend built for this machine; GGML_CUDA=ON and friends pass through.
function(winnow_fetch_llama)
  include(FetchContent)
  set(BUILD_SHARED_LIBS OFF)
  FetchContent_Declare(llama_cpp GIT_REPOSITORY https://github.com/ggml-org/llama.cpp.git
                       GIT_TAG "${WINNOW_LLAMA_TAG}" GIT_SHALLOW ON)
  FetchContent_MakeAvailable(llama_cpp)
  foreach(target llama ggml ggml-base)  # their headers do not build with our warnings
    get_target_property(dirs ${target} INTERFACE_INCLUDE_DIRECTORIES)
    set_target_properties(${target} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${dirs}")
  endforeach()
endfunction()

add_library(winnow_ggml INTERFACE)
set(WINNOW_GGML_BACKEND_DIR "")
set(WINNOW_LLAMA_PREFIX "")
set(fetch_llama "${WINNOW_FETCH_LLAMA}")
if(fetch_llama STREQUAL "AUTO")
  set(fetch_llama OFF)
  if(EXISTS "${WINNOW_DEPS_DIR}/fetch-llama")
    set(fetch_llama ON)
  endif()
endif()
if(fetch_llama)
  winnow_fetch_llama()
  set(WINNOW_LLAMA_FROM "download (${WINNOW_LLAMA_TAG})")
else()
  if(EXISTS "${WINNOW_DEPS_DIR}/llama/usr")
    set(WINNOW_LLAMA_PREFIX "${WINNOW_DEPS_DIR}/llama")
    list(PREPEND CMAKE_PREFIX_PATH "${WINNOW_LLAMA_PREFIX}/usr")
    winnow_use_private_prefix("${WINNOW_LLAMA_PREFIX}")
    set(CMAKE_SKIP_RPATH ON)  # the options above hold the path; CMake's own would warn that the prefix hides libz
    set(WINNOW_LLAMA_FROM "private prefix ${WINNOW_LLAMA_PREFIX}")
  else()
    set(WINNOW_LLAMA_FROM "system")
  endif()
  find_package(ggml ${WINNOW_GGML_MIN_VERSION} QUIET)
  find_package(llama ${WINNOW_LLAMA_MIN_VERSION} QUIET)
  if(NOT ggml_FOUND OR NOT llama_FOUND)
    message(FATAL_ERROR "ggml >= ${WINNOW_GGML_MIN_VERSION} and libllama >= ${WINNOW_LLAMA_MIN_VERSION} not found: "
                        "run tools/setup.sh, or configure with -DWINNOW_FETCH_LLAMA=ON, "
                        "or build only base and prune with -DWINNOW_MINIMAL=ON")
  endif()
endif()
target_compile_definitions(winnow_ggml INTERFACE WINNOW_GGML_BACKEND_DIR="${WINNOW_GGML_BACKEND_DIR}")
# Installed, the names come from find_package in winnow-config.cmake, however they were obtained here.
if(fetch_llama)
  target_link_libraries(winnow_ggml INTERFACE $<BUILD_INTERFACE:ggml> $<BUILD_INTERFACE:llama>
                                              $<INSTALL_INTERFACE:ggml::ggml> $<INSTALL_INTERFACE:llama>)
else()
  target_link_libraries(winnow_ggml INTERFACE ggml::ggml ggml::ggml-base llama)
endif()

set(WINNOW_PEER_FROM "no")
if(NOT WINNOW_WITH_PEER STREQUAL "OFF")
  find_library(WINNOW_MTMD_LIBRARY mtmd)
  find_path(WINNOW_MTMD_INCLUDE_DIR mtmd.h)
  if(WINNOW_MTMD_LIBRARY AND WINNOW_MTMD_INCLUDE_DIR AND NOT fetch_llama)
    add_library(winnow_mtmd INTERFACE)
    target_include_directories(winnow_mtmd SYSTEM INTERFACE "${WINNOW_MTMD_INCLUDE_DIR}")
    target_link_libraries(winnow_mtmd INTERFACE "${WINNOW_MTMD_LIBRARY}" winnow_ggml)
    set(WINNOW_PEER_FROM "${WINNOW_MTMD_LIBRARY}")
  elseif(WINNOW_WITH_PEER STREQUAL "ON")
    message(FATAL_ERROR "WINNOW_WITH_PEER=ON, but libmtmd or mtmd.h was not found")
  endif()
endif()
