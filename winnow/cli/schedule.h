#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "winnow/engine/session.h"

namespace winnow::cli {

/// The steps of a prefill as they were run, docs/run-json.md.
nlohmann::ordered_json schedule_json(const engine::PrefillResult& prefill);

/// "after the tower 16 -> 8, before layer 2 8 -> 4": visual tokens of all images; empty when there was no
/// step.
std::string schedule_text(const engine::PrefillResult& prefill);

}  // namespace winnow::cli
