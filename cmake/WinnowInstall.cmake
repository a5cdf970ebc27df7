# Installs the rooms, their headers and a CMake package: find_package(winnow [COMPONENTS prune ...]).
# base and prune are exported apart from the rest, so that using them alone asks for nothing but fmt, and Highway if
# this build has it.
include(CMakePackageConfigHelpers)

set(WINNOW_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/winnow")
get_property(rooms GLOBAL PROPERTY WINNOW_ROOMS)
set(core_rooms winnow_base winnow_prune)
set(engine_rooms ${rooms})
list(REMOVE_ITEM engine_rooms ${core_rooms})
foreach(target winnow_ggml winnow_image_libs)  # what the rooms link, as targets without sources
  if(TARGET ${target})
    list(APPEND engine_rooms ${target})
  endif()
endforeach()

install(TARGETS ${core_rooms} EXPORT winnow-core ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT winnow-core NAMESPACE winnow:: DESTINATION "${WINNOW_INSTALL_CMAKEDIR}")
if(engine_rooms)
  install(TARGETS ${engine_rooms} EXPORT winnow-engine ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT winnow-engine NAMESPACE winnow:: DESTINATION "${WINNOW_INSTALL_CMAKEDIR}")
endif()

foreach(room ${rooms})
  string(REPLACE "winnow_" "" folder ${room})
  install(DIRECTORY "winnow/${folder}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/winnow"
          FILES_MATCHING PATTERN "*.h" PATTERN "*_impl.h" EXCLUDE)
endforeach()

configure_package_config_file(cmake/winnow-config.cmake.in "${PROJECT_BINARY_DIR}/winnow-config.cmake"
                              INSTALL_DESTINATION "${WINNOW_INSTALL_CMAKEDIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/winnow-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/winnow-config.cmake" "${PROJECT_BINARY_DIR}/winnow-config-version.cmake"
        DESTINATION "${WINNOW_INSTALL_CMAKEDIR}")
