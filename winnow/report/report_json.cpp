// A report as the data of its page. Field names are those that page/js reads.

#include <nlohmann/json.hpp>

#include "winnow/eval/config_name.h"
#include "winnow/eval/equal_time.h"
#include "winnow/report/names.h"
#include "winnow/report/report.h"

namespace winnow::report {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const eval::Interval& i) { return {{"value", i.value}, {"low", i.low}, {"high", i.high}}; }

template <class T>
Json optional_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json optional_json(const std::optional<eval::Interval>& i) { return i ? interval_json(*i) : Json(nullptr); }

Json header_json(const record::RunHeader& h, const std::string& folder) {
  Json parameters = Json::array();
  for (const auto& [name, value] : h.parameters) parameters.push_back({name, value});
  Json benchmarks = Json::array(), configurations = Json::array();
  for (const auto& b : h.benchmarks)
    benchmarks.push_back(
        {{"name", b.name}, {"split", b.split}, {"questions", b.n_questions}, {"sha256", b.questions_sha256}});
  for (const auto& c : h.configurations)
    configurations.push_back({{"name", c.name}, {"method", c.method}, {"keep", c.keep}});
  return {{"folder", folder},
          {"winnow", h.winnow},
          {"commit", h.commit},
          {"text", h.model.text},
          {"text_sha256", h.model.text_sha256},
          {"mmproj", h.model.mmproj},
          {"mmproj_sha256", h.model.mmproj_sha256},
          {"convention", h.convention},
          {"benchmarks", benchmarks},
          {"configurations", configurations},
          {"parameters", parameters},
          {"seed", std::to_string(h.seed)},  // may exceed what a script's number holds
          {"threads", h.n_threads},
          {"jobs", h.n_jobs},
          {"hardware", h.hardware},
          {"started", h.started},
          {"data", h.data}};
}

Json configuration_json(const eval::Comparison& comparison, const eval::ConfigurationResult& c) {
  const bool is_baseline = c.config == comparison.baseline;
  const bool compared = !comparison.baseline.empty() && !is_baseline;
  return {{"config", c.config},
          {"value", interval_json(c.value)},
          {"relative", optional_json(c.relative)},
          {"difference", compared ? interval_json(c.difference) : Json(nullptr)},
          {"better", c.n_better},
          {"worse", c.n_worse},
          {"equal", c.n_equal},
          {"p", optional_json(c.mcnemar_p)},
          {"words", is_baseline ? "baseline"
                    : compared  ? eval::verdict(c.difference, c.mcnemar_p)
                                : ""},
          {"before", c.n_visual_before},
          {"after", c.n_visual_after},
          {"average", c.n_visual_average},
          {"failed", c.n_failed}};
}

Json benchmarks_json(const eval::Comparison& comparison) {
  Json out = Json::array();
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    Json rows = Json::array();
    for (const auto& c : b.configurations) rows.push_back(configuration_json(comparison, c));
    out.push_back({{"name", b.name},
                   {"metric", b.metric},
                   {"max", b.max},
                   {"questions", b.n_questions},
                   {"groups", b.n_groups},
                   {"rows", rows}});
  }
  return out;
}

Json summary_json(const std::vector<SummaryLine>& lines) {
  Json out = Json::array();
  for (const SummaryLine& line : lines) out.push_back({{"head", line.head}, {"text", line.text}});
  return out;
}

Json groups_json(const std::vector<BudgetGroup>& groups) {
  Json out = Json::array();
  for (const BudgetGroup& group : groups) {
    Json rows = Json::array();
    for (const AverageRow& row : group.rows) {
      rows.push_back({{"config", row.config},
                      {"method", eval::method_of(row.config)},
                      {"relative", interval_json(row.relative)},
                      {"words", row.verdict},
                      {"against_random", optional_json(row.against_random)},
                      {"random_words", row.random_verdict}});
    }
    out.push_back({{"budget", group.budget}, {"rows", rows}});
  }
  return out;
}

