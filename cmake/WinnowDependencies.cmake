# Every dependency in one place. ggml and libllama have their own file, WinnowGgml.cmake.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

if(NOT WINNOW_MINIMAL)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)

  include(WinnowGgml)
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
