#pragma once

#include <string>

#include "winnow/base/table.h"
#include "winnow/eval/comparison.h"
#include "winnow/eval/equal_time.h"

namespace winnow::cli {

/// Values, differences and averages. Csv has one number in each cell, the others read "value [low, high]".
std::string comparison_text(const eval::Comparison& comparison, TableFormat format);

/// Configurations of one benchmark against the reference's curve.
std::string equal_time_text(const eval::EqualTimes& times, const std::string& benchmark,
                            const std::string& reference, TableFormat format);

}  // namespace winnow::cli