Json tradeoff_json(const Report& report) {
  Json points = Json::array(), times = Json::array();
  for (const TradeoffPoint& p : report.tradeoff.points) {
    points.push_back({{"config", p.config},
                      {"method", eval::method_of(p.config)},
                      {"cost", p.cost},
                      {"relative", interval_json(p.relative)},
                      {"front", p.on_front}});
  }
  for (const EqualTimeResult& r : report.equal_times) {
    Json rows = Json::array();
    for (const eval::EqualTime& t : r.times.points) {
      rows.push_back({{"config", t.config},
                      {"ms", t.ms},
                      {"value", interval_json(t.value)},
                      {"reference", interval_json(t.reference)},
                      {"difference", interval_json(t.difference)},
                      {"words", eval::verdict(t.difference)}});
    }
    times.push_back({{"benchmark", r.benchmark}, {"rows", rows}, {"outside", r.times.outside}});
  }
  return {{"measured", report.tradeoff.is_measured},
          {"points", points},
          {"not_measured", report.tradeoff.not_measured},
          {"equal_times", times}};
}

Json load_json(const std::vector<LoadPoint>& load) {
  Json out = Json::array();
  for (const LoadPoint& p : load) {
    out.push_back({{"sessions", p.n_sessions},
                   {"threads", p.n_threads_per_session},
                   {"answers_per_s", p.answers_per_s},
                   {"first_ms", p.first_token_ms},
                   {"first_p90_ms", p.first_token_p90_ms},
                   {"answer_ms", p.answer_ms},
                   {"answer_p90_ms", p.answer_p90_ms},
                   {"kv_bytes", p.kv_bytes},
                   {"rss_bytes", p.peak_rss_bytes}});
  }
  return out;
}

Json own_json(const OwnCosts& own) {
  return {{"before", own.visual_before}, {"after", own.visual_after},      {"average", own.visual_average},
          {"flops", own.prefill_flops},  {"tower_flops", own.tower_flops}, {"kv_bytes", own.kv_bytes},
          {"realised", own.realised},    {"ideal_flops", own.ideal_flops}, {"ideal_tokens", own.ideal_tokens},
          {"amdahl", own.amdahl_ceiling}};
}

Json bench_json(const Report& report) {
  if (!report.bench) return nullptr;
  const BenchFile& bench = *report.bench;
  Json rows = Json::array();
  for (const BenchConfiguration& c : bench.configurations) {
    rows.push_back({{"config", c.name},
                    {"prompt_tokens", c.prompt_tokens},
                    {"stage_ms", c.stage_ms},
                    {"first_ms",
                     {{"value", c.first_token_ms.median},
                      {"low", c.first_token_ms.low},
                      {"high", c.first_token_ms.high}}},
                    {"speedup", c.first_token_speedup},
                    {"decode_per_s", c.decode_tokens_per_s},
                    {"own", c.own ? own_json(*c.own) : Json(nullptr)},
                    {"load", load_json(c.load)}});
  }
  return {{"file", report.bench_name},         {"winnow", bench.winnow},
          {"model", last_part(bench.model)},   {"backend", bench.backend},
          {"threads", bench.n_threads},        {"repetitions", bench.n_repetitions},
          {"warmup", bench.n_warmup},          {"decode_tokens", bench.n_decode},
          {"rss_bytes", bench.peak_rss_bytes}, {"rows", rows}};
}

Json alpha_json(const std::vector<AlphaCurve>& curves) {
  Json out = Json::array();
  for (const AlphaCurve& curve : curves) {
    Json points = Json::array();
    for (const AlphaPoint& p : curve.points)
      points.push_back({{"alpha", p.alpha}, {"config", p.config}, {"index", p.idx}});
    out.push_back({{"family", curve.family}, {"budget", curve.budget}, {"points", points}});
  }
  return out;
}

Json positions_json(const Positions& positions) {
  Json rows = Json::array();
  for (const PositionShares& s : positions.shares) {
    rows.push_back({{"config", s.config},
                    {"budget", eval::budget_of(s.config)},
                    {"share", s.share},
                    {"last_quarter", s.last_quarter},
                    {"images", s.n_images}});
  }
  return {{"tokens", positions.n_tokens}, {"other", positions.n_other}, {"rows", rows}};
}

Json overlaps_json(const std::vector<Overlap>& overlaps) {
  Json out = Json::array();
  for (const Overlap& o : overlaps) {
    out.push_back({{"budget", o.budget},
                   {"configs", o.configs},
                   {"iou", o.iou},
                   {"chance", o.chance},
                   {"images", o.n_images}});
  }
  return out;
}

