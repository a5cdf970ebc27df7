// The page of a report: the parts of page/ put into its template.

#include <string>
#include <string_view>

#include "winnow/base/error.h"
#include "winnow/report/page_files.h"
#include "winnow/report/report.h"

namespace winnow::report {
namespace {

/// Part of a page, written as it is.
struct Slot {
  std::string_view mark;
  std::string text;
};

}  // namespace

std::string to_html(const Report& report) {
  const Slot slots[] = {{"{{style}}", std::string(page_files::style_css())},
                        {"{{licence}}", std::string(page_files::chart_js_licence())},
                        {"{{chart}}", std::string(page_files::chart_js())},
                        {"{{data}}", to_json(report)},
                        {"{{script}}", std::string(page_files::report_js())}};
  std::string_view rest = page_files::template_html();
  std::string out;
  for (const Slot& slot : slots) {  // in the template's order: what was put in is not searched again
    const std::size_t at = rest.find(slot.mark);
    WINNOW_ASSERT(at != std::string_view::npos);
    out.append(rest.substr(0, at)).append(slot.text);
    rest.remove_prefix(at + slot.mark.size());
  }
  return out.append(rest);
}

}  // namespace winnow::report
