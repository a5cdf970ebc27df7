#pragma once

// Files that are part of the library: page/ of this room, Chart.js, published numbers. CMake writes
// page_files.cpp from them (cmake/WinnowEmbed.cmake).

#include <string_view>

namespace winnow::report::page_files {

std::string_view template_html();
std::string_view style_css();
std::string_view report_js();  ///< page/js/*.js, one behind the other
std::string_view chart_js();
std::string_view chart_js_licence();
std::string_view paper_csv();

}  // namespace winnow::report::page_files
