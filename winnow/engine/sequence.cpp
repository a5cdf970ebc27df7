#include "winnow/engine/sequence.h"

#include <algorithm>
#include <utility>

namespace winnow::engine {
namespace {

/// Elements `picked` of values [n], empty values being 0, 1, 2 ... n - 1.
std::vector<int32_t> composed(const std::vector<int32_t>& values, const std::vector<int32_t>& picked,
                              int32_t n) {
  if (picked == prune::identity_plan(n).position_of) return values;
  if (values.empty()) return picked;
  std::vector<int32_t> out;
  out.reserve(picked.size());
  for (const int32_t i : picked) out.push_back(values[static_cast<std::size_t>(i)]);
  return out;
}

/// The sequence while it is put together anew.
struct Builder {
  const Sequence& old;
  std::vector<float> hidden;
  std::vector<int32_t> from;  ///< which token of the old sequence gives each one its place

  void copy(int32_t first, int32_t last) {
    hidden.insert(hidden.end(), old.hidden.begin() + first * old.width,
                  old.hidden.begin() + last * old.width);
    for (int32_t i = first; i < last; ++i) from.push_back(i);
  }
  void add(const ImageRun& run, const prune::Plan& plan, const std::vector<float>& rows) {
    hidden.insert(hidden.end(), rows.begin(), rows.end());
    for (const int32_t at : plan.position_of) from.push_back(run.first + at);
  }
  std::vector<int32_t> picked(const std::vector<int32_t>& values) const {
    std::vector<int32_t> out;
    out.reserve(from.size());
    if (values.empty()) return out;
    for (const int32_t i : from) out.push_back(values[static_cast<std::size_t>(i)]);
    return out;
  }
};

}  // namespace

int32_t Sequence::n_visual() const {
  int32_t total = 0;
  for (const ImageRun& run : images) total += run.count;
  return total;
}

std::vector<int32_t> Sequence::image_tokens() const {
  std::vector<int32_t> out;
  for (const ImageRun& run : images) out.push_back(run.count);
  return out;
}

int32_t Sequence::first_text() const {
  const int32_t behind = images.empty() ? n() : images.back().first + images.back().count;
  return behind < n() ? behind : n() - 1;
}

std::vector<float> plan_outputs(const prune::Plan& plan, const MatrixView& rows, std::span<const float> cls) {
  if (std::ssize(cls) <= rows.cols) return prune::apply_plan(plan, rows, cls);
  std::vector<float> all(rows.all().begin(), rows.all().end());
  all.insert(all.end(), cls.begin(), cls.end());
  return prune::apply_plan(plan, {all.data(), std::ssize(all) / rows.cols, rows.cols});
}

void gather(Sequence& sequence, const std::vector<prune::Plan>& plans,
            const std::vector<std::vector<float>>& outputs, prune::PositionPolicy policy) {
  Builder fresh{sequence, {}, {}};
  int32_t n_out = sequence.n() - sequence.n_visual();
  for (const prune::Plan& plan : plans) n_out += plan.n_out();
  fresh.hidden.reserve(static_cast<std::size_t>(n_out * sequence.width));
  fresh.from.reserve(static_cast<std::size_t>(n_out));

  std::vector<prune::VisualSpan> spans;
  std::vector<int32_t> firsts;
  int32_t done = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const ImageRun& run = sequence.images[i];
    fresh.copy(done, run.first);
    done = run.first + run.count;
    spans.push_back({static_cast<int32_t>(fresh.from.size()), plans[i].n_out(), run.first_id, run.n_ids});
    fresh.add(run, plans[i], outputs[i]);
  }
  fresh.copy(done, sequence.n());

  for (std::size_t i = 0; i < plans.size(); ++i) {
    ImageRun& run = sequence.images[i];
    run.token_of = composed(run.token_of, plans[i].position_of, run.count);
    run.row_of = composed(run.row_of, plans[i].position_of, run.count);
    run.input_of = composed(run.input_of, plans[i].position_of, run.count);
    run.first = spans[i].first;
    run.count = spans[i].count;
  }
  for (auto* values : {&sequence.ids, &sequence.row_ids, &sequence.col_ids, &sequence.origin}) {
    *values = fresh.picked(*values);
  }
  sequence.hidden = std::move(fresh.hidden);
  renumber(sequence, spans, policy);
}

namespace {

/// renumber() on three axes.
void renumber_axes(Sequence& s, std::span<const prune::VisualSpan> spans, prune::PositionPolicy policy) {
  std::vector<prune::GridSpan> images;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    images.push_back(
        {spans[i].first, spans[i].count, spans[i].first_id, s.images[i].id_grid, s.images[i].n_time});
  }
  prune::AxisIds ids = prune::axis_position_ids(policy, {s.ids, s.row_ids, s.col_ids}, images);
  s.ids = std::move(ids.time);
  s.row_ids = std::move(ids.row);
  s.col_ids = std::move(ids.col);
  if (policy != prune::PositionPolicy::Compact) return;
  const auto largest = [](const std::vector<int32_t>& of, int32_t first, int32_t count) {
    return count == 0 ? -1 : *std::max_element(of.begin() + first, of.begin() + first + count);
  };
  s.id_span =
      1 + std::max({largest(s.ids, 0, s.n()), largest(s.row_ids, 0, s.n()), largest(s.col_ids, 0, s.n())});
  for (ImageRun& run : s.images) {
    const auto first = s.ids.begin() + run.first;
    run.first_id = run.count > 0 ? *std::min_element(first, first + run.count) : 0;
    run.n_time = std::max(0, largest(s.ids, run.first, run.count) - run.first_id + 1);
    run.id_grid = {std::max(0, largest(s.row_ids, run.first, run.count) - run.first_id + 1),
                   std::max(0, largest(s.col_ids, run.first, run.count) - run.first_id + 1)};
    run.n_ids = std::max({run.n_time, run.id_grid.rows, run.id_grid.cols});
  }
}

}  // namespace

void renumber(Sequence& sequence, std::span<const prune::VisualSpan> spans, prune::PositionPolicy policy) {
  if (!sequence.row_ids.empty()) {
    renumber_axes(sequence, spans, policy);
    return;
  }
  sequence.ids = prune::position_ids(policy, sequence.ids, spans, 0);
  if (policy != prune::PositionPolicy::Compact) return;
  sequence.id_span = sequence.n();
  for (ImageRun& run : sequence.images) {
    run.first_id = run.first;
    run.n_ids = run.count;
  }
}

}  // namespace winnow::engine
