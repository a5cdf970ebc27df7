# Included by CMakeLists.txt of this folder.
set(WINNOW_IMAGE_SOURCES
    exif.cpp
    image.cpp
    image_bmp.cpp
    image_draw.cpp
    image_frames.cpp
    image_gif.cpp
    image_jpeg.cpp
    image_own_size.cpp
    image_png.cpp
    image_preprocess.cpp
    image_tiles.cpp
    image_webp.cpp
    resample.cpp)
