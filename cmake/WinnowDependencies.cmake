# Every dependency in one place. ggml and libllama have their own file, WinnowGgml.cmake.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

# Highway, for vector instructions in winnow/prune. Without it the same arithmetic runs in plain loops.
set(WINNOW_WITH_HIGHWAY AUTO CACHE STRING "Vector instructions in prune (needs Highway): AUTO, ON, OFF")
set_property(CACHE WINNOW_WITH_HIGHWAY PROPERTY STRINGS AUTO ON OFF)
set(WINNOW_HAVE_HIGHWAY OFF)
if(WINNOW_WITH_HIGHWAY STREQUAL "ON")
  find_package(hwy 1.0 REQUIRED)
elseif(NOT WINNOW_WITH_HIGHWAY STREQUAL "OFF")
  find_package(hwy 1.0 QUIET)
endif()
if(TARGET hwy::hwy AND NOT WINNOW_WITH_HIGHWAY STREQUAL "OFF")
  set(WINNOW_HAVE_HIGHWAY ON)
endif()

if(NOT WINNOW_MINIMAL)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256 of model files

  include(WinnowGgml)
endif()

# Image files: one library for each format but BMP.
if(NOT WINNOW_MINIMAL)
  find_package(PkgConfig REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PNG REQUIRED)
  find_package(GIF 5 REQUIRED)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
  add_library(winnow_image_libs INTERFACE)
  target_link_libraries(winnow_image_libs INTERFACE JPEG::JPEG PNG::PNG GIF::GIF PkgConfig::WEBP)
endif()

# Unicode's normal form, letter case and categories, for CLIP's tokenizer.
if(NOT WINNOW_MINIMAL)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
endif()

# MPI, for `mpirun winnow eval`. MPI's memory is not for the sanitizers, so their builds leave it out.
set(WINNOW_WITH_MPI AUTO CACHE STRING "winnow eval under mpirun (needs MPI): AUTO, ON, OFF")
set_property(CACHE WINNOW_WITH_MPI PROPERTY STRINGS AUTO ON OFF)
if(NOT WINNOW_MINIMAL AND NOT WINNOW_WITH_MPI STREQUAL "OFF")
  if(WINNOW_WITH_MPI STREQUAL "ON")
    find_package(MPI REQUIRED COMPONENTS C)
  else()
    find_package(MPI QUIET COMPONENTS C)
  endif()
endif()

# LibTorch, for the optional trainer (winnow/train). Not looked for in sanitizer builds: it is not instrumented.
set(WINNOW_WITH_TRAIN AUTO CACHE STRING "The trainer of the built-in model (needs LibTorch): AUTO, ON, OFF")
set(WINNOW_HAVE_TORCH OFF)
if(NOT WINNOW_MINIMAL AND NOT WINNOW_WITH_TRAIN STREQUAL "OFF")
  if(WINNOW_WITH_TRAIN STREQUAL "ON")
    find_package(Torch REQUIRED)
  else()
    find_package(Torch QUIET)
  endif()
  set(WINNOW_HAVE_TORCH ${Torch_FOUND})
endif()
