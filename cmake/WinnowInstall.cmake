# Installs the rooms, their headers, a CMake package: find_package(winnow [COMPONENTS prune ...]), and winnow.pc for
# the C API. The C API is exported apart, because it asks for nothing at all, and base and prune are, because they ask
# for nothing but fmt, and Highway if this build has it.
include(CMakePackageConfigHelpers)

set(WINNOW_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/winnow")
get_property(rooms GLOBAL PROPERTY WINNOW_ROOMS)
set(core_rooms winnow_base winnow_prune)
set(engine_rooms ${rooms})
list(REMOVE_ITEM engine_rooms ${core_rooms} winnow_capi)
foreach(target winnow_ggml winnow_image_libs)  # what the rooms link, as targets without sources
  if(TARGET ${target})
    list(APPEND engine_rooms ${target})
  endif()
endforeach()

install(TARGETS winnow_capi EXPORT winnow-capi LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
                                               RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(EXPORT winnow-capi NAMESPACE winnow:: DESTINATION "${WINNOW_INSTALL_CMAKEDIR}")
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

# Relative to its own place, so that a prefix given to `cmake --install` and a moved one are right too.
file(RELATIVE_PATH WINNOW_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/winnow.pc.in "${PROJECT_BINARY_DIR}/winnow.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/winnow.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