Json maps_json(const std::optional<std::vector<record::KeptMap>>& maps) {
  if (!maps) return nullptr;
  Json out = Json::array();
  for (const record::KeptMap& m : *maps) {
    out.push_back({{"rows", m.rows}, {"cols", m.cols}, {"box", m.box}, {"kept", m.kept}});
  }
  return out;
}

Json examples_json(const Report& report) {
  Json list = Json::array();
  for (const Example& e : report.examples) {
    Json answers = Json::array();
    for (const ExampleAnswer& a : e.answers) {
      answers.push_back({{"config", a.config},
                         {"budget", eval::budget_of(a.config)},
                         {"prediction", a.prediction},
                         {"right", a.is_right},
                         {"score", a.score},
                         {"n_kept", a.n_kept},
                         {"maps", maps_json(a.maps)}});
    }
    Json picture = nullptr;
    if (e.picture)
      picture = {
          {"url", e.picture->data_url}, {"width", e.picture->width_px}, {"height", e.picture->height_px}};
    list.push_back({{"benchmark", e.benchmark},
                    {"id", e.question_id},
                    {"prompt", e.prompt},
                    {"answer", e.answer},
                    {"picture", picture},
                    {"answers", answers}});
  }
  return {{"list", list}, {"problems", report.picture_problems}};
}

Json references_json(const std::vector<ReferenceTable>& tables) {
  Json out = Json::array();
  for (const ReferenceTable& t : tables) {
    Json columns = Json::array(), rows = Json::array();
    for (const auto& c : t.columns)
      columns.push_back({{"benchmark", c.benchmark}, {"metric", c.metric}, {"unit", c.unit}});
    for (const ReferenceRow& row : t.rows) {
      Json cells = Json::array();
      for (const ReferenceCell& cell : row.cells) {
        cells.push_back({{"published", optional_json(cell.published)},
                         {"tag", cell.tag},
                         {"note", cell.note},
                         {"run", optional_json(cell.run)},
                         {"difference", optional_json(cell.difference)},
                         {"published_relative", optional_json(cell.published_relative)},
                         {"run_relative", optional_json(cell.run_relative)},
                         {"relative_difference", optional_json(cell.relative_difference)}});
      }
      rows.push_back(
          {{"method", row.method}, {"budget", row.budget}, {"config", row.config}, {"cells", cells}});
    }
    out.push_back({{"number", t.number},
                   {"title", t.title},
                   {"model", t.model},
                   {"same_model", t.is_same_model},
                   {"columns", columns},
                   {"rows", rows}});
  }
  return out;
}

}  // namespace

std::string to_json(const Report& report) {
  Json runs = Json::array(), left_out = Json::array();
  for (std::size_t i = 0; i < report.headers.size(); ++i)
    runs.push_back(header_json(report.headers[i], report.run_folders[i]));
  for (const LeftOut& l : report.left_out) left_out.push_back({{"section", l.section}, {"reason", l.reason}});
  const Json json = {{"runs", runs},
                     {"convention", report.comparison.convention},
                     {"baseline", report.comparison.baseline},
                     {"not_in_average", report.comparison.not_in_average},
                     {"resamples", report.bootstrap.n_resamples},
                     {"bootstrap_seed", std::to_string(report.bootstrap.seed)},
                     {"summary", summary_json(report.summary)},
                     {"groups", groups_json(report.groups)},
                     {"benchmarks", benchmarks_json(report.comparison)},
                     {"tradeoff", tradeoff_json(report)},
                     {"bench", bench_json(report)},
                     {"alpha", alpha_json(report.alpha_curves)},
                     {"positions", positions_json(report.positions)},
                     {"overlaps", overlaps_json(report.overlaps)},
                     {"examples", examples_json(report)},
                     {"references", references_json(report.references)},
                     {"left_out", left_out}};
  std::string out;
  // ensure_ascii: U+2028 and the like too; bytes that are not UTF-8 become U+FFFD.
  for (const char c : json.dump(-1, ' ', true, Json::error_handler_t::replace)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace winnow::report
