# Every dependency in one place. ggml and libllama: see tools/setup.sh for the three ways to get them.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

if(NOT WINNOW_MINIMAL)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)

  # A private prefix (.deps/llama) wins over the system, because setup.sh made it on purpose.
  set(WINNOW_LLAMA_PREFIX "${PROJECT_SOURCE_DIR}/.deps/llama" CACHE PATH "Private prefix with ggml and libllama")
  if(EXISTS "${WINNOW_LLAMA_PREFIX}/usr")
    list(PREPEND CMAKE_PREFIX_PATH "${WINNOW_LLAMA_PREFIX}/usr")
  endif()
  find_package(ggml REQUIRED)
  find_package(llama REQUIRED)
  add_library(winnow_ggml INTERFACE)
  target_link_libraries(winnow_ggml INTERFACE ggml::ggml llama)
endif()

# Image files: stb_image (header only, one translation unit) and libwebp.
if(NOT WINNOW_MINIMAL)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
  find_path(STB_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb REQUIRED)
  add_library(winnow_image_libs INTERFACE)
  target_include_directories(winnow_image_libs SYSTEM INTERFACE "${STB_INCLUDE_DIR}")
  target_link_libraries(winnow_image_libs INTERFACE PkgConfig::WEBP)
endif()
