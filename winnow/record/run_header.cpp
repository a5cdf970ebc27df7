#include "winnow/record/run_header.h"

#include <set>

#include "winnow/base/error.h"
#include "winnow/record/jsonl.h"

namespace winnow::record {
namespace {

using nlohmann::ordered_json;

constexpr const char* kWhere = "record.header";

ordered_json to_json(const RunHeader& h) {
  ordered_json benchmarks = ordered_json::array(), configurations = ordered_json::array();
  for (const BenchmarkPart& b : h.benchmarks) {
    benchmarks.push_back({{"name", b.name},
                          {"split", b.split},
                          {"questions", b.n_questions},
                          {"questions_sha256", b.questions_sha256}});
  }
  for (const ConfigurationPart& c : h.configurations)
    configurations.push_back({{"name", c.name}, {"method", c.method}, {"keep", c.keep}});
  return {{"schema", kRunSchema},
          {"version", kRunVersion},
          {"winnow", h.winnow},
          {"commit", h.commit},
          {"model",
           {{"text", h.model.text},
            {"text_sha256", h.model.text_sha256},
            {"mmproj", h.model.mmproj},
            {"mmproj_sha256", h.model.mmproj_sha256}}},
          {"convention", h.convention},
          {"benchmarks", std::move(benchmarks)},
          {"configurations", std::move(configurations)},
          {"parameters", h.parameters},
          {"seed", h.seed},
          {"threads", h.n_threads},
          {"jobs", h.n_jobs},
          {"hardware", h.hardware},
          {"shard", {{"number", h.shard.number}, {"count", h.shard.count}}},
          {"started", h.started},
          {"data", h.data}};
}

std::string shown(const ordered_json& json, const ordered_json::json_pointer& at) {
  return json.contains(at) ? json.at(at).dump(-1, ' ', false, ordered_json::error_handler_t::replace)
                           : std::string("nothing");
}

int32_t counted(const JsonRow& json, std::string_view key) {
  const int64_t value = json.integer(key);
  WINNOW_CHECK(value >= 1 && value <= 1'000'000, Corrupt, kWhere, "{}: {}, got {}, expected 1 to 1000000",
               json.place(), key, value);
  return static_cast<int32_t>(value);
}

std::size_t list_size(const JsonRow& json, std::string_view key) {
  const Json& list = json.at(key);
  WINNOW_CHECK(list.is_array(), Corrupt, kWhere, "{}: {}, got {}, expected a list", json.place(), key,
               list.type_name());
  return list.size();
}

/// As a reader of the file gets it: bytes that are not UTF-8 replaced, so that a run equals itself.
ordered_json as_written(const RunHeader& header) { return ordered_json::parse(to_text(header)); }

void check_schema(const JsonRow& json) {
  const std::string schema = json.text("schema");
  WINNOW_CHECK(schema == kRunSchema, Corrupt, kWhere, "{}: schema, got '{}', expected '{}'", json.place(),
               schema, kRunSchema);
  const int64_t version = json.integer("version");
  WINNOW_CHECK(version == kRunVersion, Unsupported, kWhere, "{}: version, got {}, expected {}", json.place(),
               version, kRunVersion);
}

}  // namespace

void check_header(const RunHeader& header, const std::string& place) {
  std::set<std::string> benchmarks, configurations;
  for (const BenchmarkPart& b : header.benchmarks) {
    WINNOW_CHECK(benchmarks.insert(b.name).second, Corrupt, kWhere, "{}: benchmark '{}' is there twice",
                 place, b.name);
    WINNOW_CHECK(b.n_questions >= 0, Corrupt, kWhere, "{}: questions of {}, got {}, expected 0 or more",
                 place, b.name, b.n_questions);
  }
  for (const ConfigurationPart& c : header.configurations) {
    WINNOW_CHECK(configurations.insert(c.name).second, Corrupt, kWhere,
                 "{}: configuration '{}' is there twice", place, c.name);
  }
  WINNOW_CHECK(header.n_threads >= 1 && header.n_jobs >= 1, Corrupt, kWhere,
               "{}: threads and jobs, got {} and {}, expected 1 or more", place, header.n_threads,
               header.n_jobs);
  const Shard& shard = header.shard;
  WINNOW_CHECK(shard.number >= 1 && shard.number <= shard.count, Corrupt, kWhere,
               "{}: shard, got {} of {}, expected 1 to {}", place, shard.number, shard.count, shard.count);
}

std::string to_text(const RunHeader& header) {
  return to_json(header).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

RunHeader read_header(const std::string& path) {
  const Json value = read_json(path);
  const JsonRow json(value, path);
  check_schema(json);
  RunHeader h;
  h.winnow = json.text("winnow");
  h.commit = json.text("commit");
  const JsonRow model = json.row("model");
  h.model = {model.text("text"), model.text("mmproj"), model.text("text_sha256"),
             model.text("mmproj_sha256")};
  h.convention = json.text("convention");
  for (std::size_t i = 0; i < list_size(json, "benchmarks"); ++i) {
    const JsonRow b = json.row("benchmarks", i);
    h.benchmarks.push_back(
        {b.text("name"), b.text("split"), b.integer("questions"), b.text("questions_sha256")});
  }
  for (std::size_t i = 0; i < list_size(json, "configurations"); ++i) {
    const JsonRow c = json.row("configurations", i);
    h.configurations.push_back({c.text("name"), c.text("method"), c.text("keep")});
  }
  const JsonRow parameters = json.row("parameters");
  for (const auto& entry : parameters.value().items())
    h.parameters[entry.key()] = parameters.text(entry.key());
  h.seed = json.natural("seed");
  h.n_threads = counted(json, "threads");
  h.n_jobs = counted(json, "jobs");
  h.hardware = json.text("hardware");
  const JsonRow shard = json.row("shard");
  h.shard = {counted(shard, "number"), counted(shard, "count")};
  h.started = json.text("started");
  h.data = json.text("data");
  check_header(h, path);
  return h;
}

std::optional<std::string> difference(const RunHeader& got, const RunHeader& expected, Sameness sameness) {
  ordered_json a = as_written(got), b = as_written(expected);
  for (ordered_json* json : {&a, &b}) {
    json->erase("started");
    json->erase("data");
    if (sameness == Sameness::Merge) {
      json->erase("shard");
      json->erase("hardware");
    }
  }
  for (const auto& entry : b.items()) {
    if (a.at(entry.key()) == entry.value()) continue;
    const ordered_json changes = ordered_json::diff(entry.value(), a.at(entry.key()));
    const ordered_json::json_pointer at(changes.at(0).at("path").get<std::string>());
    return fmt::format("{}{}, got {}, expected {}", entry.key(), at.to_string(), shown(a.at(entry.key()), at),
                       shown(entry.value(), at));
  }
  return std::nullopt;
}

}  // namespace winnow::record
