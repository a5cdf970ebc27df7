#include "winnow/record/jsonl.h"

#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "winnow/base/error.h"

namespace winnow::record {
namespace {

constexpr const char* kWhere = "record.json";

std::ifstream open_file(const std::string& path) {
  std::error_code ignored;
  WINNOW_CHECK(std::filesystem::exists(path, ignored), NotFound, kWhere, "{}: no such file", path);
  std::ifstream file(path, std::ios::binary);
  WINNOW_CHECK(file && std::filesystem::is_regular_file(path, ignored), Io, kWhere, "{}: cannot be read",
               path);
  return file;
}

/// nlohmann's message without its own name in front.
std::string reason_of(const Json::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get_ref<const std::string&>() : value.dump();
}

bool is_text(const Json& value) { return value.is_string() || value.is_number(); }

}  // namespace

JsonRow::JsonRow(const Json& value, std::string place) : value_(value), place_(std::move(place)) {
  WINNOW_CHECK(value.is_object(), Corrupt, kWhere, "{}: got {}, expected an object", place_,
               value.type_name());
}

bool JsonRow::has(std::string_view key) const {
  const auto found = value_.find(key);
  return found != value_.end() && !found->is_null();
}

const Json& JsonRow::at(std::string_view key) const {
  const auto found = value_.find(key);
  if (found != value_.end()) return *found;
  std::vector<std::string> keys;
  for (const auto& entry : value_.items()) keys.push_back(entry.key());
  fail(ErrorCode::Corrupt, kWhere, "{}: field '{}' is missing, there are {}", place_, key,
       fmt::join(keys, ", "));
}

void JsonRow::fail_field(std::string_view key, std::string_view expected) const {
  fail(ErrorCode::Corrupt, kWhere, "{}: field '{}', got {}, expected {}", place_, key, at(key).type_name(),
       expected);
}

std::string JsonRow::text(std::string_view key) const {
  const Json& value = at(key);
  if (!is_text(value)) fail_field(key, "a text or a number");
  return text_of(value);
}

int64_t JsonRow::integer(std::string_view key) const {
  const Json& value = at(key);
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits) fail_field(key, "a whole number below 2^63");  // larger ones would wrap to negative
  return value.get<int64_t>();
}

uint64_t JsonRow::natural(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_number_unsigned()) fail_field(key, "a whole number, 0 or more");
  return value.get<uint64_t>();
}

double JsonRow::number(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_number()) fail_field(key, "a number");
  return value.get<double>();
}

bool JsonRow::boolean(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) fail_field(key, "true or false");
  return value.get<bool>();
}

std::vector<double> JsonRow::numbers(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail_field(key, "a list of numbers");
  std::vector<double> out;
  for (const Json& element : value) {
    if (!element.is_number()) fail_field(key, "a list of numbers");
    out.push_back(element.get<double>());
  }
  return out;
}

std::vector<std::string> JsonRow::texts(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail_field(key, "a list of texts");
  std::vector<std::string> out;
  for (const Json& element : value) {
    if (!is_text(element)) fail_field(key, "a list of texts");
    out.push_back(text_of(element));
  }
  return out;
}

JsonRow JsonRow::row(std::string_view key) const { return {at(key), fmt::format("{}: {}", place_, key)}; }

JsonRow JsonRow::row(std::string_view key, std::size_t idx) const {
  const Json& value = at(key);
  if (!value.is_array() || idx >= value.size()) fail_field(key, "a list with objects");
  return {value[idx], fmt::format("{}: {}[{}]", place_, key, idx)};
}

Json parse_json(std::string_view text, const std::string& place) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    fail(ErrorCode::Corrupt, kWhere, "{}: not JSON: {}", place, reason_of(error));
  }
}

Json read_json(const std::string& path) {
  std::ifstream file = open_file(path);
  try {
    return Json::parse(file);
  } catch (const Json::exception& error) {
    fail(ErrorCode::Corrupt, kWhere, "{}: not JSON: {}", path, reason_of(error));
  }
}

void for_each_line(const std::string& path, const std::function<void(const JsonRow&)>& take) {
  std::ifstream file = open_file(path);
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = fmt::format("{}:{}", path, number);
    const Json value = parse_json(line, place);
    take(JsonRow(value, place));
  }
  WINNOW_CHECK(!file.bad(), Io, kWhere, "{}: cannot be read", path);
}

void for_each_element(const std::string& path, std::string_view key,
                      const std::function<void(const JsonRow&)>& take) {
  std::ifstream file = open_file(path);
  const int depth_of_elements = key.empty() ? 1 : 2;
  bool inside = key.empty(), found = false;
  int64_t n_taken = 0;
  // Elements are handed over when they end and thrown away at once, so the list never fills memory.
  const auto callback = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1 && !key.empty()) {
      inside = value.get_ref<const std::string&>() == key;
    } else if (event == Json::parse_event_t::array_start && depth == depth_of_elements - 1) {
      found = found || inside;
    } else if (event == Json::parse_event_t::object_end && depth == depth_of_elements && inside && found) {
      take(JsonRow(value, fmt::format("{}: {}[{}]", path, key, n_taken++)));
      return false;
    } else if (event == Json::parse_event_t::value && depth == depth_of_elements && inside && found) {
      JsonRow(value, fmt::format("{}: {}[{}]", path, key, n_taken));  // no object: throws
    }
    return true;
  };
  try {
    const Json rest = Json::parse(file, callback);
    found = found && !rest.is_discarded();
  } catch (const Json::exception& error) {
    fail(ErrorCode::Corrupt, kWhere, "{}: not JSON: {}", path, reason_of(error));
  }
  WINNOW_CHECK(found, Corrupt, kWhere, "{}: expected a list{}", path,
               key.empty() ? std::string() : fmt::format(" '{}' in an object", key));
}

}  // namespace winnow::record
