#include "winnow/engine/sampler.h"

#include <llama.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.sampler";

}  // namespace

void Sampler::Free::operator()(llama_sampler* chain) const { llama_sampler_free(chain); }

Sampler::Sampler(const SamplingOptions& o) {
  WINNOW_CHECK(std::isfinite(o.temperature) && o.temperature >= 0.0, InvalidArgument, kWhere,
               "temperature, got {}, expected >= 0", o.temperature);
  WINNOW_CHECK(o.top_p > 0.0 && o.top_p <= 1.0, InvalidArgument, kWhere, "top-p, got {}, expected (0, 1]",
               o.top_p);
  WINNOW_CHECK(o.top_k >= 0, InvalidArgument, kWhere, "top-k, got {}, expected >= 0", o.top_k);
  if (o.temperature == 0.0) return;
  chain_.reset(llama_sampler_chain_init(llama_sampler_chain_default_params()));
  if (o.top_k > 0) llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_k(o.top_k));
  if (o.top_p < 1.0) {
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_p(static_cast<float>(o.top_p), 1));
  }
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_temp(static_cast<float>(o.temperature)));
  // libllama reads this one number as "draw a seed": it would not repeat.
  const uint32_t seed = o.seed == LLAMA_DEFAULT_SEED ? LLAMA_DEFAULT_SEED - 1 : o.seed;
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_dist(seed));
}

int32_t Sampler::pick(std::span<const float> logits) {
  if (chain_ == nullptr) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  std::vector<llama_token_data> candidates(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) candidates[i] = {static_cast<int32_t>(i), logits[i], 0.0f};
  llama_token_data_array list{candidates.data(), candidates.size(), -1, false};
  llama_sampler_apply(chain_.get(), &list);
  WINNOW_ASSERT(list.selected >= 0);
  return list.data[list.selected].id;
}

}  // namespace winnow::engine
