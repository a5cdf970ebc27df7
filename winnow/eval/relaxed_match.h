#pragma once

#include <string_view>

namespace winnow::eval {

/// ChartQA's relaxed correctness (Masry et al. 2022, arXiv 2203.10244, section 5.1; the same code in
/// lmms-eval and VLMEvalKit, from pix2struct). Both are numbers ("12%" is 0.12) and the target is not 0: off
/// by at most 5 % of the target; else equal in any case. Numbers are what Python's float() takes, "1_000",
/// "inf" and "nan" included; "25%" is not 25, and "nan" never matches a number or itself.
bool relaxed_match(std::string_view prediction, std::string_view target);

}  // namespace winnow::eval
