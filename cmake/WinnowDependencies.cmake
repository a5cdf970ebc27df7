# Every dependency in one place. ggml and libllama have their own file, WinnowGgml.cmake.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

if(NOT WINNOW_MINIMAL)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)

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
